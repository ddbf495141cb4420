#pragma once

#include "messages/status.hpp"
#include "storage/backup_manifest.hpp"
#include "storage/backup_store.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace warp::storage {

/// One backup of a repository, or why it can't be read.
struct listed_backup {
  std::string name;
  op_status status; ///< of its manifest
  backup_manifest manifest;
  /// From here on every moment up to manifest.taken_us can be restored, with the help of the
  /// backups it follows; us since 1970.
  std::uint64_t from_us = 0;
};

/// All backups, the oldest first. Fails when `store` is no repository.
op_result<std::vector<listed_backup>> list_backups(backup_store& store);
/// One of them; the newest when `name` is empty. not_found when there is none.
op_result<backup_manifest> load_backup(backup_store& store, const std::string& name);
/// The backups whose log the last one of the result goes on from, the oldest first, the backup of
/// that name last. It begins where one is missing or can't be read.
op_result<std::vector<backup_manifest>> backup_chain(backup_store& store, const std::string& name);

/// Publishes a manifest: with it the backup exists.
op_status save_backup(backup_store& store, const backup_manifest& m);

struct removed_backups {
  std::vector<std::string> names;
  std::uint64_t objects = 0, bytes = 0; ///< that no other backup needed
};
/// Removes backups, then the objects that no backup refers to: a crash leaves backups that are
/// whole or gone. Takes the lock. not_found: no such backup, nothing was done. corruption: a backup
/// that stays can't be read, so nobody knows what it needs.
op_result<removed_backups> remove_backups(backup_store& store,
                                          const std::vector<std::string>& names);
/// The same with all but the newest `keep` (at least 1). Backups that can't be read stay.
op_result<removed_backups> prune_backups(backup_store& store, std::size_t keep);

} // namespace warp::storage
