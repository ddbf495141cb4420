#pragma once

#include "cluster/resp_commands.hpp"
#include "storage/hash_view.hpp"

#include <cstdint>

namespace warp::cluster {

/// Most fields that a negative count of HRANDFIELD may ask for, and most bytes of names and values
/// that such an answer has. Redis knows no such bounds, and runs out of memory instead.
inline constexpr std::int64_t repeated_fields_max = 1'000'000;
inline constexpr std::uint64_t repeated_bytes_max = 512u << 20;

/// Writes what HRANDFIELD answers. `shape`: hash_random (one field), hash_random_names or
/// hash_random_pairs (`count` of them; below 0: -count, of which some may be the same). All fields
/// of a packed hash are drawn evenly; of an indexed one about so, unless many are asked for: its
/// leaves hold more or less fields. Throws std::bad_alloc.
void write_random_fields(resp_writer& out, const storage::hash_view& fields, reply_shape shape,
                         std::int64_t count);

} // namespace warp::cluster
