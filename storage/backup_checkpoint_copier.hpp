#pragma once

#include "messages/status.hpp"
#include "storage/backup_inventory.hpp"
#include "storage/backup_pace.hpp"
#include "storage/backup_store.hpp"
#include "storage/data_folder.hpp"
#include "storage/file_system.hpp"

#include <cstdint>

namespace warp::storage {

/// Brings checkpoints of a data folder into a repository, each once, checked while they are read.
/// Borrows all that it is made of. One thread.
class backup_checkpoint_copier {
public:
  backup_checkpoint_copier(const data_folder& folder, file_system& files, backup_store& store,
                           const backup_inventory& inventory, const backup_subject& subject,
                           backup_pace& pace)
      : folder_(folder), files_(files), store_(store), inventory_(inventory), subject_(subject),
        pace_(pace) {}

  /// The object that holds this checkpoint, copied unless it is there. not_found: the file was
  /// replaced meanwhile. corruption: it is damaged, and the message says what to do; whatever file
  /// system or store answer.
  op_result<backup_object> copy(const checkpoint_info& info);
  /// Of the objects that copy() has named and that are not the backup before's.
  [[nodiscard]] std::uint64_t new_bytes() const noexcept { return new_bytes_; }

private:
  op_result<backup_object> write(const checkpoint_info& info, const std::string& name,
                                 const backup_header& header);

  const data_folder& folder_;
  file_system& files_;
  backup_store& store_;
  const backup_inventory& inventory_;
  const backup_subject& subject_;
  backup_pace& pace_;
  std::uint64_t new_bytes_ = 0;
};

} // namespace warp::storage
