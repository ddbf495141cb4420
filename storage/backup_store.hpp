#pragma once

#include "messages/status.hpp"
#include "storage/file_system.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

/// An object on its way into a store. One thread at a time. Dropped unfinished, it leaves no
/// object.
class backup_upload {
public:
  virtual ~backup_upload() = default;
  virtual op_status append(std::string_view bytes) = 0;
  /// The object is there now, whole and for good, under its name. Once.
  virtual op_status finish() = 0;
};

struct stored_object {
  std::string name; ///< with its section: "objects/..."
  std::uint64_t bytes = 0;
};

/// Where backups are kept: named objects that are written once, read and removed. Names are
/// "SECTION/NAME" with a-z, A-Z, 0-9, dash and dot. A folder for now; an object store of a cloud
/// fits behind the same calls. Thread-safe. Statuses as file_system's; not_found for an absent
/// object.
class backup_store {
public:
  virtual ~backup_store() = default;

  /// Begins an object; finish() replaces one of the same name.
  virtual op_result<std::unique_ptr<backup_upload>> put(const std::string& name) = 0;
  /// Opens an object for reading at any offset.
  virtual op_result<std::unique_ptr<file>> get(const std::string& name) = 0;
  /// Objects of a section, by name; empty when there is none.
  virtual op_result<std::vector<stored_object>> list(const std::string& section) = 0;
  virtual op_status remove(const std::string& name) = 0;

  /// For whoever writes or removes: one at a time. Makes the repository where there is none, and
  /// removes what unfinished uploads left. unavailable: another one is at work; invalid_argument:
  /// the place holds something else.
  virtual op_result<std::unique_ptr<folder_lock>> lock() = 0;
  /// For whoever reads: is it a repository at all? not_found, invalid_argument, version_mismatch.
  virtual op_status check() = 0;
  /// For messages.
  [[nodiscard]] virtual std::string describe() const = 0;
};

/// A repository in a folder:
///
///     WARPENGINE-BACKUPS   says that it is one, and in which format
///     lock                 held by whoever writes
///     backups/NAME         a manifest per backup
///     objects/NAME         checkpoints and pieces of the log
///     *.tmp                being written
///
/// `files` is borrowed.
std::unique_ptr<backup_store> open_backup_folder(file_system& files, std::string folder);

} // namespace warp::storage
