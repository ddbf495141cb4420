#pragma once

#include "tests/bench/physics/trace.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace warp::bench::physics {

/// A cache that holds `capacity` keys of equal size: the judge of what our horizon keeps. Keys are
/// numbers below the `keys` that it was made for.
class cache_policy {
public:
  cache_policy() = default;
  cache_policy(const cache_policy&) = delete;
  cache_policy& operator=(const cache_policy&) = delete;
  virtual ~cache_policy() = default;

  /// Reads a key and takes it in if it was not there. True: it was there.
  virtual bool access(std::uint32_t key) = 0;
};

using make_policy = std::unique_ptr<cache_policy> (*)(std::size_t keys, std::size_t capacity);

// Well-known policies with the parameters that libCacheSim (github.com/1a1a11a/libCacheSim) gives
// them; each file says what it is and where ours differs. All O(1) an access, LFU and W-TinyLFU
// with larger constants.

std::unique_ptr<cache_policy> make_arc(std::size_t keys, std::size_t capacity);
std::unique_ptr<cache_policy> make_fifo(std::size_t keys, std::size_t capacity);
std::unique_ptr<cache_policy> make_lfu(std::size_t keys, std::size_t capacity);
std::unique_ptr<cache_policy> make_lirs(std::size_t keys, std::size_t capacity);
std::unique_ptr<cache_policy> make_lru(std::size_t keys, std::size_t capacity);
std::unique_ptr<cache_policy> make_s3_fifo(std::size_t keys, std::size_t capacity);
std::unique_ptr<cache_policy> make_sieve(std::size_t keys, std::size_t capacity);
std::unique_ptr<cache_policy> make_two_q(std::size_t keys, std::size_t capacity);
std::unique_ptr<cache_policy> make_w_tiny_lfu(std::size_t keys, std::size_t capacity);

/// Ours with the settings it starts with, never re-fitted.
std::unique_ptr<cache_policy> make_fixed_horizon(std::size_t keys, std::size_t capacity);
/// Ours: re-fitted while it runs, from what lies before each access.
std::unique_ptr<cache_policy> make_fitted_horizon(std::size_t keys, std::size_t capacity);

/// A policy over a whole trace: the share of accesses that it missed.
double miss_ratio(cache_policy& policy, const trace& t);

/// The least misses that any policy can have with this capacity, which knows the future and may
/// decline to keep what it has read (Belady 1966, with bypass). O(n log n).
double belady_miss_ratio(const trace& t, std::size_t capacity);

} // namespace warp::bench::physics
