// SIEVE (Zhang et al., NSDI 2024): one queue, one bit, and a hand that moves from old to new and
// takes the first one without a hit.

#include "tests/bench/physics/cache_policy.hpp"
#include "tests/bench/physics/id_queue.hpp"

namespace warp::bench::physics {

namespace {

class sieve final : public cache_policy {
public:
  sieve(std::size_t keys, std::size_t capacity) : capacity_(capacity), links_(keys), state_(keys) {}

  bool access(std::uint32_t key) override {
    if (state_[key] != nowhere) {
      state_[key] = visited;
      return true;
    }
    if (queue_.size == capacity_) make_room();
    queue_.push(links_, key);
    state_[key] = resident;
    return false;
  }

private:
  enum : std::uint8_t { nowhere, resident, visited };

  void make_room() {
    auto key = hand_ == id_queue::none ? queue_.back : hand_;
    while (state_[key] == visited) {
      state_[key] = resident;
      key = links_.newer[key] == id_queue::none ? queue_.back : links_.newer[key];
    }
    hand_ = links_.newer[key];
    queue_.remove(links_, key);
    state_[key] = nowhere;
  }

  std::size_t capacity_;
  id_links links_;
  id_queue queue_;
  std::uint32_t hand_ = id_queue::none;
  std::vector<std::uint8_t> state_;
};

} // namespace

std::unique_ptr<cache_policy> make_sieve(std::size_t keys, std::size_t capacity) {
  return std::make_unique<sieve>(keys, capacity);
}

} // namespace warp::bench::physics
