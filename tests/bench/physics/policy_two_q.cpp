// 2Q (Johnson and Shasha, VLDB 1994): what is new passes a queue of 25 %; who is wanted again
// within the next 50 % after leaving it enters an LRU list of the rest.

#include "tests/bench/physics/cache_policy.hpp"
#include "tests/bench/physics/id_queue.hpp"

namespace warp::bench::physics {

namespace {

class two_q final : public cache_policy {
public:
  two_q(std::size_t keys, std::size_t capacity)
      : capacity_(capacity), in_limit_(capacity / 4), out_limit_(capacity / 2), links_(keys),
        where_(keys) {}

  bool access(std::uint32_t key) override {
    if (where_[key] == in) return true;
    if (where_[key] == main) {
      main_.to_front(links_, key);
      return true;
    }
    const bool wanted_again = where_[key] == out;
    if (wanted_again) {
      out_.remove(links_, key);
      where_[key] = nowhere;
    }
    if (in_limit_ == 0) return false;
    if (in_.size + main_.size == capacity_) make_room();
    if (wanted_again) {
      if (main_.size == capacity_ - in_limit_) where_[main_.pop(links_)] = nowhere;
      main_.push(links_, key);
      where_[key] = main;
    } else {
      in_.push(links_, key);
      where_[key] = in;
    }
    return false;
  }

private:
  enum : std::uint8_t { nowhere, in, out, main };

  void make_room() {
    if (in_.size <= in_limit_) {
      where_[main_.pop(links_)] = nowhere;
      return;
    }
    const auto key = in_.pop(links_);
    if (out_.size == out_limit_ && out_limit_ != 0) where_[out_.pop(links_)] = nowhere;
    if (out_limit_ != 0) out_.push(links_, key);
    where_[key] = out_limit_ != 0 ? out : nowhere;
  }

  std::size_t capacity_, in_limit_, out_limit_;
  id_links links_;
  id_queue in_, out_, main_;
  std::vector<std::uint8_t> where_;
};

} // namespace

std::unique_ptr<cache_policy> make_two_q(std::size_t keys, std::size_t capacity) {
  return std::make_unique<two_q>(keys, capacity);
}

} // namespace warp::bench::physics
