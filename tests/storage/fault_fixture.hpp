#pragma once

#include "storage/engine.hpp"
#include "storage/segment_maker.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace warp::testing {

/// Ends the process, with a sentence, when a test that must not hang is not over in time.
class hang_guard {
public:
  explicit hang_guard(std::chrono::seconds bound)
      : thread_([bound, this](std::stop_token stop) {
          std::unique_lock lock{mutex_};
          if (changed_.wait_for(lock, stop, bound, [] { return false; }) || stop.stop_requested())
            return;
          std::fprintf(stderr, "a test that must end after %ld s hangs\n",
                       static_cast<long>(bound.count()));
          std::abort();
        }) {}

private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::jthread thread_;
};

/// What the callers of an engine were told, key by key.
class told_model {
public:
  using value = std::optional<std::string>; ///< none: absent

  /// Applied to the table; whether it is on disk is not known (yet).
  void applied(const std::string& key, value v) {
    auto& k = keys_[key];
    k.now = v;
    k.maybe.insert(std::move(v));
  }
  /// Everything that is in the table is on disk.
  void all_durable() {
    for (auto& [key, k] : keys_) k.maybe = {k.now};
  }
  /// This value of the key, or a later one, is on disk.
  void durable(const std::string& key) { keys_[key].maybe = {keys_[key].now}; }
  /// A restart showed this.
  void showed(const std::map<std::string, std::string>& all) {
    for (auto& [key, k] : keys_) {
      const auto it = all.find(key);
      k.now = it == all.end() ? value{} : value{it->second};
      k.maybe = {k.now};
    }
  }

  /// The table, as it must be while the process lives.
  [[nodiscard]] std::map<std::string, std::string> table() const {
    std::map<std::string, std::string> all;
    for (const auto& [key, k] : keys_)
      if (k.now) all.emplace(key, *k.now);
    return all;
  }
  /// May a restart after a crash show this? Empty: yes; else what is wrong.
  [[nodiscard]] std::string objection(const std::map<std::string, std::string>& shown) const {
    for (const auto& [key, v] : shown)
      if (!keys_.contains(key)) return key + " was never written";
    for (const auto& [key, k] : keys_) {
      const auto it = shown.find(key);
      const auto v = it == shown.end() ? value{} : value{it->second};
      if (!k.maybe.contains(v))
        return key + " shows " + (v ? "'" + v->substr(0, 40) + "'" : "nothing") +
               ", which is older than what was acknowledged as durable";
    }
    return {};
  }

private:
  struct known {
    value now;
    std::set<value> maybe; ///< what a crash may leave
  };
  std::map<std::string, known> keys_;
};

} // namespace warp::testing
