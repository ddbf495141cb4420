#pragma once

#include "messages/status.hpp"
#include "storage/backup.hpp"
#include "storage/backup_store.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace warp::storage {

struct backup_verification {
  std::uint64_t backups = 0, objects = 0;
  std::uint64_t bytes = 0;           ///< of objects that were read, in the store
  std::vector<std::string> problems; ///< sentences that name the backup; empty: all is well
};

/// Reads every object of a backup, or of all when `name` is empty, and checks what can be checked:
/// checksums, sizes, that each is what the manifest says, each checkpoint record by record, each
/// frame of the log, that the log has no gap above the checkpoints, and the counts. Goes on after a
/// problem. The status is for what can't be examined at all: no repository, no backup of that name.
/// Reads only, beside a server that makes backups.
op_result<backup_verification>
verify_backups(backup_store& store, const std::string& name,
               const std::function<void(const backup_progress&)>& on_progress = {});

} // namespace warp::storage
