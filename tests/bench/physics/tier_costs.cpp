#include "tests/bench/physics/tier_costs.hpp"

#include "physics/mixing.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace warp::bench::physics {

using namespace warp::physics;

namespace {
constexpr double median_bytes = 512;
}

warp::physics::tier_costs tier_costs_of_the_bench() {
  constexpr double ssd_us = 100, memory_price = 10 * ssd_us / (median_bytes * tier_window_s);
  warp::physics::tier_costs out;
  out[index_of(temporal_tier::memory)] = {.read_us = 0.2, .price_us_per_byte_s = memory_price};
  out[index_of(temporal_tier::device)] = {.present = false};
  out[index_of(temporal_tier::packed)] = {
      .read_us = 3, .read_us_per_kib = 2, .price_us_per_byte_s = memory_price, .packs = true};
  out[index_of(temporal_tier::ssd)] = {
      .read_us = ssd_us, .price_us_per_byte_s = memory_price / 40, .packs = true};
  out[index_of(temporal_tier::disk)] = {
      .read_us = 8000, .price_us_per_byte_s = memory_price / 200, .packs = true};
  return out;
}

tiered_value value_of(std::uint32_t key) {
  mixed_sequence random{key};
  const double a = 1 - random.unit(), b = random.unit();
  const double normal = std::sqrt(-2 * std::log(a)) * std::cos(2 * std::numbers::pi * b);
  return {std::clamp(std::round(median_bytes * std::exp(normal)), 64.0, 16'384.0),
          0.25 + 0.65 * random.unit()};
}

} // namespace warp::bench::physics
