#pragma once

#include "messages/ids.hpp"
#include "messages/operations.hpp"
#include "storage/blob.hpp"
#include "storage/cell_allocator.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace warp::storage {

/// What a record knows beside key and value.
struct record_meta {
  lsn_t version = 0;               ///< LSN of the last write, below 2^48
  std::uint64_t expires_at_ms = 0; ///< absolute, ms since 1970; 0: never
  value_type type = value_type::bytes;
  priority rank = priority::normal;
  access_pattern pattern = access_pattern::balanced;
  /// Some of it was written at level memory and is in no log. Then the log of its next change, of a
  /// field or of the expiry alone, must hold all of it.
  bool unlogged = false;
};

/// The value to store: `bytes` are copied into the record, unless `large` (16 KiB and more, or an
/// indexed hash) is set and shared instead.
struct new_value {
  std::string_view bytes;
  blob_ref large;

  [[nodiscard]] std::string_view view() const noexcept { return large ? large.view() : bytes; }
};

/// A record in the table: one allocation with a compact header, key and value inline (a blob's
/// pointer in place of the value when it is large; the record owns one reference). Read and written
/// under the shard's lock only. It cannot be constructed or copied: record_store makes, changes and
/// frees them.
///
///     4 B  version, low 32 bits
///     4 B  version, high 16 bits | flags << 16
///     4 B  short form: key size - 1 (8 bits) | inline value size << 8 (24 bits);  long form: key
///     size
///    [4 B  inline value size: long form only]
///    [8 B  expiry, ms since 1970: only when there is one]
///     key, then value or blob pointer (both without alignment)
///
/// So a small record costs 12 B over key and value. Flags: type 3 bits, unlogged 1, priority 3,
/// access pattern 2, heat 2 (for eviction), has expiry, long form, has blob, source of the memory 2
/// (cell_source).
class record {
public:
  record() = delete;
  record(const record&) = delete;
  record& operator=(const record&) = delete;

  [[nodiscard]] std::string_view key() const noexcept { return {at(key_offset()), key_size()}; }
  [[nodiscard]] std::string_view value() const noexcept { ///< blob or inline; none of a large hash
    if (has(flag_blob)) [[unlikely]]
      return large()->view();
    return {at(key_offset() + key_size()), inline_value_size()};
  }
  [[nodiscard]] blob* large() const noexcept { ///< null for an inline value
    if (!has(flag_blob)) return nullptr;
    return load<blob*>(key_offset() + key_size());
  }
  [[nodiscard]] std::size_t value_size() const noexcept { ///< of a hash in its packed form
    if (has(flag_blob)) [[unlikely]]
      return large()->size();
    return inline_value_size();
  }
  [[nodiscard]] value_type type() const noexcept {
    return static_cast<value_type>(flags() & type_mask);
  }
  [[nodiscard]] bool is_hash() const noexcept { return type() == value_type::hash; }
  [[nodiscard]] lsn_t version() const noexcept {
    return version_low_ | static_cast<lsn_t>(version_high_and_flags_ & 0xffffu) << 32;
  }
  [[nodiscard]] std::uint64_t expires_at_ms() const noexcept {
    return has(flag_expiry) ? load<std::uint64_t>(expiry_offset()) : 0;
  }
  [[nodiscard]] record_meta meta() const noexcept;

  /// How lately the record was used, for eviction: 0 (cold, and after every put) to 3.
  [[nodiscard]] unsigned heat() const noexcept { return flags() >> heat_shift & 3u; }
  void set_heat(unsigned heat) noexcept {
    version_high_and_flags_ &= ~(3u << (16 + heat_shift));
    version_high_and_flags_ |= (heat & 3u) << (16 + heat_shift);
  }

private:
  friend class record_store;
  friend class record_peek;

  static constexpr std::uint32_t type_mask = 7, flag_unlogged = 1u << 3;
  static constexpr unsigned rank_shift = 4, pattern_shift = 7, heat_shift = 9;
  static constexpr std::uint32_t flag_expiry = 1u << 11, flag_long = 1u << 12, flag_blob = 1u << 13;
  static constexpr unsigned source_shift = 14;

  /// Where things stand in a record of these sizes; decides the form.
  struct layout {
    bool long_form, expiry, blob;
    std::size_t key_offset, total;
  };
  static layout layout_for(std::size_t key_size, const new_value& value,
                           std::uint64_t expires_at_ms) noexcept;

  [[nodiscard]] cell_source source() const noexcept {
    return static_cast<cell_source>(flags() >> source_shift);
  }
  [[nodiscard]] std::uint32_t flags() const noexcept { return version_high_and_flags_ >> 16; }
  [[nodiscard]] bool has(std::uint32_t flag) const noexcept { return (flags() & flag) != 0; }
  [[nodiscard]] std::size_t expiry_offset() const noexcept { return has(flag_long) ? 16 : 12; }
  [[nodiscard]] std::size_t key_offset() const noexcept {
    return expiry_offset() + (has(flag_expiry) ? 8 : 0);
  }
  [[nodiscard]] std::size_t key_size() const noexcept {
    return has(flag_long) ? lengths_ : (lengths_ & 0xffu) + 1;
  }
  [[nodiscard]] std::size_t inline_value_size() const noexcept {
    return has(flag_long) ? load<std::uint32_t>(12) : lengths_ >> 8;
  }
  [[nodiscard]] std::size_t total_size() const noexcept {
    return key_offset() + key_size() + (has(flag_blob) ? sizeof(blob*) : inline_value_size());
  }

  [[nodiscard]] const char* at(std::size_t offset) const noexcept {
    return reinterpret_cast<const char*>(this) + offset;
  }
  [[nodiscard]] char* at(std::size_t offset) noexcept {
    return reinterpret_cast<char*>(this) + offset;
  }
  template <class T>
  [[nodiscard]] T load(std::size_t offset) const noexcept {
    T value;
    std::memcpy(&value, at(offset), sizeof value);
    return value;
  }

  void write_header(const record_meta& meta, const layout& form, std::size_t key_size,
                    std::size_t inline_value_size, cell_source source) noexcept;

  std::uint32_t version_low_;
  std::uint32_t version_high_and_flags_;
  std::uint32_t lengths_;
};

static_assert(sizeof(record) == 12 && alignof(record) == 4);

} // namespace warp::storage
