#pragma once

#include "storage/forwarding_file_system.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace warp::testing {

/// What a program may forget about files, planted below it: the calls it should have made are
/// answered and not done.
enum class omission : std::uint8_t {
  none,
  log_sync,               ///< of a round: it is acknowledged before the sync
  log_folder_sync,        ///< behind a new segment
  spare_folder_sync,      ///< between making an old segment a spare and writing to it
  tail_sync,              ///< of what recovery has read
  manifest_sync,          ///< before the renaming
  manifest_folder_sync,   ///< behind the renaming
  manifest_renaming,      ///< it is written over the old one in place
  checkpoint_sync,        ///< before the renaming: the log goes before the checkpoint is on disk
  checkpoint_folder_sync, ///< behind the renaming
};

/// The files of one process. Once it is killed every call fails and changes nothing, while the disk
/// below goes on.
class process_files final : public storage::forwarding_file_system {
public:
  /// The disk is borrowed.
  explicit process_files(storage::file_system& disk, omission left_out = omission::none)
      : forwarding_file_system(disk), left_out_(left_out), life_(std::make_shared<life>()) {}

  op_result<std::unique_ptr<storage::file>> open(const std::string& path,
                                                 storage::open_mode mode) override;
  op_status rename(const std::string& from, const std::string& to) override;
  op_status sync_folder(const std::string& folder) override;

  void kill() { life_->left = 0; }
  /// After so many more calls that change something. A synced write is two, of which the second
  /// may not happen.
  void kill_after(std::int64_t changes) { life_->left = changes; }
  [[nodiscard]] bool killed() const { return life_->left <= 0; }
  void let_live() { life_->left = immortal; }
  /// The next sync of a file of the log fails; what it should have covered may or may not be there
  /// after a crash, and no later sync covers it.
  void fail_a_log_sync() { life_->log_syncs_to_fail = 1; }
  void fail_no_sync() { life_->log_syncs_to_fail = 0; }

  struct life {
    std::atomic<std::int64_t> left{immortal}; ///< changes
    std::atomic<int> log_syncs_to_fail{0};
    [[nodiscard]] bool over() const { return left <= 0; }
    /// One change more: false when there is none left.
    bool change() { return left-- > 0; }
  };

private:
  [[nodiscard]] op_status ask(call what, const std::string& path) override;
  static constexpr std::int64_t immortal = std::int64_t{1} << 60;
  [[nodiscard]] bool leaves_out_sync(const std::string& path, storage::open_mode mode) const;
  op_status write_in_place(const std::string& from, const std::string& to);

  const omission left_out_;
  const std::shared_ptr<life> life_;
  bool spare_made_ = false; ///< the last renaming in the log folder made a spare
};

} // namespace warp::testing
