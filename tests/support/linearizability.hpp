#pragma once

#include "messages/ids.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace warp::testing {

/// What somebody asked of one key.
enum class register_call : std::uint8_t {
  get,
  put,
  erase,
  compare_and_set, ///< writes where the version is the expected one
  increment,
  replace, ///< writes where the value is the one named
};

/// What became of it.
enum class register_outcome : std::uint8_t {
  ok,
  not_found,        ///< get, erase: the key was absent
  version_mismatch, ///< compare_and_set: `version` is the one it met
  wrong_type,       ///< increment: the value was no number
  not_equal,        ///< replace: the key was absent or had another value
  refused,          ///< nothing was done, whatever the reason
  unknown,          ///< no answer: it may be done at any time after it began, or never
};

/// One call on one key and its answer. Times are numbers of moments, as recorded_history hands them
/// out, or of a clock: of what has the same time, beginnings come before ends.
struct register_event {
  unsigned client = 0;
  register_call call = register_call::get;
  std::string value;      ///< put, compare_and_set, replace: what is written; get: what was read
  std::string old;        ///< replace: what must be there
  lsn_t expected = 0;     ///< compare_and_set; 0: the key is absent
  std::int64_t delta = 1; ///< increment
  register_outcome outcome = register_outcome::unknown;
  /// ok: of the record, not for erase, 0 where nobody told; version_mismatch: the one it met.
  lsn_t version = 0;
  std::int64_t number = 0;            ///< increment: the result
  std::uint64_t began = 0, ended = 0; ///< `ended` is ignored where the outcome is unknown
};

/// "client 3  [17, 25]  put "a" -> ok, version 9"
[[nodiscard]] std::string to_string(const register_event& event);

enum class linearizability : std::uint8_t { yes, no, undecided };

struct linearizability_verdict {
  linearizability is = linearizability::yes;
  std::uint64_t steps = 0; ///< that the search has taken
  /// For no: the events, one a line, of the shortest stretch of time that no order explains,
  /// whatever was there before it.
  std::string window;
};

/// Is there an order of the calls on one key, each at a moment between its beginning and its end,
/// that explains all answers? The key is absent at first; its versions only grow, also over erases.
///
/// The search of Wing and Gong with the memory of Lowe: linear where few calls overlap, exponential
/// in the calls that are open at the same time at worst, so it gives up after `steps_max`. Calls
/// without an answer stay open for ever: they are tried last, and only where something else sees
/// what they did, as else they may as well never have been done.
[[nodiscard]] linearizability_verdict check_linearizable(const std::vector<register_event>& events,
                                                         std::uint64_t steps_max = 10'000'000);

/// Calls as several threads make them, by key. Each client of it belongs to one thread; read it
/// when they have ended.
class recorded_history {
public:
  class client {
  public:
    client(recorded_history& history, unsigned number) : history_(history), number_(number) {}

    /// A call begins: from here on it may be done.
    register_event begin(register_call call) {
      register_event event;
      event.client = number_;
      event.call = call;
      event.began = history_.next_moment();
      return event;
    }
    /// Its answer is there, and in the event.
    void end(std::string_view key, register_event event) {
      event.ended = history_.next_moment();
      events_[std::string{key}].push_back(std::move(event));
    }

  private:
    friend class recorded_history;
    recorded_history& history_;
    unsigned number_;
    std::map<std::string, std::vector<register_event>, std::less<>> events_;
  };

  /// Adds what a client has recorded.
  void take(client&& from);
  [[nodiscard]] const std::map<std::string, std::vector<register_event>, std::less<>>&
  events() const noexcept {
    return events_;
  }
  /// Calls of all keys.
  [[nodiscard]] std::size_t size() const noexcept;
  /// Empty: every key is linearizable; else which one is not, or was not decided, and the window.
  [[nodiscard]] std::string complaint() const;

private:
  std::uint64_t next_moment() noexcept { return moments_.fetch_add(1) + 1; }

  std::atomic<std::uint64_t> moments_{0};
  std::map<std::string, std::vector<register_event>, std::less<>> events_;
};

} // namespace warp::testing
