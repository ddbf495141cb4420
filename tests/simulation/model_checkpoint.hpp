#pragma once

#include "cluster/replication/checkpoint_transfer.hpp"
#include "tests/simulation/model_table.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace warp::testing {

/// A checkpoint: the table as it was at one place of the log, and the same as the bytes that
/// travel.
struct model_checkpoint {
  cluster::replication::log_position end;
  model_table table;
  std::string bytes;
  cluster::replication::checkpoint_manifest manifest;
};

/// Real ones are a million times as long and have chunks of 1 MiB.
inline constexpr std::uint32_t model_chunk_bytes = 96;

[[nodiscard]] std::uint32_t model_checksum(std::string_view bytes);
[[nodiscard]] std::shared_ptr<const model_checkpoint>
make_checkpoint(cluster::replication::log_position end, const model_table& table);
/// From what has arrived.
[[nodiscard]] std::shared_ptr<const model_checkpoint>
make_checkpoint(const cluster::replication::checkpoint_manifest& manifest, std::string bytes);

} // namespace warp::testing
