#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace warp::testing {

/// Virtual time in microseconds, and what happens at which moment. What is due at the same moment
/// happens in the order in which it was put in.
class event_queue {
public:
  using time = std::int64_t;

  [[nodiscard]] time now() const { return now_; }
  void after(time delay, std::function<void()> what) {
    entries_.push_back({now_ + delay, ++count_, std::move(what)});
    std::ranges::push_heap(entries_, later);
  }
  /// Runs what is due next, unless it is due after `until`. False: nothing was.
  bool run_next(time until) {
    if (entries_.empty() || entries_.front().when > until) {
      now_ = std::max(now_, until);
      return false;
    }
    std::ranges::pop_heap(entries_, later);
    auto next = std::move(entries_.back());
    entries_.pop_back();
    now_ = next.when;
    next.what();
    return true;
  }
  /// Events so far.
  [[nodiscard]] std::uint64_t count() const { return count_; }

private:
  struct entry {
    time when;
    std::uint64_t number;
    std::function<void()> what;
  };
  static bool later(const entry& a, const entry& b) {
    return std::pair{a.when, a.number} > std::pair{b.when, b.number};
  }
  time now_ = 0;
  std::uint64_t count_ = 0;
  std::vector<entry> entries_;
};

} // namespace warp::testing
