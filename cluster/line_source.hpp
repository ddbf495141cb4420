#pragma once

#include "messages/status.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace warp::cluster {

/// Fills the buffer with the next bytes; 0: the end.
using byte_reader = std::function<op_result<std::size_t>(std::span<char>)>;

/// Reads from a file descriptor, which stays the caller's. `name` is for messages.
byte_reader read_descriptor(int fd, std::string name);

/// Lines of a file or stream, plain or compressed with zstd (recognized by its first bytes, not by
/// its name). Memory is bounded by the longest line. One thread at a time.
class line_source {
public:
  /// `line_bytes_max`: longest line, without its line feed, that is handed out.
  explicit line_source(byte_reader reader, std::size_t line_bytes_max = std::size_t{1} << 30);
  ~line_source();
  line_source(const line_source&) = delete;
  line_source& operator=(const line_source&) = delete;

  enum class outcome { line, too_long, end };
  /// The next line without its line feed; the view is valid until the next call. A last line
  /// without a line feed counts. A byte order mark at the very beginning is dropped. too_long: a
  /// line above the limit was passed over, the next call goes on behind it. io_error (reading
  /// failed), corruption (damaged or cut off zstd).
  op_result<outcome> next(std::string_view& line);

  /// Of the line that next() has just handed out or passed over; the first is 1.
  [[nodiscard]] std::uint64_t line_number() const noexcept { return line_number_; }
  /// Read from the reader so far, compressed if it is: for a progress bar.
  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }

private:
  struct decoder;
  op_result<std::size_t> fill(); ///< appends to buffer_; 0: the end
  op_result<std::size_t> read_raw(std::span<char> to);

  byte_reader reader_;
  std::size_t line_bytes_max_;
  std::string buffer_;       ///< plain text; lines are handed out from begin_ on
  std::size_t begin_ = 0;    ///< of the next line
  std::size_t searched_ = 0; ///< no line feed before this
  std::uint64_t line_number_ = 0;
  std::uint64_t bytes_read_ = 0;
  bool started_ = false, ended_ = false;
  std::unique_ptr<decoder> decoder_;
};

} // namespace warp::cluster
