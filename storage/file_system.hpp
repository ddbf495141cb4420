#pragma once

#include "messages/status.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

/// One open file. Offsets are explicit, so that a file has no position to share. Used by one thread
/// at a time, except read_at().
class file {
public:
  virtual ~file() = default;

  /// Reads up to buffer.size() bytes; fewer only at the end of the file. Returns the count.
  virtual op_result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) = 0;
  /// Writes all of all pieces, one after the other, from `offset`. On failure any part may have
  /// been written.
  virtual op_status write_at(std::uint64_t offset, std::span<const std::string_view> pieces) = 0;
  /// Makes data and size durable (fdatasync).
  virtual op_status sync() = 0;
  /// write_at() and sync(), in one step where that is cheaper. What was written before it may need
  /// a sync() of its own.
  virtual op_status write_synced(std::uint64_t offset, std::span<const std::string_view> pieces) {
    auto s = write_at(offset, pieces);
    return s.ok() ? sync() : s;
  }
  virtual op_status truncate(std::uint64_t size) = 0;
  virtual op_result<std::uint64_t> size() = 0;

  op_status write_at(std::uint64_t offset, std::string_view bytes) {
    return write_at(offset, std::span{&bytes, 1});
  }
};

/// How open() treats what is there, and whether writes pass the page cache. The direct modes are
/// for writing alone, whole blocks: offsets, sizes and addresses of pieces are multiples of
/// direct_alignment. Where the file system has no such thing open() or the first write answers
/// not_supported. Such a file may be read meanwhile by another one of mode `read`, which sees what
/// was written before the read began.
enum class open_mode {
  read,          ///< must exist; reads only
  read_write,    ///< must exist
  create,        ///< must not exist
  direct,        ///< must exist; direct
  create_direct, ///< must not exist; direct
};
/// Bytes of a block of direct I/O: as large as any device or file system asks for.
inline constexpr std::size_t direct_alignment = 4'096;

/// Held while the process uses a data folder; gives it back when destroyed or when the process
/// dies.
class folder_lock {
public:
  virtual ~folder_lock() = default;
};

/// All file I/O of the storage folder passes through here, so that a test can drop unsynced bytes,
/// tear a write, flip a bit, fill the disk or fail a sync. Thread-safe. Statuses name the path and
/// the operating system's reason; no_space stands for ENOSPC and EDQUOT, not_found for ENOENT,
/// io_error for the rest.
class file_system {
public:
  virtual ~file_system() = default;

  virtual op_result<std::unique_ptr<file>> open(const std::string& path, open_mode mode) = 0;
  /// Names (not paths) in a folder, sorted, without "." and "..".
  virtual op_result<std::vector<std::string>> list(const std::string& folder) = 0;
  virtual op_result<bool> exists(const std::string& path) = 0;
  virtual op_status create_folder(const std::string& path) = 0; ///< parents too; ok if it is there
  virtual op_status rename(const std::string& from, const std::string& to) = 0; ///< replaces `to`
  virtual op_status remove(const std::string& path) = 0;
  /// Makes creations, renames and removals in the folder durable.
  virtual op_status sync_folder(const std::string& folder) = 0;
  /// Bytes that can still be written where `path` lives.
  virtual op_result<std::uint64_t> free_bytes(const std::string& path) = 0;
  /// Takes `folder`/lock for this process; unavailable, with the holder's pid in the message, when
  /// another process has it.
  virtual op_result<std::unique_ptr<folder_lock>> lock(const std::string& folder) = 0;
};

/// The operating system's files. One for the whole process; lives as long as it.
file_system& posix_file_system();

} // namespace warp::storage
