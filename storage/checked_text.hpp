#pragma once

#include "messages/status.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace warp::storage {

/// Takes a text apart from left to right. The views it was made of must outlive it.
class text_reader {
public:
  explicit text_reader(std::string_view text) : text_(text) {}

  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] std::size_t offset() const { return at_; }
  [[nodiscard]] bool sees(std::string_view word) const {
    return text_.substr(at_).starts_with(word);
  }
  bool skip(std::string_view word) {
    if (!sees(word)) return false;
    at_ += word.size();
    return true;
  }
  /// A number without sign and leading zeros; in base 16 it has exactly `digits` digits.
  bool number(std::uint64_t& value, int base = 10, std::size_t digits = 16) {
    const char* from = text_.data() + at_;
    const auto [end, error] = std::from_chars(from, text_.data() + text_.size(), value, base);
    const auto size = static_cast<std::size_t>(end - from);
    if (error != std::errc{} || (base == 16 ? size != digits : size > 1 && *from == '0'))
      return false;
    at_ += size;
    return true;
  }
  std::string_view take(std::size_t size) {
    const auto word = text_.substr(at_, size);
    at_ += word.size();
    return word;
  }
  /// Up to the next character of `ends`, which stays.
  std::string_view take_until(std::string_view ends) {
    const auto end = text_.find_first_of(ends, at_);
    return take(end == std::string_view::npos ? text_.size() - at_ : end - at_);
  }

private:
  std::string_view text_;
  std::size_t at_ = 0;
};

/// A text file that begins with a word and its format number and ends with a line that has the
/// CRC-32C of all before it: the first line and the last are the same in every format, so that a
/// newer one is told from a damaged one.
struct text_kind {
  std::string_view first_word; ///< with the space behind it
  std::string_view name;       ///< "a WarpEngine manifest"
  std::uint64_t format_version = 1;
};

/// The text with its last line.
[[nodiscard]] std::string seal_text(std::string text);
struct opened_text {
  text_reader reader;               ///< behind the first line; ends before the last one
  std::uint64_t format_version = 0; ///< 1 to kind.format_version
};
/// invalid_argument (not a file of this kind), version_mismatch, corruption; the messages begin
/// with `path`.
op_result<opened_text> open_text(std::string_view bytes, std::string_view path,
                                 const text_kind& kind);

} // namespace warp::storage
