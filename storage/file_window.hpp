#pragma once

#include "messages/status.hpp"
#include "storage/file_system.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace warp::storage {

/// Reads a file from front to back through a buffer of moderate size. One thread at a time.
class file_window {
public:
  file_window() = default;
  /// Reads `window_bytes` at a time, or what is asked for if that is more. The default suits who
  /// reads all of a file, and fits a second-level cache.
  explicit file_window(std::unique_ptr<file> f, std::uint64_t window_bytes = 2u << 20)
      : file_(std::move(f)), window_bytes_(window_bytes) {}

  [[nodiscard]] bool open() const noexcept { return file_ != nullptr; }

  /// The bytes from `offset` on: at least `size`, or all up to `end` (at most the file's size).
  /// Valid until the next call.
  op_result<std::string_view> at(std::uint64_t offset, std::uint64_t size, std::uint64_t end);

private:
  std::unique_ptr<file> file_;
  std::uint64_t window_bytes_ = 0;
  std::unique_ptr<char[]> bytes_;
  std::uint64_t capacity_ = 0;
  std::uint64_t begin_ = 0, size_ = 0; ///< part of the file that is in bytes_
};

} // namespace warp::storage
