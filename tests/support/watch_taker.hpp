#pragma once

#include "storage/engine.hpp"
#include "storage/watch.hpp"
#include "tests/support/told_list.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace warp::testing {

/// Something that one thread waits for and others raise.
class bell {
public:
  void ring() {
    std::lock_guard guard{mutex_};
    rung_ = true;
    changed_.notify_all();
  }
  /// False: not within half a minute.
  bool wait() {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, std::chrono::seconds{30}, [&] { return rung_; })) return false;
    rung_ = false;
    return true;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool rung_ = false;
};

/// A watch and what it has told, taken on the test's thread.
class watch_taker {
public:
  watch_taker(storage::engine& e, watch_options options) {
    auto made = e.watch_changes(std::move(options), [bell = bell_] { bell->ring(); });
    INFO(made.status().to_string());
    REQUIRE(made.ok());
    watch_ = std::move(*made);
    token = watch_->start();
  }

  storage::watch& operator*() { return *watch_; }
  storage::watch* operator->() { return watch_.get(); }
  void drop() { watch_.reset(); }

  /// Waits until `enough` holds for what was told, by events; then returns all of it as texts.
  std::vector<std::string> until(const std::function<bool(const watch_event&)>& enough) {
    for (;;) {
      for (; next_ < changes.size(); ++next_) {
        const auto e = changes[next_]->view();
        token.advance(e);
        texts_.push_back(text_of(e));
        if (!enough(e)) continue;
        ++next_;
        return std::exchange(texts_, {});
      }
      const auto before = changes.size();
      const bool more = watch_->take(changes, 100, 64 * 1024);
      if (changes.size() != before) continue;
      REQUIRE(more);
      const bool rang = bell_->wait();
      INFO("told so far: " << changes.size());
      REQUIRE(rang);
    }
  }
  std::vector<std::string> until(watch_kind kind) {
    return until([kind](const watch_event& e) { return e.kind == kind; });
  }
  std::vector<std::string> until_key(std::string_view key) {
    return until([key](const watch_event& e) { return e.is_change() && e.key == key; });
  }
  bool wait_bell() { return bell_->wait(); }

  std::vector<storage::watch_change_ptr> changes; ///< all of them
  watch_token token;

private:
  std::shared_ptr<bell> bell_ = std::make_shared<bell>();
  std::unique_ptr<storage::watch> watch_;
  std::size_t next_ = 0;
  std::vector<std::string> texts_;
};

} // namespace warp::testing
