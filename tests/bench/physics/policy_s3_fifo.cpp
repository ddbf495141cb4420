// S3-FIFO (Yang et al., SOSP 2023) as published: a small queue of 10 %, ghosts for 90 %, two hits
// to stay, a main queue with two bits. What we have to beat at the same cost.

#include "tests/bench/physics/cache_policy.hpp"
#include "tests/bench/physics/id_queue.hpp"

#include <algorithm>

namespace warp::bench::physics {

namespace {

class s3_fifo final : public cache_policy {
public:
  s3_fifo(std::size_t keys, std::size_t capacity)
      : capacity_(capacity), small_limit_(capacity / 10), ghost_limit_(capacity * 9 / 10),
        links_(keys), where_(keys), hits_(keys) {}

  bool access(std::uint32_t key) override {
    if (where_[key] == small || where_[key] == main) {
      hits_[key] = static_cast<std::uint8_t>(std::min(hits_[key] + 1, 3));
      return true;
    }
    const bool returned = where_[key] == ghost;
    if (returned) {
      ghosts_.remove(links_, key);
      where_[key] = nowhere;
    }
    if (!returned && small_limit_ <= 1)
      return false; // libCacheSim declines what fills the small queue
    while (small_.size + main_.size == capacity_) make_room();
    hits_[key] = 0;
    if (returned)
      enter(main_, main, key);
    else
      enter(small_, small, key);
    return false;
  }

private:
  enum : std::uint8_t { nowhere, small, main, ghost };

  void enter(id_queue& q, std::uint8_t name, std::uint32_t key) {
    q.push(links_, key);
    where_[key] = name;
  }
  void make_room() {
    if (main_.size > capacity_ - small_limit_ || small_.size == 0)
      from_main();
    else
      from_small();
  }
  void from_main() {
    for (;;) {
      const auto key = main_.pop(links_);
      if (hits_[key] == 0) {
        where_[key] = nowhere;
        return;
      }
      --hits_[key];
      main_.push(links_, key);
    }
  }
  void from_small() {
    while (small_.size != 0) {
      const auto key = small_.pop(links_);
      if (hits_[key] < 2) {
        if (ghosts_.size == ghost_limit_) where_[ghosts_.pop(links_)] = nowhere;
        enter(ghosts_, ghost, key);
        return;
      }
      hits_[key] = 0;
      enter(main_, main, key);
    }
  }

  std::size_t capacity_, small_limit_, ghost_limit_;
  id_links links_;
  id_queue small_, main_, ghosts_;
  std::vector<std::uint8_t> where_, hits_;
};

} // namespace

std::unique_ptr<cache_policy> make_s3_fifo(std::size_t keys, std::size_t capacity) {
  return std::make_unique<s3_fifo>(keys, capacity);
}

} // namespace warp::bench::physics
