#pragma once

#include "messages/packed_fields.hpp"
#include "messages/watch.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace warp::testing {

/// "put a=1", "erase a", "expire a", "state a=1", "absent a", "lost", "state end", "lagged",
/// "synced", "ended shutting_down"; of fields
/// "set a name=value", "unset a name".
inline std::string text_of(const watch_event& e) {
  const std::string key{e.key};
  switch (e.kind) {
  case watch_kind::put:
    return (e.state ? "state " : "put ") + key + "=" + std::string{e.value};
  case watch_kind::erase:
    return (e.state ? "absent " : "erase ") + key;
  case watch_kind::expire:
    return "expire " + key;
  case watch_kind::fields_set: {
    auto text = "set " + key;
    for_each_pair(e.value, [&](std::string_view name, std::string_view value) {
      text.append(" ").append(name).append("=").append(value);
    });
    return text;
  }
  case watch_kind::fields_erased: {
    auto text = "unset " + key;
    for_each_name(e.value, [&](std::string_view name) { text.append(" ").append(name); });
    return text;
  }
  case watch_kind::lost:
    return "lost";
  case watch_kind::state_end:
    return "state end";
  case watch_kind::lagged:
    return "lagged";
  case watch_kind::synced:
    return "synced";
  case watch_kind::ended:
    return "ended " + std::string{to_string(e.code)};
  }
  return "?";
}

/// What the callback of a watch was told, without "synced" and "state end" unless asked for.
class told_list {
public:
  explicit told_list(bool all = false) : all_(all) {}

  std::function<void(const watch_event&)> callback() {
    return [this](const watch_event& e) { note(e); };
  }
  void note(const watch_event& e) {
    if (!all_ && (e.kind == watch_kind::synced || e.kind == watch_kind::state_end)) return;
    std::lock_guard guard{mutex_};
    told_.push_back(text_of(e));
    changed_.notify_all();
  }
  /// All of it, as soon as the last one is `last`.
  std::vector<std::string> until(const std::string& last) {
    std::unique_lock lock{mutex_};
    const bool came = changed_.wait_for(lock, std::chrono::seconds{60},
                                        [&] { return !told_.empty() && told_.back() == last; });
    INFO("waiting for " << last << ", " << told_.size() << " were told, the last one was "
                        << (told_.empty() ? "none" : told_.back()));
    REQUIRE(came);
    return told_;
  }
  /// All of it, as soon as `one` is among it.
  std::vector<std::string> with(const std::string& one) {
    std::unique_lock lock{mutex_};
    const bool came = changed_.wait_for(lock, std::chrono::seconds{60}, [&] {
      return std::find(told_.begin(), told_.end(), one) != told_.end();
    });
    INFO("waiting for " << one << ", " << told_.size() << " were told");
    REQUIRE(came);
    return told_;
  }
  std::vector<std::string> now() {
    std::lock_guard guard{mutex_};
    return told_;
  }

private:
  const bool all_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> told_;
};

} // namespace warp::testing
