#pragma once

#include "messages/status.hpp"
#include "storage/backup_manifest.hpp"
#include "storage/backup_store.hpp"
#include "storage/checkpoint_reader.hpp"
#include "storage/file_system.hpp"
#include "storage/log_survey.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace warp::storage {

/// Backups that follow each other, read as if they were one data folder: the checkpoints of the
/// first one, and the log of all of them, in which the pieces of a segment are one file again. So
/// whoever restores or verifies reads them with the code that recovers a data folder. Reads only;
/// thread-safe.
class backup_archive final : public file_system {
public:
  /// `chain`: as backup_chain() returns it, or a part of it that ends it; not empty. corruption:
  /// the pieces of a segment do not fit together.
  static op_result<std::unique_ptr<backup_archive>> open(backup_store& store,
                                                         std::span<const backup_manifest> chain);

  [[nodiscard]] const backup_manifest& base() const noexcept { return base_; }
  /// Path of a shard's checkpoint in here; it is there if base() has one.
  [[nodiscard]] static std::string checkpoint_path(const checkpoint_info& info);

  /// Reads the whole log and puts it together. corruption: with object and offset.
  op_result<log_survey> survey();
  /// Does the log go on from the checkpoints of base() without a gap? Else corruption.
  [[nodiscard]] op_status check(const log_survey& survey) const;

  op_result<std::unique_ptr<file>> open(const std::string& path, open_mode mode) override;
  op_result<std::vector<std::string>> list(const std::string& folder) override;
  op_result<bool> exists(const std::string& path) override;
  // What would write: not_supported.
  op_status create_folder(const std::string& path) override;
  op_status rename(const std::string& from, const std::string& to) override;
  op_status remove(const std::string& path) override;
  op_status sync_folder(const std::string& folder) override;
  op_result<std::uint64_t> free_bytes(const std::string& path) override;
  op_result<std::unique_ptr<folder_lock>> lock(const std::string& folder) override;

  /// An object and what it must be a copy of.
  struct part {
    backup_object object;
    backup_header header;
  };

private:
  explicit backup_archive(backup_store& store) : store_(store) {}

  backup_store& store_;
  backup_manifest base_;
  std::map<std::string, std::vector<part>> files_; ///< by path: what follows what
};

/// Is it the checkpoint that the manifest means? Else corruption.
op_status check_checkpoint(const checkpoint_reader& reader, const backup_manifest& m,
                           const checkpoint_info& info);

} // namespace warp::storage
