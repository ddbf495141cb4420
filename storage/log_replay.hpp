#pragma once

#include "messages/ids.hpp"
#include "messages/limits.hpp"
#include "messages/status.hpp"
#include "storage/file_system.hpp"
#include "storage/log_record.hpp"
#include "storage/segment_info.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace warp::storage {

/// The valid part of a segment in memory.
struct segment_bytes {
  std::shared_ptr<segment_info> info;
  std::unique_ptr<char[]> data;
  std::uint64_t size = 0, capacity = 0;
};
/// corruption when the file has become shorter. `reuse`: one that is no longer needed gives its
/// memory.
op_result<segment_bytes> load_segment(file_system& files, std::shared_ptr<segment_info> info,
                                      segment_bytes reuse = {});

/// Which records of a shard replay() hands out: above < lsn <= up_to.
struct replay_range {
  bool wanted = false;
  lsn_t above = 0;
  lsn_t up_to = lsn_max;
};

/// What is known about a record beside itself.
struct replay_context {
  shard_id shard;
  epoch_t epoch = 0;
  std::uint64_t timestamp_us = 0;
};

using record_consumer = std::function<op_status(const replay_context&, const log_record&)>;

/// Hands out the records of the shards whose range[shard.value] is wanted, in log order per shard;
/// void ones, parts records and LSNs outside the range are left out, compressed values come as they
/// were (in record.large, at most `value_bytes_max`). Views point into `segment`. Frames are
/// checked again. Any number of threads may replay one segment. corruption names path and offset.
/// Stops with the status that `consume` returns when that is not ok.
op_status replay(const segment_bytes& segment, std::span<const replay_range> range,
                 const record_consumer& consume, std::size_t value_bytes_max = value_size_hard_max);

} // namespace warp::storage
