#pragma once

#include "messages/status.hpp"
#include "storage/backup_manifest.hpp"
#include "storage/backup_store.hpp"
#include "storage/universe_id.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace warp::storage {

/// Of whom a backup is.
struct backup_subject {
  universe_id universe;
  std::uint64_t generation = 0;
  std::uint32_t shard_count = 1;
};

/// What a repository holds when a backup begins; a value.
struct backup_inventory {
  std::map<std::string, std::uint64_t> objects; ///< name and bytes
  std::set<std::string> names;                  ///< of all backups
  std::optional<backup_manifest> previous;      ///< the newest of this generation
  std::uint64_t taken_us_max = 0;               ///< of all backups that can be read; 0: none

  /// invalid_argument: the repository is another universe's. Backups that can't be read stand in
  /// nobody's way.
  static op_result<backup_inventory> look(backup_store& store, const backup_subject& subject);

  /// Is it there, with as many bytes?
  [[nodiscard]] bool has(const backup_object& object) const;
  /// `wanted`, or, where there is such an object, the first of wanted-2, wanted-3, ... What another
  /// backup may refer to is never written again.
  [[nodiscard]] std::string free_object_name(const std::string& wanted) const;
  /// The same for a backup.
  [[nodiscard]] std::string free_backup_name(const std::string& wanted) const;
};

} // namespace warp::storage
