// The least frequently used one leaves, the one that has been so for longest first. Frequencies are
// those since the last admission.

#include "tests/bench/physics/cache_policy.hpp"
#include "tests/bench/physics/id_queue.hpp"

#include <map>

namespace warp::bench::physics {

namespace {

class lfu final : public cache_policy {
public:
  lfu(std::size_t keys, std::size_t capacity)
      : capacity_(capacity), links_(keys), frequency_(keys) {}

  bool access(std::uint32_t key) override {
    const bool found = frequency_[key] != 0;
    if (found) {
      leave(key);
    } else {
      if (size_ == capacity_) {
        const auto victim = by_frequency_.begin()->second.back;
        leave(victim);
        frequency_[victim] = 0;
      } else {
        ++size_;
      }
    }
    by_frequency_[++frequency_[key]].push(links_, key);
    return found;
  }

private:
  void leave(std::uint32_t key) {
    const auto at = by_frequency_.find(frequency_[key]);
    at->second.remove(links_, key);
    if (at->second.size == 0) by_frequency_.erase(at);
  }

  std::size_t capacity_, size_ = 0;
  id_links links_;
  std::map<std::uint64_t, id_queue> by_frequency_;
  std::vector<std::uint64_t> frequency_; // 0: not resident
};

} // namespace

std::unique_ptr<cache_policy> make_lfu(std::size_t keys, std::size_t capacity) {
  return std::make_unique<lfu>(keys, capacity);
}

} // namespace warp::bench::physics
