#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace warp {

/// What operators see, as the server and its client hand it on: plain values in the words of
/// messages/warp.capnp.

/// Counters of one shard since the server started; bytes, milliseconds. Fields as in `ShardInfo` of
/// warp.capnp.
struct shard_summary {
  shard_id shard;
  std::uint64_t gets = 0, get_hits = 0, puts = 0, erases = 0, other_operations = 0;
  std::uint64_t bytes_read = 0, bytes_written = 0;
  std::uint64_t expired = 0;
  std::uint64_t log_records = 0, log_bytes = 0, stalls = 0;
  lsn_t last_lsn = 0, durable_lsn = 0;
  epoch_t epoch = 0;
  std::uint64_t durable_lag_ms = 0;
  lsn_t checkpoint_lsn = 0; ///< 0: none
  std::uint64_t checkpoint_at_ms = 0, checkpoint_bytes = 0;
  std::uint64_t keys = 0, expiring_keys = 0;
  std::uint64_t key_bytes = 0, value_bytes = 0, record_bytes = 0, index_bytes = 0;
  double accesses_per_s = 0, bytes_per_s = 0, mass = 0; ///< decayed; 0 below physics tier T2
};

/// Counters of one log stream since the server started.
struct stream_summary {
  std::uint32_t stream = 0;
  std::uint64_t rounds = 0, frames = 0, bytes = 0, syncs = 0;
  std::uint64_t segments = 0, segment_bytes = 0; ///< files kept now
  std::string failure;                           ///< why it refuses writes; empty: it does not
};

/// One actor of the supervision tree.
struct actor_summary {
  std::string path;  ///< "universe/storage/shard-3": supervisors first
  std::string state; ///< "running", "restarting", "stopped"
  std::uint64_t restarts = 0;
  std::string last_failure; ///< empty: never restarted
};

/// One record of a shard's log: the after-image that replay applies.
struct log_record_summary {
  lsn_t lsn = 0;
  std::string operation; ///< "put", "erase", ...
  std::string key;
  std::string value; ///< empty unless asked for
  std::uint64_t value_bytes = 0;
  std::uint64_t expires_at_ms = 0; ///< 0: never
  request_id request;
};

/// What one shard wrote in one group commit.
struct log_frame_summary {
  epoch_t epoch = 0;
  lsn_t previous_lsn = 0, first_lsn = 0, last_lsn = 0;
  std::uint64_t timestamp_us = 0; ///< since 1970
  std::uint64_t bytes = 0;        ///< in the log
  std::vector<log_record_summary> records;
};

/// What checking everything at rest has found: see `verify` in warp.capnp.
struct verify_summary {
  std::uint64_t begun = 0, finished = 0; ///< runs
  std::uint64_t files = 0, bytes = 0;    ///< of the last run that ended
  std::vector<std::string> findings;     ///< of it: what is damaged
  std::string failure;                   ///< why it could not check everything; empty: it did
};

/// One page of a shard's log.
struct log_page {
  std::vector<log_frame_summary> frames;
  lsn_t next_lsn = 0; ///< where to go on; 0: the end for now
};

/// How far a backup is, or what became of it. Fields as in `BackupState` of warp.capnp.
struct backup_summary {
  bool done = false;
  std::uint64_t bytes_done = 0, bytes_total = 0;
  op_status result; ///< when done
  std::string name;
  std::uint64_t bytes = 0, new_bytes = 0, taken_us = 0;
  std::string anew; ///< why the moments since the backup before can't be restored; empty: they can
};

} // namespace warp
