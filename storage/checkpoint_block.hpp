#pragma once

#include "storage/checkpoint_format.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace warp::storage {

/// Walks over the packed records of a block's payload. Never looks beyond the payload, whatever its
/// bytes are. The payload must outlive the cursor and the records.
class checkpoint_block_cursor {
public:
  checkpoint_block_cursor() noexcept = default;
  checkpoint_block_cursor(std::string_view payload, std::uint32_t records) noexcept
      : payload_(payload), records_left_(records) {}

  /// The next record; false at the end of the block and at damage: see complete().
  bool next(checkpoint_record& record) noexcept;

  /// After next() said false: was every record whole and every byte used?
  [[nodiscard]] bool complete() const noexcept {
    return offset_ == payload_.size() && records_left_ == 0;
  }
  /// Bytes of the payload that have been read: where the damage is.
  [[nodiscard]] std::size_t offset() const noexcept { return offset_; }

private:
  std::string_view payload_;
  std::size_t offset_ = 0;
  std::uint32_t records_left_ = 0;
};

} // namespace warp::storage
