#pragma once

#include "physics/temporal_tiers.hpp"

#include <cstdint>

namespace warp::bench::physics {

/// What the tiers are judged with: read costs, prices, value sizes. Traces have neither sizes nor
/// times, and where every value is wanted again within minutes "memory" is right for all of them;
/// so a window of 10,000 accesses is an hour here, the time in which ten reads of a value of the
/// median size pay for its room in memory.
///
///     memory  0.2 us          the median value for an hour is worth ten reads from the SSD
///     packed  3 us + 2 us/KiB the same room for what is left of the value (zstd, measured 1.9 us
///                             for a value of 200 bytes)
///     ssd     100 us          a fortieth of memory's price a byte (3 $ and 0.08 $ a GB)
///     disk    8 ms            a two-hundredth (0.015 $ a GB)
inline constexpr std::size_t tier_window = 10'000;
inline constexpr double tier_window_s = 3600;

[[nodiscard]] warp::physics::tier_costs tier_costs_of_the_bench();

/// Size and compressibility of a value, by its key's number: log-normal around 512 bytes (64 bytes
/// to 16 KiB), and a share of 0.25 to 0.9 left once compressed.
[[nodiscard]] warp::physics::tiered_value value_of(std::uint32_t key);

} // namespace warp::bench::physics
