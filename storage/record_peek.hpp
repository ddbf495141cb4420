#pragma once

#include "storage/racing_read.hpp"
#include "storage/record.hpp"

#include <bit>
#include <cstdint>
#include <string_view>

namespace warp::storage {

/// A record seen without the shard's lock, while it may be changed, freed or made into another one:
/// reads less than 4 KiB from where it begins, and all it says counts only when the
/// shard's write_sequence has not moved. See racing_read.hpp.
class record_peek {
public:
  explicit record_peek(const record* r) noexcept
      : at_(reinterpret_cast<const char*>(r)), head_(racing_load<std::uint64_t>(at_)),
        lengths_(racing_load<std::uint64_t>(at_ + 8) & 0xffff'ffffu) {} // a cell has 16 B at least

  /// False: not bytes, or not as a whole in this place; look under the lock.
  [[nodiscard]] bool plain() const noexcept {
    constexpr std::uint64_t elsewhere = record::flag_long | record::flag_blob | record::type_mask;
    return (head_ & elsewhere << flags_shift) == 0 &&
           lengths_ < (cell_allocator::cell_bytes_max + 1) << 8;
  }

  /// The size of the value if the record is plain() (so it is bytes), without an expiry and with a
  /// key of `key` bytes (1 to 256); else more than cell_allocator::cell_bytes_max.
  [[nodiscard]] std::size_t usual_value_size(std::size_t key) const noexcept {
    constexpr std::uint32_t unusual =
        record::flag_long | record::flag_blob | record::flag_expiry | record::type_mask;
    if ((racing_load<std::uint32_t>(at_ + 4) & unusual << 16) != 0) [[unlikely]]
      return ~std::size_t{0};
    // Another key's size leaves low bits that are not zero, and so become the highest.
    return std::rotr(static_cast<std::uint32_t>(lengths_) - static_cast<std::uint32_t>(key - 1), 8);
  }

  // The rest only if plain().
  [[nodiscard]] bool has_key(std::string_view key) const noexcept {
    return key_size() == key.size() && racing_equal(at_ + key_offset(), key.data(), key.size());
  }
  [[nodiscard]] std::size_t value_size() const noexcept { return lengths_ >> 8; }
  void copy_value(char* to) const noexcept {
    racing_copy_by_steps(to, at_ + key_offset() + key_size(), value_size());
  }
  [[nodiscard]] lsn_t version() const noexcept { return head_ & lsn_max; }
  [[nodiscard]] bool expires() const noexcept {
    return (head_ & std::uint64_t{record::flag_expiry} << flags_shift) != 0;
  }
  [[nodiscard]] std::uint64_t expires_at_ms() const noexcept { ///< if it expires()
    return racing_load<std::uint64_t>(at_ + sizeof(record));
  }

private:
  static constexpr unsigned flags_shift = 48; ///< above the version
  static_assert(lsn_max == (std::uint64_t{1} << flags_shift) - 1);

  [[nodiscard]] std::size_t key_size() const noexcept { return (lengths_ & 0xffu) + 1; }
  [[nodiscard]] std::size_t key_offset() const noexcept {
    return sizeof(record) + (expires() ? 8u : 0u);
  }

  const char* at_;
  std::uint64_t head_;    ///< version and flags, as record lays them out
  std::uint64_t lengths_; ///< likewise
};

} // namespace warp::storage
