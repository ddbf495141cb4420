#pragma once

#include "cluster/replication/replica_messages.hpp"
#include "messages/status.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace warp::cluster::links {

/// The most that the records of an Append may be: what a Cap'n Proto pointer can reach. And the
/// longest body of a record, with all around it.
inline constexpr std::size_t packed_bytes_max = (std::size_t{1} << 29) - 1;
inline constexpr std::size_t record_body_bytes_max = packed_bytes_max - 23;

/// Bytes of the records of an Append, one after the other as messages/replication.capnp has them.
[[nodiscard]] std::size_t packed_bytes(const replication::append& from) noexcept;
/// Writes them to `to`, which has room for so many. No body is longer than record_body_bytes_max.
void pack_records(const replication::append& from, char* to) noexcept;
/// The inverse, for an Append of which everything else is known: copies the bytes once, and each is
/// looked at once. corruption: there are not `count` records, or they are out of order or of a
/// later epoch than their Append.
[[nodiscard]] op_status unpack_records(std::string_view bytes, std::size_t count,
                                       replication::append& to);

} // namespace warp::cluster::links
