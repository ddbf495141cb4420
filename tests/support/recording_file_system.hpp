#pragma once

#include "storage/file_system.hpp"
#include "tests/support/disk_image.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace warp::testing {

/// One call that changes the disk or makes a change durable, or a mark of whoever writes.
struct disk_event {
  enum class kind : std::uint8_t {
    create_folder, ///< path
    create,        ///< path, file
    write,         ///< file, offset, bytes
    truncate,      ///< file, offset: the new size
    sync,          ///< file
    write_synced,  ///< file, offset, bytes: the write just before it is durable, and no other
    rename,        ///< path, to, file
    remove,        ///< path, file
    sync_folder,   ///< path
    mark,          ///< offset: what mark() was given
  };
  kind what = kind::mark;
  std::string path; ///< of the file or folder, as it was opened
  std::string to;
  std::uint32_t file = 0; ///< the same number for the same file, whatever its name
  std::uint64_t offset = 0;
  std::string bytes;
};

/// For people: "write wal/0000000001-0000-000000000001.wal 80+240".
std::string describe(const disk_event& event);

/// What happened to a disk, from its first state on. Files of that state have the numbers 0, 1, ...
/// in the order of their paths.
struct disk_trace {
  disk_image begin;
  std::vector<disk_event> events;
};

/// Files in memory that write down everything that is done to them, for crash_states.hpp. Direct
/// modes are accepted like any other. A lock is a file, as it is on a real disk. Thread-safe.
class recording_file_system final : public storage::file_system {
public:
  /// `record` false: keeps no trace, and is cheap.
  explicit recording_file_system(disk_image begin = {}, bool record = true);
  ~recording_file_system() override;

  op_result<std::unique_ptr<storage::file>> open(const std::string& path,
                                                 storage::open_mode mode) override;
  op_result<std::vector<std::string>> list(const std::string& folder) override;
  op_result<bool> exists(const std::string& path) override;
  op_status create_folder(const std::string& path) override;
  op_status rename(const std::string& from, const std::string& to) override;
  op_status remove(const std::string& path) override;
  op_status sync_folder(const std::string& folder) override;
  op_result<std::uint64_t> free_bytes(const std::string& path) override;
  op_result<std::unique_ptr<storage::folder_lock>> lock(const std::string& folder) override;

  /// Puts a mark between the events.
  void mark(std::uint64_t value);
  /// The process died, the machine goes on: handles and locks are dead, the page cache is not.
  void kill_process();
  /// Called before each event but marks, on the thread that causes it, outside of locks.
  void set_gate(std::function<void()> gate);

  [[nodiscard]] disk_trace take_trace();
  /// What a reader sees now.
  [[nodiscard]] disk_image now() const;

private:
  struct state;
  std::shared_ptr<state> state_;
};

} // namespace warp::testing
