#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace warp::cluster::etcd {

/// Which endpoint to ask, and when: the one that answered last, until it fails; then the others in
/// turn. One that failed is left alone for a random time that grows with each failure, so that many
/// clients do not come back at once. Pure: time and seed are handed in. One thread.
class endpoint_ring {
public:
  using clock = std::chrono::steady_clock;

  /// `count` >= 1; 0 < backoff_min <= backoff_max.
  endpoint_ring(std::size_t count, std::chrono::milliseconds backoff_min,
                std::chrono::milliseconds backoff_max, std::uint64_t seed);

  struct choice {
    std::size_t endpoint = 0;
    clock::time_point not_before; ///< in the past: at once
  };
  /// The current endpoint if it may be asked now, else the next that may, else the one that may
  /// soonest.
  [[nodiscard]] choice choose(clock::time_point now) const;

  void succeeded(std::size_t endpoint);
  void failed(std::size_t endpoint, clock::time_point now);

private:
  struct state {
    unsigned failures = 0; ///< in a row
    clock::time_point not_before{};
  };
  std::vector<state> endpoints_;
  std::size_t current_ = 0;
  std::chrono::milliseconds backoff_min_, backoff_max_;
  std::mt19937_64 random_;
};

} // namespace warp::cluster::etcd
