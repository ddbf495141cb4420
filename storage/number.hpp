#pragma once

#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace warp::storage {

/// A value that increment() works on: a decimal 64-bit integer, as short as it can be written
/// ("-7", "0", "42"; not "007",
/// "+1" or " 1"). Nothing otherwise.
inline std::optional<std::int64_t> parse_number(std::string_view text) noexcept {
  std::int64_t value = 0;
  const auto* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || at != end) return std::nullopt;
  const auto digits = text.front() == '-' ? text.substr(1) : text;
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  if (value == 0 && text.size() > 1) return std::nullopt; // "-0"
  return value;
}

/// Text of a number without allocating; at most 20 characters.
struct number_text {
  explicit number_text(std::int64_t value) noexcept {
    size = static_cast<std::size_t>(std::to_chars(text, text + sizeof text, value).ptr - text);
  }
  [[nodiscard]] std::string_view view() const noexcept { return {text, size}; }
  char text[20];
  std::size_t size;
};

/// a + b, or nothing when that leaves 64 bits.
inline std::optional<std::int64_t> add(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

} // namespace warp::storage
