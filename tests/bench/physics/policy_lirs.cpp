// LIRS (Jiang and Zhang, SIGMETRICS 2002): ranks keys by the distance between their last two uses.
// As libCacheSim does it: 1 % for keys of high distance, at most 2x the capacity in the stack, and
// a hit on a key that is in the queue alone frees a place among those of low distance.

#include "tests/bench/physics/cache_policy.hpp"
#include "tests/bench/physics/id_queue.hpp"

#include <algorithm>

namespace warp::bench::physics {

namespace {

class lirs final : public cache_policy {
public:
  lirs(std::size_t keys, std::size_t capacity)
      : capacity_(capacity), high_limit_(std::max<std::size_t>(1, capacity / 100)),
        low_limit_(capacity - high_limit_), stack_links_(keys), queue_links_(keys),
        ghost_links_(keys), state_(keys) {}

  bool access(std::uint32_t key) override {
    const bool found = step(key);
    while (stack_.size > 2 * capacity_ && ghosts_.size != 0) {
      const auto oldest = ghosts_.pop(ghost_links_);
      stack_.remove(stack_links_, oldest);
      state_[oldest] = {};
    }
    return found;
  }

private:
  struct state {
    bool in_stack, in_queue, low; // a ghost is in the stack, of high distance and not in the queue
  };

  bool step(std::uint32_t key) {
    auto& s = state_[key];
    if (s.in_stack) stack_.to_front(stack_links_, key);
    if (s.in_queue) queue_.to_front(queue_links_, key);
    if (s.low) {
      prune();
      return true;
    }
    if (s.in_stack && s.in_queue) {
      queue_.remove(queue_links_, key);
      s.in_queue = false;
      while (low_ + 1 > low_limit_) lower_the_oldest();
      become_low(s);
      return true;
    }
    if (s.in_queue) {
      while (low_ + 1 > low_limit_) lower_the_oldest();
      stack_.push(stack_links_, key);
      s.in_stack = true;
      if (!s.in_queue) ghosts_.push(ghost_links_, key); // a queue of one has lost it on the way
      return true;
    }
    if (s.in_stack) { // a ghost
      while (low_ + 1 > low_limit_) lower_the_oldest();
      ghosts_.remove(ghost_links_, key);
      become_low(s);
      return false;
    }
    while (low_ + 1 > low_limit_ && queue_.size + 1 > high_limit_) evict();
    stack_.push(stack_links_, key);
    s.in_stack = true;
    if (low_ + 1 <= low_limit_)
      become_low(s);
    else
      enqueue(key);
    return false;
  }

  void become_low(state& s) {
    s.low = true;
    ++low_;
  }
  void enqueue(std::uint32_t key) {
    queue_.push(queue_links_, key);
    state_[key].in_queue = true;
  }
  void evict() {
    const auto key = queue_.pop(queue_links_);
    state_[key].in_queue = false;
    if (state_[key].in_stack) ghosts_.push(ghost_links_, key);
  }
  /// The last one in the stack is always of low distance.
  void lower_the_oldest() {
    const auto key = stack_.pop(stack_links_);
    state_[key].in_stack = state_[key].low = false;
    --low_;
    while (queue_.size + 1 > high_limit_) evict();
    enqueue(key);
    prune();
  }
  void prune() {
    while (stack_.back != stack_.front && !state_[stack_.back].low) {
      const auto key = stack_.pop(stack_links_);
      if (!state_[key].in_queue) ghosts_.remove(ghost_links_, key);
      state_[key].in_stack = false;
    }
  }

  std::size_t capacity_, high_limit_, low_limit_;
  id_links stack_links_, queue_links_, ghost_links_;
  id_queue stack_, queue_, ghosts_;
  std::vector<state> state_;
  std::size_t low_ = 0;
};

} // namespace

std::unique_ptr<cache_policy> make_lirs(std::size_t keys, std::size_t capacity) {
  return std::make_unique<lirs>(keys, capacity);
}

} // namespace warp::bench::physics
