// First in, first out.

#include "tests/bench/physics/cache_policy.hpp"
#include "tests/bench/physics/id_queue.hpp"

namespace warp::bench::physics {

namespace {

class fifo final : public cache_policy {
public:
  fifo(std::size_t keys, std::size_t capacity)
      : capacity_(capacity), links_(keys), resident_(keys) {}

  bool access(std::uint32_t key) override {
    if (resident_[key]) return true;
    if (queue_.size == capacity_) resident_[queue_.pop(links_)] = 0;
    queue_.push(links_, key);
    resident_[key] = 1;
    return false;
  }

private:
  std::size_t capacity_;
  id_links links_;
  id_queue queue_;
  std::vector<std::uint8_t> resident_;
};

} // namespace

std::unique_ptr<cache_policy> make_fifo(std::size_t keys, std::size_t capacity) {
  return std::make_unique<fifo>(keys, capacity);
}

} // namespace warp::bench::physics
