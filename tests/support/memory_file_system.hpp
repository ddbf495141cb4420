#pragma once

#include "storage/file_system.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace warp::testing {

/// What a crash does to that which was not synced.
enum class crash_policy {
  drop_all, ///< nothing of it is there
  keep_all, ///< all of it is there
  random,   ///< each sector of 512 bytes of each write is there or not; of each folder's changes a
            ///< prefix; sizes may lag
};

/// What a file system without direct I/O refuses.
enum class direct_refusal { none, open, write };

/// Files in memory that keep apart what is synced and what is not. Thread-safe. crash() forgets
/// unsynced bytes, sizes, names, renames and removals according to a policy, as a machine that
/// loses power does.
class memory_file_system : public storage::file_system {
public:
  memory_file_system();
  ~memory_file_system() override;

  op_result<std::unique_ptr<storage::file>> open(const std::string& path,
                                                 storage::open_mode mode) override;
  op_result<std::vector<std::string>> list(const std::string& folder) override;
  op_result<bool> exists(const std::string& path) override;
  op_status create_folder(const std::string& path) override; ///< durable at once
  op_status rename(const std::string& from, const std::string& to) override;
  op_status remove(const std::string& path) override;
  op_status sync_folder(const std::string& folder) override;
  op_result<std::uint64_t> free_bytes(const std::string& path) override;
  op_result<std::unique_ptr<storage::folder_lock>> lock(const std::string& folder) override;

  /// Open files and locks from before are dead: io_error.
  void crash(crash_policy policy, std::uint64_t seed = 0);
  /// The same on a copy: this one goes on undisturbed.
  [[nodiscard]] std::unique_ptr<memory_file_system> crashed_copy(crash_policy policy,
                                                                 std::uint64_t seed = 0) const;

  /// Sum of the sizes of all files at most; writes beyond get no_space. ~0: no limit.
  void set_capacity(std::uint64_t bytes);
  [[nodiscard]] std::uint64_t used_bytes() const;

  /// As a file system without direct I/O; none: it has it, and checks the alignment of writes. What
  /// is written is durable after a sync() only, so that a crash can tear direct writes too.
  void refuse_direct(direct_refusal how);

  /// What a failed sync does: unsynced bytes stay readable, but no later sync writes them.
  static void forget_unsynced(storage::file& f);

  /// A part of a write, which need not be aligned where the whole had to be.
  static op_status write_part(storage::file& f, std::uint64_t offset, std::string_view bytes);

  /// Direct access for tests that damage files; counted as synced.
  [[nodiscard]] std::string bytes(const std::string& path) const;
  void set_bytes(const std::string& path, std::string_view bytes);
  void flip_bit(const std::string& path, std::uint64_t bit);

private:
  struct state;
  explicit memory_file_system(std::shared_ptr<state> s);
  std::shared_ptr<state> state_;
};

} // namespace warp::testing
