#pragma once

#include "messages/limits.hpp"
#include "messages/operations.hpp"
#include "physics/observer.hpp"
#include "storage/clock.hpp"
#include "storage/direct_io.hpp"
#include "storage/file_system.hpp"
#include "storage/huge_pages.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace warp::storage {

/// How far recovery is; handed to engine_options::on_progress from recovery's threads, a few times
/// a second at most.
struct recovery_progress {
  std::uint64_t records = 0; ///< from checkpoints and log so far
  std::uint64_t bytes_done = 0, bytes_total = 0;
};

/// Everything the engine needs to know. The defaults are the product's defaults.
struct engine_options {
  /// Data folder; empty: memory only (no log, no checkpoint, durability above memory is refused
  /// with no_replicas).
  std::string folder;
  /// Shards, a power of two in [1, 16,384]; 0: what the folder has, or 64 for a new one. Must match
  /// an existing folder.
  std::uint32_t shard_count = 0;
  /// Log streams, in [1, shard_count]; 0: 1 up to 4 cores, then cores / 4, at most 8. May change at
  /// any start.
  std::uint32_t wal_streams = 0;
  /// CPUs that the threads of the log streams run on, see parse_cpu_list(); empty: any.
  std::string wal_cpus;
  /// Size of a log segment file, bytes, multiple of 4,096, at least 64 KiB.
  std::uint64_t segment_bytes = 64u << 20;
  /// Whether log and checkpoints pass the page cache.
  direct_io direct = direct_io::automatic;
  /// Log kept on disk at most, bytes; checkpoints are made to stay below it, and when they can't
  /// follow writers pause. See engine.hpp for how exactly.
  std::uint64_t wal_max_bytes = 4ull << 30;
  /// Unwritten log of one stream at most, bytes; a full buffer slows its writers down.
  std::uint64_t log_buffer_bytes = 64u << 20;
  /// How long a write waits for room in a full log buffer, or for a log below its limit, before it
  /// answers overloaded.
  std::chrono::milliseconds write_stall_max{10'000};
  /// How long a log that failed, or found no space, waits before it tries again; after each failure
  /// twice as long, up to log_retry_max.
  std::chrono::milliseconds log_retry_min{200};
  std::chrono::milliseconds log_retry_max{10'000};
  /// An async write is on disk after this and one write + sync; the promise to users is 100 ms.
  std::chrono::milliseconds flush_interval{50};
  /// Values from this size are compressed for the log when that saves space, bytes.
  std::uint64_t compress_min_bytes = 16 * 1024;
  /// Longest value, bytes, at most value_size_hard_max.
  std::uint64_t value_bytes_max = value_size_default_max;
  /// What `unspecified` means: memory, async or sync.
  durability default_level = durability::async;

  /// A changed shard is due for a checkpoint after this ...
  std::chrono::seconds checkpoint_interval{300};
  /// ... or when its log since the last one has passed this many records and the size of that
  /// checkpoint.
  std::uint64_t checkpoint_log_records = 100'000;
  /// Bytes a second one checkpoint writes at most, while the log does not press; 0: no limit.
  std::uint64_t checkpoint_rate_bytes = 256u << 20;
  /// Checkpoints of a shard that are kept.
  std::uint32_t checkpoints_kept = 3;
  /// Everything at rest is read and its checksums checked this often; 0: only when asked for. The
  /// engine does it not itself: see verify.hpp.
  std::chrono::seconds scrub_interval{86'400};
  /// Bytes a second that this reads at most; 0: no limit.
  std::uint64_t scrub_rate_bytes = 16u << 20;

  /// Memory that keys, values and what the tables need beside them may take, bytes; 0: four fifths
  /// of the machine's, or of the cgroup's. At the limit writes that need more answer no_space;
  /// reads, deletes and writes that need no more go on. Shards take memory in blocks, so that up to
  /// a sixteenth of it may be free when the first write is refused.
  std::uint64_t max_memory_bytes = 0;

  /// Backups are to come: the log stays until the first one has it, as far as there is room for log
  /// that no checkpoint needs.
  bool hold_log_for_backups = false;

  /// When the tables ask for huge pages of memory; where there are none nothing is lost but speed.
  huge_pages table_pages = huge_pages::automatic;

  /// Events that one watch holds for whoever is slow to take them, bytes of keys and values and
  /// about 200 each. Beyond it they are read from the log.
  std::uint64_t watch_buffer_bytes = 1u << 20;
  /// The same of all watches together; beyond it each holds one event.
  std::uint64_t watch_memory_bytes = 256u << 20;
  /// Watches at the same time.
  std::uint64_t watches_max = 100'000;

  /// How accesses are sampled while somebody observes them (engine::observe_accesses); `seed` and
  /// `source` are the engine's.
  physics::observer_options observation;

  /// Every shard is one of several copies, see replicated_shard.hpp: a start puts into the tables
  /// what is known to be committed, and writes are done by engine::replicate() alone; execute()
  /// answers them not_supported. Reads of the engine see what is committed here. Needs a folder.
  bool replicated = false;

  /// Threads that recover; 0: one per core.
  std::uint32_t recovery_threads = 0;
  std::function<void(const recovery_progress&)> on_progress;

  std::shared_ptr<const clock> time; ///< null: the system's
  file_system* files =
      nullptr; ///< null: the operating system's; else borrowed for the engine's life
};

} // namespace warp::storage
