#pragma once

#include "messages/status.hpp"
#include "storage/file_system.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace warp::storage {

/// Whether log and checkpoints pass the page cache.
enum class direct_io : std::uint8_t {
  automatic, ///< where the file system can
  on,        ///< a start fails where it can't
  off,
};

/// Whether files of `folder` are to be written directly: asks the file system by writing a block to
/// a file of its own. not_supported: `how` is `on`, and it can't.
op_result<bool> choose_direct_io(file_system& files, const std::string& folder, direct_io how);

/// A buffer as direct writes need it; size: a multiple of direct_alignment. Not initialized.
struct aligned_free {
  void operator()(char* bytes) const noexcept;
};
using aligned_bytes = std::unique_ptr<char[], aligned_free>;
[[nodiscard]] aligned_bytes make_aligned_bytes(std::size_t size);

/// Bytes on their way into a direct file, one after the other: collected in an aligned buffer,
/// written in whole blocks. The last block of a flush() is filled up with zeros; what comes next
/// writes it again, with the same bytes at its front, so whatever part of that write a crash leaves
/// behind, what was flushed before is there. One thread at a time.
class direct_output {
public:
  /// `buffer_bytes`: a multiple of direct_alignment; also the longest write.
  explicit direct_output(std::size_t buffer_bytes) : capacity_(buffer_bytes) {}

  /// Goes on behind `front`, which the file has at its very begin, on disk (shorter than a block).
  void start(std::string_view front);
  /// Copies the bytes; writes when the buffer is full. After a failure only back() and start()
  /// help.
  op_status add(file& to, std::string_view bytes);
  /// Writes all that was added. `sync`: it is on disk when it returns ok; by one call if it fits
  /// the buffer.
  op_status flush(file& to, bool sync);
  /// Everything flushed so far stays; the next add() follows it.
  void keep();
  /// Forgets what came after the last keep() or start(): it will be written over.
  void back();

private:
  const std::size_t capacity_;
  aligned_bytes buffer_;
  std::uint64_t begin_ = 0; ///< where the buffer's first byte stands in the file
  std::size_t size_ = 0;
  bool unsynced_ = false;        ///< something was written that no sync covers
  std::uint64_t kept_begin_ = 0; ///< of the block in which the next add() after back() begins
  std::string kept_;             ///< its bytes before that place
};

} // namespace warp::storage
