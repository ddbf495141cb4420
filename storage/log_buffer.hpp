#pragma once

#include "messages/ids.hpp"
#include "storage/blob.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace warp::storage {

/// Memory of the log buffers of one stream, in chunks of one size that are used again and again.
/// Thread-safe.
class chunk_pool {
public:
  static constexpr std::size_t chunk_bytes = 32 * 1024;
  using chunk = std::unique_ptr<char[]>;

  chunk_pool() { free_.reserve(kept_max); }

  /// Throws std::bad_alloc.
  [[nodiscard]] chunk take();
  /// Takes the chunks back; keeps at most `kept_max` for later.
  void give_back(std::vector<chunk>& chunks) noexcept;

private:
  static constexpr std::size_t kept_max = 1'024;
  std::mutex mutex_;
  std::vector<chunk> free_;
};

/// Frames of one shard that wait to be written: their bytes in chunks, large values by reference.
/// Bytes never move once written. One thread at a time; moving it is cheap.
///
/// What adds to it throws std::bad_alloc, and not where reserve() has made room before.
class log_buffer {
public:
  struct frame {
    std::uint32_t piece_begin = 0,
                  piece_end = 0; ///< in pieces(); the first begins with room for the frame's header
    std::uint64_t length = 0;    ///< of all pieces
    epoch_t epoch = 0;
    lsn_t previous = 0, first = 0, last = 0;
    std::uint32_t count = 0;
    bool has_parts = false, cuts = false;
  };
  struct piece {
    const char* data;
    std::size_t size;
  };

  /// The most that a frame's header, a call of room() and the padding may be.
  static constexpr std::size_t room_max = 512;

  /// So that none of what follows can fail: opening a frame where none is open, `bytes` in all in
  /// calls of room() and write(), `blobs` calls of share(), and closing the frame. Changes nothing
  /// that can be seen; throws std::bad_alloc.
  void reserve(chunk_pool& pool, std::size_t bytes, std::size_t blobs = 0);
  /// Is there room already, for a record without a blob? Cheap; false is no verdict.
  [[nodiscard]] bool has_room_for(std::size_t bytes) const noexcept {
    return sure_end_ - at_ >= static_cast<std::ptrdiff_t>(bytes);
  }

  /// Starts a frame: leaves `header_bytes` free at its front.
  void open_frame(chunk_pool& pool, epoch_t epoch, lsn_t previous, std::size_t header_bytes);
  /// Ends it and pads it with zeros to a multiple of `alignment` (not counted in its length).
  void close_frame(chunk_pool& pool, std::size_t alignment);
  [[nodiscard]] bool frame_open() const noexcept { return open_; }
  [[nodiscard]] frame& current() noexcept { return frames_.back(); }
  /// Bytes of the open frame so far.
  [[nodiscard]] std::uint64_t frame_bytes() const noexcept { return frames_.back().length; }

  /// Room for at least `bytes` (below chunk_bytes) in one piece; follow it with advance().
  [[nodiscard]] char* room(chunk_pool& pool, std::size_t bytes) {
    if (static_cast<std::size_t>(end_ - at_) < bytes) [[unlikely]]
      next_chunk(pool);
    return at_;
  }
  void advance(std::size_t bytes) noexcept {
    at_ += bytes;
    frames_.back().length += bytes;
    bytes_ += bytes;
  }
  /// Asks for the cache lines that the next bytes go to, as the only core that has them: otherwise
  /// whoever appends next waits for them when it lets go of its lock.
  void prefetch_room() const noexcept {
#if defined(__x86_64__)
    for (std::size_t i = 64; i <= 256; i += 64) asm volatile("prefetchw %0" : : "m"(at_[i]));
#endif
  }
  [[nodiscard]] std::size_t room_left() const noexcept {
    return static_cast<std::size_t>(end_ - at_);
  }
  void write(chunk_pool& pool, std::string_view bytes);
  void share(const blob_ref& blob);

  [[nodiscard]] const std::vector<frame>& frames() const noexcept {
    return frames_;
  }
  [[nodiscard]] const std::vector<piece>& pieces() const noexcept {
    return pieces_;
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    return bytes_;
  }
  [[nodiscard]] bool empty() const noexcept {
    return frames_.empty();
  }
  /// Where the header of a closed frame goes.
  [[nodiscard]] char* header_of(const frame& f) const noexcept {
    return const_cast<char*>(pieces_[f.piece_begin].data);
  }

  /// Forgets everything; the memory goes back to the pool.
  void clear(chunk_pool& pool) noexcept;

private:
  void next_chunk(chunk_pool& pool);
  void close_piece();

  std::vector<chunk_pool::chunk> chunks_, spare_;
  std::vector<blob_ref> blobs_;
  std::vector<piece> pieces_;
  std::vector<frame> frames_;
  char* piece_ = nullptr; ///< begin of the open piece
  char* at_ = nullptr;
  char* end_ = nullptr;
  char* sure_end_ = nullptr; ///< up to here records need nothing that is not there
  std::uint64_t bytes_ = 0;
  bool open_ = false;
};

} // namespace warp::storage
