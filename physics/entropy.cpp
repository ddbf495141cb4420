#include "physics/entropy.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace warp::physics {

namespace {

struct totals {
  double load = 0, capacity = 0, use = 0;
};

totals total_of(std::span<const place_load> places) noexcept {
  totals sum;
  for (const auto& p : places) {
    assert(p.load >= 0 && p.capacity > 0);
    sum.load += p.load;
    sum.capacity += p.capacity;
    sum.use += p.load / p.capacity;
  }
  return sum;
}

} // namespace

double entropy_bits(std::span<const place_load> places) noexcept {
  if (places.empty()) return 0;
  const double most = std::log2(static_cast<double>(places.size()));
  const double use = total_of(places).use;
  if (use <= 0) return most;
  double bits = 0;
  for (const auto& p : places)
    if (const double share = p.load / p.capacity / use; share > 0) bits -= share * std::log2(share);
  return std::clamp(bits, 0.0, most); // rounding may leave a last digit outside
}

double evenness(std::span<const place_load> places) noexcept {
  if (places.size() < 2) return 1;
  return entropy_bits(places) / std::log2(static_cast<double>(places.size()));
}

double divergence_bits(std::span<const place_load> places) noexcept {
  const auto sum = total_of(places);
  if (sum.load <= 0) return 0;
  double bits = 0;
  for (const auto& p : places)
    if (const double share = p.load / sum.load; share > 0)
      bits += share * std::log2(share / (p.capacity / sum.capacity));
  return std::max(bits, 0.0);
}

double max_over_mean(std::span<const place_load> places) noexcept {
  const auto sum = total_of(places);
  if (sum.load <= 0) return 1;
  double fullest = 0;
  for (const auto& p : places) fullest = std::max(fullest, p.load / p.capacity);
  return std::max(fullest * sum.capacity / sum.load, 1.0);
}

} // namespace warp::physics
