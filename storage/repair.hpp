#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/file_system.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace warp::storage {

struct repair_options {
  bool dry_run = true; ///< say what would be done, change nothing
  /// Keep what lies behind missing records too. The result may then hold a later write without an
  /// earlier one, half of a transaction, and keys that had been erased.
  bool salvage = false;
  std::size_t keys_max = 20; ///< named per shard
  std::uint64_t now_ms = 0;  ///< names the folder for what is replaced
};

/// LSNs, both included.
struct lsn_range {
  lsn_t first = 0, last = 0;
};

/// What happens to one shard.
struct shard_repair {
  shard_id shard;
  std::string checkpoint;         ///< path of the one it is rebuilt from; empty: from the log alone
  lsn_t kept_up_to = 0;           ///< last record that is kept
  bool exact = true;              ///< the shard was in that state once
  std::vector<lsn_range> missing; ///< numbers of records that cannot be read and no checkpoint has;
                                  ///< some may never have been used
  std::uint64_t dropped_records = 0;     ///< can be read, but stand behind missing ones
  std::vector<std::string> dropped_keys; ///< of them, without repetition, at most keys_max
  std::uint64_t records_kept = 0;
};

enum class repair_verdict : std::uint8_t {
  starts,        ///< a start succeeds as it is; nothing is to be done
  manifest_only, ///< a manifest made from the other files is all that is missing
  rewrite,       ///< what is kept is written anew
  needs_salvage, ///< no exact state is left of some shard: only with options.salvage
};

struct repair_report {
  repair_verdict verdict = repair_verdict::starts;
  std::string refusal;               ///< why a start refuses the folder
  std::vector<std::string> findings; ///< sentences with path and offset
  std::vector<shard_repair> shards;  ///< those that lose something, or are not exact
  bool may_lose_durable = false;     ///< something that was acknowledged as durable may be gone
  std::string put_aside;             ///< where what is replaced is kept
  std::vector<std::string> actions;  ///< what is done, or would be, in order
};

/// Looks at a data folder that does not start, and makes it start: from the newest state that each
/// shard is known to have been in, or with options.salvage from all that can be read. What it
/// replaces it keeps in the sub-folder `put_aside`. Holds the folder's lock. Needs memory for all
/// data, and disk space for it. A process that dies in it leaves a folder that can be repaired
/// again.
///
/// unavailable: a process has the folder. version_mismatch: something is of a newer program.
/// corruption: nothing can be made of it. not_supported: verdict needs_salvage without
/// options.salvage and not a dry run; nothing was changed.
op_result<repair_report> repair(file_system& files, const std::string& folder,
                                const repair_options& options);

} // namespace warp::storage
