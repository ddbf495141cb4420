#include "tests/bench/physics/prefetching_memory.hpp"

#include "tests/bench/physics/tier_costs.hpp"

#include <algorithm>
#include <cmath>

namespace warp::bench::physics {

using namespace warp::physics;

namespace {

constexpr std::uint32_t block = 8;
constexpr std::size_t window_length = 32;
constexpr double accesses_per_s = 1'000; ///< traces have no times
constexpr double unit = 64;              ///< what one value takes where all are of one size

std::uint64_t capacity_of(std::size_t keys, const memory_options& options) {
  double all = 0;
  for (std::uint32_t key = 0; key < keys; ++key)
    all += options.unit_sizes ? unit : value_of(key).bytes;
  const double least = options.unit_sizes ? unit : 1;
  return static_cast<std::uint64_t>(std::max(std::floor(all * options.share), least));
}

} // namespace

prefetching_memory::prefetching_memory(std::size_t keys, const memory_options& options)
    : options_(options), horizon_(capacity_of(keys, options)),
      index_({.keys_max = 65'536, .partners_max = 16, .reach = 8}),
      resident_(keys, event_horizon::none), stamp_(keys, event_horizon::no_stamp),
      unused_(keys, 0) {}

std::uint32_t prefetching_memory::size_of(std::uint32_t key) const {
  const auto value = value_of(key);
  const double bytes = options_.unit_sizes ? unit : value.bytes;
  return static_cast<std::uint32_t>(std::ceil(options_.packs ? bytes * value.packed_share : bytes));
}

void prefetching_memory::take_in(std::uint32_t key, bool ghost) {
  resident_[key] = horizon_.admit(key, size_of(key), ghost);
  for (const auto& gone : horizon_.gone()) {
    resident_[gone.owner] = event_horizon::none;
    stamp_[gone.owner] = gone.stamp;
    if (unused_[gone.owner]) {
      ++counts_.wasted;
      governor_.outcome(unused_[gone.owner] - 1, false);
    }
    unused_[gone.owner] = 0;
  }
}

void prefetching_memory::learn(std::uint32_t key) {
  ++accesses_;
  window_.push_back(key);
  if (window_.size() < window_length) return;
  index_.observe(window_, static_cast<double>(accesses_) / accesses_per_s);
  window_.clear();
}

void prefetching_memory::access(std::uint32_t key) {
  if (options_.prefetch) learn(key);
  if (resident_[key] != event_horizon::none) {
    if (unused_[key]) {
      ++counts_.used;
      governor_.outcome(unused_[key] - 1, true);
    }
    unused_[key] = 0;
    horizon_.hit(resident_[key]);
    return;
  }
  ++counts_.reads;
  const bool first_time = key >= known_;
  counts_.first_reads += first_time;
  known_ = std::max(known_, key + 1);
  take_in(key, horizon_.is_ghost(stamp_[key]));
  if (!options_.prefetch || first_time) return;
  const std::uint32_t begin = key / block * block, end = std::min(begin + block, known_);
  for (auto other = begin; other < end; ++other) {
    if (resident_[other] != event_horizon::none) continue;
    const double strength = index_.strength(key, other);
    if (strength <= 0) continue;
    const auto grade = prefetch_governor::of(strength);
    if (!governor_.allows(grade)) continue;
    ++counts_.prefetched;
    unused_[other] = static_cast<std::uint8_t>(grade + 1);
    take_in(other, false);
  }
}

} // namespace warp::bench::physics
