#pragma once

#include "messages/ids.hpp"
#include "storage/table.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace warp::storage {

/// Durations counted by powers of two: buckets[i] holds those of bit width i, in ns: [2^(i-1),
/// 2^i).
struct latency_histogram {
  static constexpr std::size_t bucket_count = 40;
  std::array<std::uint64_t, bucket_count> buckets{};
  std::uint64_t count = 0;
  std::uint64_t sum_ns = 0;
};

/// Plain counters of one shard since start; a copy.
struct shard_stats {
  std::uint64_t gets = 0, get_hits = 0, puts = 0, erases = 0, other_ops = 0;
  std::uint64_t bytes_read = 0, bytes_written = 0; ///< of keys and values through execute()
  std::uint64_t expired = 0;
  std::uint64_t memory_refusals = 0; ///< writes refused because the memory limit was reached
  std::uint64_t log_records = 0, log_bytes = 0;
  std::uint64_t stalls = 0;     ///< writes that waited for room in the log buffer, or in the log
  std::uint64_t lock_waits = 0; ///< times the shard's lock was found held
  lsn_t last_lsn = 0, durable_lsn = 0;
  epoch_t epoch = 0;
  std::uint64_t durable_lag_ms = 0; ///< age of the oldest write that is not on disk yet
  lsn_t checkpoint_lsn = 0;         ///< end LSN of the newest checkpoint; 0: none
  std::uint64_t checkpoint_at_ms = 0, checkpoint_bytes = 0, checkpoint_duration_ms = 0,
                checkpoints = 0;
  latency_histogram read_latency, write_latency; ///< sampled
  table_stats table;
};

/// Plain counters of one log stream since start; a copy.
struct stream_stats {
  std::uint64_t rounds = 0, frames = 0, bytes = 0, syncs = 0, segments_created = 0,
                segments_recycled = 0;
  std::uint64_t segment_waits = 0; ///< a full segment whose successor was not there in time
  std::uint64_t segments = 0, segment_bytes = 0; ///< files kept now
  /// Of the writes of a round, and of its sync. A direct round is both in one: counted as a sync.
  latency_histogram write_latency, sync_latency;
  bool direct = false;                      ///< written past the page cache
  std::uint64_t failures = 0, revivals = 0; ///< times it failed, and started a new chain
  bool failed = false, no_space = false;
  std::string failure; ///< why, when failed or out of space
};

/// The log on disk, of all streams together; a copy.
struct log_stats {
  std::uint64_t bytes = 0;                 ///< of all files, spares included
  std::uint64_t closed_bytes = 0;          ///< of segments that only wait for checkpoints
  std::uint64_t pause_bytes = 0;           ///< at this much of closed_bytes writers pause
  std::uint64_t pauses = 0, paused_ms = 0; ///< since start, the one that lasts included
  std::uint64_t mend_failures = 0; ///< attempts to mend it that came to nothing, since start
};

/// What a start found and did.
struct recovery_report {
  std::uint64_t checkpoint_records = 0, log_records = 0, log_frames = 0, log_bytes = 0;
  std::uint64_t duration_ms = 0;
  bool clean = true;                  ///< the last stop wrote its end mark (or the folder is new)
  bool created = false;               ///< the folder was new
  std::uint64_t torn_bytes = 0;       ///< tail of the last round, cut off
  std::uint64_t transactions_cut = 0; ///< parts cut because another part was not on disk
  std::vector<std::string> warnings;  ///< a damaged checkpoint that was passed over, ...
};

} // namespace warp::storage
