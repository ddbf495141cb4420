// W-TinyLFU (Einziger, Friedman and Manes, TOS 2017): a window of 1 % and a segmented LRU list of
// the rest, 1 : 4; who leaves the window must be more frequent than the one it would push out.
// After the description of libCacheSim's: ten counters of 32 bits a key, raised by hits outside the
// window, admissions and refusals, halved after 32 hits for each place.
//
// Not the same algorithm to the third digit: the counters are hashed with other functions, and the
// figures differ from libCacheSim's by 0.1 to 1.6 points, at orm-busy 1 %, where a window of 7 keys
// decides, by 9.

#include "physics/mixing.hpp"
#include "tests/bench/physics/cache_policy.hpp"
#include "tests/bench/physics/id_queue.hpp"

#include <algorithm>
#include <cmath>

namespace warp::bench::physics {

namespace {

/// Counts by ten hashes; the least of them is the estimate.
class counting_filter {
public:
  explicit counting_filter(std::size_t keys) {
    const auto a_key = -std::log(0.001) / (std::log(2.0) * std::log(2.0));
    counters_.resize(std::max<std::size_t>(
        2 * hashes, static_cast<std::size_t>(std::ceil(a_key * static_cast<double>(keys)))));
  }
  void add(std::uint32_t key) {
    each(key, [](std::uint32_t& counter) { ++counter; });
  }
  std::uint32_t estimate(std::uint32_t key) {
    std::uint32_t least = ~std::uint32_t{0};
    each(key, [&](std::uint32_t counter) { least = std::min(least, counter); });
    return least;
  }
  void halve() {
    for (auto& counter : counters_) counter /= 2;
  }

private:
  static constexpr std::size_t hashes = 10;
  template <class Do>
  void each(std::uint32_t key, Do&& act) {
    const auto hash = warp::physics::mix(key);
    const auto a = static_cast<std::uint32_t>(hash), b = static_cast<std::uint32_t>(hash >> 32);
    for (std::uint32_t i = 0; i < hashes; ++i) act(counters_[(a + i * b) % counters_.size()]);
  }
  std::vector<std::uint32_t> counters_;
};

class w_tiny_lfu final : public cache_policy {
public:
  w_tiny_lfu(std::size_t keys, std::size_t capacity)
      : capacity_(capacity), window_limit_(capacity / 100),
        main_limit_(capacity - window_limit_), segment_limit_{main_limit_ / 5, main_limit_ * 4 / 5},
        links_(keys), where_(keys), counts_(main_limit_) {}

  bool access(std::uint32_t key) override {
    switch (where_[key]) {
    case window:
      window_.to_front(links_, key);
      return true;
    case first:
    case second:
      main_hit(key);
      return true;
    default:
      break;
    }
    if (window_limit_ == 0 || segment_limit_[0] == 0) return false;
    if (window_.size + main_size() == capacity_) make_room();
    window_.push(links_, key);
    where_[key] = window;
    counts_.add(key);
    return false;
  }

private:
  enum : std::uint8_t { nowhere, first, second, window };

  [[nodiscard]] std::size_t main_size() const { return segment_[0].size + segment_[1].size; }
  void main_hit(std::uint32_t key) {
    segment_[where_[key] - first].remove(links_, key);
    segment_[1].push(links_, key);
    where_[key] = second;
    while (segment_[1].size > segment_limit_[1]) {
      const auto cooled = segment_[1].pop(links_);
      segment_[0].push(links_, cooled);
      where_[cooled] = first;
    }
    counts_.add(key);
    if (++hits_ >= 32 * main_limit_) {
      hits_ = 0;
      counts_.halve();
    }
  }
  void enter_main(std::uint32_t key) {
    const bool lower =
        segment_[0].size < segment_limit_[0] || segment_[1].size >= segment_limit_[1];
    segment_[lower ? 0 : 1].push(links_, key);
    where_[key] = lower ? first : second;
  }
  void make_room() {
    for (bool done = false; !done;) {
      const auto key = window_.pop(links_);
      if (main_size() < main_limit_) {
        enter_main(key);
      } else {
        auto& lowest = segment_[segment_[0].size != 0 ? 0 : 1];
        if (counts_.estimate(key) > counts_.estimate(lowest.back)) {
          where_[lowest.pop(links_)] = nowhere;
          enter_main(key);
        } else {
          where_[key] = nowhere;
        }
        done = true;
      }
      counts_.add(key);
    }
  }

  std::size_t capacity_, window_limit_, main_limit_, segment_limit_[2];
  id_links links_;
  id_queue window_, segment_[2];
  std::vector<std::uint8_t> where_;
  counting_filter counts_;
  std::size_t hits_ = 0;
};

} // namespace

std::unique_ptr<cache_policy> make_w_tiny_lfu(std::size_t keys, std::size_t capacity) {
  return std::make_unique<w_tiny_lfu>(keys, capacity);
}

} // namespace warp::bench::physics
