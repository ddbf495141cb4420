#pragma once

#include "cluster/put_stream.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string_view>

namespace warp::programs {

/// Sends the records of a file to a server, and knows of each line what became of it. Of two lines
/// with the same key the later one wins. Used by one thread.
class bulk_writer {
public:
  /// `on_failure` is called on the caller's thread for records that were not stored; when there are
  /// very many, for the first ones only.
  bulk_writer(std::unique_ptr<put_stream> stream,
              std::function<void(std::uint64_t line, const op_status&)> on_failure);

  /// Copies the record; may block until earlier ones are stored. `line` grows from call to call.
  /// Not ok: the stream has ended, nothing more is taken.
  op_status put(std::uint64_t line, std::string_view key, std::string_view value,
                std::uint64_t expires_at_ms, std::chrono::milliseconds time_to_live,
                value_type type);
  /// A line that needs nothing to be done: it only moves finished_line() on.
  void skip(std::uint64_t line);
  /// Waits until all of it is stored, on disk where there is one; else why it is not.
  op_status finish();

  /// Records that are stored for good.
  [[nodiscard]] std::uint64_t stored() const noexcept { return stored_; }
  /// Records of which the server or this machine has said no.
  [[nodiscard]] std::uint64_t failed() const noexcept { return refused_ + failed_; }
  /// Records that were sent, and nobody knows yet.
  [[nodiscard]] std::uint64_t open() const noexcept { return taken_ - stored_ - failed_; }
  /// All lines up to this one are done with, each stored or skipped; stands still before the first
  /// one that failed.
  [[nodiscard]] std::uint64_t finished_line() const noexcept { return finished_line_; }

private:
  void look();
  void failed_at(std::uint64_t line, const op_status& status);
  void finished(std::uint64_t line);

  /// A record of which nobody knows yet.
  struct open_record {
    std::uint64_t index;     ///< in the stream
    std::uint64_t line;      ///< its own
    std::uint64_t last_line; ///< and those behind it that need nothing
  };

  std::unique_ptr<put_stream> stream_;
  std::function<void(std::uint64_t, const op_status&)> on_failure_;
  std::deque<open_record> open_;
  std::uint64_t taken_ = 0, looked_ = 0; ///< records that the stream took, now and at the last look
  std::uint64_t stored_ = 0, failed_ = 0, refused_ = 0;
  std::uint64_t finished_line_ = 0, first_failed_line_ = ~std::uint64_t{0};
};

} // namespace warp::programs
