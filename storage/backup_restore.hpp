#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/backup.hpp"
#include "storage/backup_store.hpp"
#include "storage/file_system.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace warp::storage {

/// A restore hands out no LSN that the source may have handed out after the backup: it skips so
/// many. 2^38 are a month of 100,000 writes a second to one shard, and leave room for a thousand
/// restores of restores.
inline constexpr lsn_t restore_lsn_skip = lsn_t{1} << 38;

struct restore_options {
  std::string name; ///< of the backup; empty: the newest one that has what is asked for
  /// Everything whose group commit began at this time or before, us since 1970; none: all that the
  /// backup has.
  std::optional<std::uint64_t> to_us;
  /// One shard alone, all others empty, as it was after this LSN.
  std::optional<shard_id> shard;
  std::optional<lsn_t> to_lsn; ///< with `shard` only; none: its end
  std::uint32_t threads = 0;   ///< 0: one per core
  /// Shards are restored together while their checkpoints take this much; the log is read again for
  /// the next ones.
  std::uint64_t memory_bytes = 4ull << 30;
  std::function<void(const backup_progress&)> on_progress; ///< on the calling thread
};

struct restore_report {
  std::string name;                     ///< whose log was used
  std::string base;                     ///< whose checkpoints were used
  std::uint64_t taken_us = 0;           ///< of `name`
  std::uint64_t newest_us = 0;          ///< of the last group commit that was restored; 0: none
  std::uint64_t records = 0, bytes = 0; ///< in the new checkpoints
  std::uint64_t log_records = 0;        ///< replayed
  std::uint64_t transactions_cut = 0;   ///< parts left out because another part was not to be had
};

/// Makes a data folder of a backup, with a checkpoint of each shard, an empty log and a generation
/// of its own. `folder` must be absent or empty. Transactions over several shards are whole or not
/// there. Offline.
///   not_found         no such backup
///   invalid_argument  the folder is in use for something else; the moment is outside of what can
///                     be restored (the message has the range)
///   unavailable       another process has the folder
///   corruption        of the backup, with object and offset; no_space, io_error
/// After a failure or a crash the folder has a file that makes the engine refuse it: remove it and
/// begin again.
op_result<restore_report> restore_backup(backup_store& store, file_system& files,
                                         const std::string& folder,
                                         const restore_options& options = {});

} // namespace warp::storage
