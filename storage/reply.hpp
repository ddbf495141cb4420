#pragma once

#include "messages/ids.hpp"
#include "messages/operations.hpp"
#include "messages/status.hpp"
#include "storage/blob.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace warp::storage {

/// Where the values of a batch's replies are copied to: memory in chunks that stay where they are
/// until clear(), which keeps them for the next batch. So a warmed-up reader allocates nothing per
/// GET. One thread at a time.
class value_arena {
public:
  /// Copies the bytes in; the view is valid until clear().
  std::string_view copy(std::string_view bytes) {
    if (bytes.empty()) return {};
    if (bytes.size() > free_) grow(bytes.size());
    char* to = next_;
    std::memcpy(to, bytes.data(), bytes.size());
    next_ += bytes.size();
    free_ -= bytes.size();
    return {to, bytes.size()};
  }

  /// Where the next copy goes when it is no longer than left(); take_like_last() then keeps it.
  [[nodiscard]] char* next() const noexcept { return next_; }
  [[nodiscard]] std::size_t left() const noexcept { return free_; }
  /// Made in the hope that sizes repeat: then where the next copy goes does not wait for a size
  /// that has not arrived from memory yet, since the processor takes the comparison as likely and
  /// goes on.
  void take_like_last(std::size_t size) noexcept {
    if (size != last_size_) [[unlikely]]
      last_size_ = size;
    // Read again, or the compiler would see that it may as well add `size`.
    const std::size_t step = *const_cast<const volatile std::size_t*>(&last_size_);
    next_ += step;
    free_ -= step;
  }

  /// Forgets all copies; keeps one chunk, the longest that is not longer than 1 MiB.
  void clear() noexcept {
    if (more_) [[unlikely]]
      keep_one();
    next_ = kept_;
    free_ = kept_size_;
  }

private:
  static constexpr std::size_t chunk_bytes = 64 * 1024, kept_bytes_max = 1024 * 1024;
  struct chunk {
    std::unique_ptr<char[]> bytes;
    std::size_t size;
  };

  void grow(std::size_t need) {
    // The next one is twice as long, so that soon one is enough for what is usual.
    const auto usual = chunks_.empty() ? chunk_bytes : std::min(2 * kept_size_, kept_bytes_max);
    const auto size = std::max(need, usual);
    chunks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
    next_ = chunks_.back().bytes.get();
    free_ = size;
    more_ = chunks_.size() > 1;
    if (more_) return;
    kept_ = next_;
    kept_size_ = size;
  }

  void keep_one() noexcept {
    more_ = false;
    auto kept = chunks_.begin();
    for (auto it = chunks_.begin(); it != chunks_.end(); ++it)
      if (it->size <= kept_bytes_max && (it->size > kept->size || kept->size > kept_bytes_max))
        kept = it;
    std::swap(*chunks_.begin(), *kept);
    chunks_.resize(1);
    kept_ = chunks_.front().bytes.get();
    kept_size_ = chunks_.front().size;
  }

  std::vector<chunk> chunks_;
  char* kept_ = nullptr; ///< the first chunk
  std::size_t kept_size_ = 0;
  char* next_ = nullptr;
  std::size_t free_ = 0;
  std::size_t last_size_ = 0;
  bool more_ = false; ///< than one chunk
};

/// The answer to one operation. Plain codes here, sentences at the edge: describe() in engine.hpp
/// words them.
struct op_reply {
  op_code code = op_code::ok;
  /// exists, operations of hashes, wrong_type: what the record is; else meaningless.
  value_type type = value_type::bytes;
  shard_id shard;
  lsn_t version =
      0; ///< of the record after the operation; version_mismatch: the one it met; 0: absent
  /// LSN of this shard that must be durable before the answer may be given out at the level that
  /// was asked for; 0: at once.
  lsn_t durable_at = 0;
  std::int64_t number = 0; ///< increment: the result; wrong_type: what would overflow, or 0;
                           ///< operations of hashes: see op_kind
  std::uint64_t expires_at_ms = 0; ///< get, exists: of the record; 0: never
  std::string_view value;          ///< get: in the arena, or in `large`; hash_get: packed answers
  blob_ref large; ///< keeps a large value alive; hash_all: an indexed hash, see hash_view

  /// As new; cheaper than assigning a new one.
  void reset() noexcept {
    code = op_code::ok;
    shard = {};
    version = durable_at = 0;
    number = 0;
    expires_at_ms = 0;
    value = {};
    if (large) [[unlikely]]
      large = {};
  }
};

} // namespace warp::storage
