#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace warp {

// How hashes and lists of their fields travel and stand in records, logs and checkpoints:
//
//     sizes    varint: 7 bits a byte, the lowest first, the highest bit of all but the last is set;
//              below 2^32, in as few bytes as it takes
//     pairs    count, then { name size, name, value size, value }*
//     names    count, then { name size, name }*
//     answers  count, then { 0 } for an absent one or { value size + 1, value } for each
//
// The fields of a hash stand in the order in which they came; each name once. A name has 0 B to 64
// KiB, a value any bytes.

/// Longest name of a field, bytes, included.
inline constexpr std::size_t field_name_size_max = 64 * 1024;

/// Bytes of the varint.
[[nodiscard]] constexpr std::size_t varint_bytes(std::uint64_t value) noexcept {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}
inline constexpr std::size_t varint_bytes_max = 5;

/// Writes a varint; returns the address behind it.
inline char* write_varint(char* to, std::uint64_t value) noexcept {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
  *to++ = static_cast<char>(value);
  return to;
}

/// Bytes that a field takes among pairs.
[[nodiscard]] constexpr std::size_t packed_pair_bytes(std::size_t name,
                                                      std::size_t value) noexcept {
  return varint_bytes(name) + name + varint_bytes(value) + value;
}

/// Writes a size and its bytes; returns the address behind them.
inline char* write_packed(char* to, std::string_view bytes) noexcept {
  to = write_varint(to, bytes.size());
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

/// Takes packed bytes apart, front to back, and never looks beyond them. Whatever it hands out
/// points into them. Not for bytes that were changed meanwhile.
class packed_reader {
public:
  explicit packed_reader(std::string_view bytes) noexcept : left_(bytes) {}

  /// The number at the front; nothing where there is none below 2^32.
  std::optional<std::uint32_t> number() noexcept {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < varint_bytes_max && i < left_.size(); ++i) {
      const auto byte = static_cast<unsigned char>(left_[i]);
      value |= std::uint64_t{byte & 0x7fu} << 7 * i;
      if ((byte & 0x80) != 0) continue;
      if (value > 0xffff'ffffu || (byte == 0 && i != 0)) return std::nullopt;
      left_.remove_prefix(i + 1);
      return static_cast<std::uint32_t>(value);
    }
    return std::nullopt;
  }
  /// A size and as many bytes.
  std::optional<std::string_view> bytes() noexcept {
    const auto size = number();
    if (!size || *size > left_.size()) return std::nullopt;
    const auto taken = left_.substr(0, *size);
    left_.remove_prefix(*size);
    return taken;
  }
  /// A name and a value; false: there is no whole one.
  bool pair(std::string_view& name, std::string_view& value) noexcept {
    const auto n = bytes();
    const auto v = n ? bytes() : std::nullopt;
    if (!v) return false;
    name = *n;
    value = *v;
    return true;
  }

  [[nodiscard]] std::string_view rest() const noexcept { return left_; }
  [[nodiscard]] bool at_end() const noexcept { return left_.empty(); }

private:
  std::string_view left_;
};

/// The count in front; 0 for bytes that have none.
[[nodiscard]] inline std::uint32_t packed_count(std::string_view packed) noexcept {
  return packed_reader{packed}.number().value_or(0);
}

/// Calls visit(name, value) for each of well-formed pairs.
template <class Visit>
void for_each_pair(std::string_view pairs, Visit&& visit) {
  packed_reader in{pairs};
  in.number();
  for (std::string_view name, value; in.pair(name, value);) visit(name, value);
}
/// Calls visit(name) for each of well-formed names.
template <class Visit>
void for_each_name(std::string_view names, Visit&& visit) {
  packed_reader in{names};
  in.number();
  while (const auto name = in.bytes()) visit(*name);
}
/// Calls visit(std::optional<std::string_view>) for each of well-formed answers.
template <class Visit>
void for_each_answer(std::string_view answers, Visit&& visit) {
  packed_reader in{answers};
  in.number();
  while (const auto size = in.number()) {
    if (*size == 0) {
      visit(std::optional<std::string_view>{});
      continue;
    }
    const auto value = in.rest().substr(0, *size - 1);
    in = packed_reader{in.rest().substr(value.size())};
    visit(std::optional<std::string_view>{value});
  }
}

/// Are they pairs (names), at least one, whole, with nothing behind them and no name that is too
/// long? That a name comes once is not looked at.
[[nodiscard]] bool are_packed_pairs(std::string_view bytes) noexcept;
[[nodiscard]] bool are_packed_names(std::string_view bytes) noexcept;
[[nodiscard]] bool are_packed_answers(std::string_view bytes) noexcept;

/// Makes pairs, names or answers, one after the other; the count comes first in what it makes. Can
/// be used again and again. Throws std::bad_alloc.
class field_packer {
public:
  field_packer() { clear(); }

  void add_name(std::string_view name) {
    append(name);
    ++count_;
  }
  void add_pair(std::string_view name, std::string_view value) {
    append(name);
    append(value);
    ++count_;
  }
  void add_answer(std::optional<std::string_view> value) {
    if (value) {
      append_number(value->size() + 1);
      bytes_ += *value;
    } else {
      bytes_ += '\0';
    }
    ++count_;
  }
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }

  /// What was made; valid until the next call of anything else.
  [[nodiscard]] std::string_view packed() noexcept {
    char* const begin = bytes_.data() + varint_bytes_max - varint_bytes(count_);
    write_varint(begin, count_);
    return {begin, bytes_.data() + bytes_.size()};
  }
  void clear() {
    count_ = 0;
    bytes_.assign(varint_bytes_max, '\0');
  }

private:
  void append_number(std::uint64_t value) {
    char text[10];
    bytes_.append(text, static_cast<std::size_t>(write_varint(text, value) - text));
  }
  void append(std::string_view bytes) {
    append_number(bytes.size());
    bytes_ += bytes;
  }

  std::string bytes_; ///< room for the count, then what was added
  std::uint32_t count_ = 0;
};

} // namespace warp
