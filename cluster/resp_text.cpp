#include "cluster/resp_text.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace warp::cluster {

namespace {

char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

/// Does `c` belong to the set that begins behind the '[' at `at`? Moves `at` to its ']' (or to the
/// pattern's last byte).
bool in_set(std::string_view pattern, std::size_t& at, char c) noexcept {
  const auto byte = [](char x) { return static_cast<unsigned char>(x); };
  ++at;
  const bool inverted = at < pattern.size() && pattern[at] == '^';
  if (inverted) ++at;
  bool found = false;
  for (;; ++at) {
    if (at >= pattern.size()) {
      at = pattern.size() - 1;
      break;
    }
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      found |= pattern[++at] == c;
    } else if (pattern[at] == ']') {
      break;
    } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
      auto from = byte(pattern[at]), to = byte(pattern[at + 2]);
      if (from > to) std::swap(from, to);
      at += 2;
      found |= byte(c) >= from && byte(c) <= to;
    } else {
      found |= pattern[at] == c;
    }
  }
  return found != inverted;
}

} // namespace

std::optional<long double> parse_real(std::string_view text) {
  if (text.empty() || text.size() > 255) return std::nullopt;
  if (text.front() == ' ' || (text.front() >= '\t' && text.front() <= '\r')) return std::nullopt;
  const std::string terminated{text};
  char* end = nullptr;
  errno = 0;
  const long double number = std::strtold(terminated.c_str(), &end);
  if (end != terminated.c_str() + terminated.size() || std::isnan(number)) return std::nullopt;
  if (errno == ERANGE && (std::isinf(number) || std::fpclassify(number) == FP_ZERO))
    return std::nullopt;
  return number;
}

std::string format_real(long double number) {
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  char text[5 * 1024];
  auto size = static_cast<std::size_t>(std::snprintf(text, sizeof text, "%.17Lf", number));
  std::string out{text, std::min(size, sizeof text - 1)};
  if (out.find('.') != std::string::npos) {
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') out.pop_back();
  }
  return out == "-0" ? "0" : out;
}

bool matches_pattern(std::string_view pattern, std::string_view text) noexcept {
  constexpr auto none = std::string_view::npos;
  std::size_t p = 0, t = 0, star_p = none, star_t = 0;
  while (t < text.size()) {
    bool advanced = false;
    if (p < pattern.size() && pattern[p] == '*') {
      star_p = p++;
      star_t = t;
      continue;
    }
    if (p < pattern.size()) {
      if (pattern[p] == '?') {
        advanced = true;
      } else if (pattern[p] == '[') {
        auto end = p;
        advanced = in_set(pattern, end, text[t]);
        if (advanced) p = end;
      } else {
        auto at = p;
        if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
        advanced = pattern[at] == text[t];
        if (advanced) p = at;
      }
    }
    if (advanced) {
      ++p;
      ++t;
    } else if (star_p != none) {
      p = star_p + 1;
      t = ++star_t;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string_view literal_prefix(std::string_view pattern, bool& whole) noexcept {
  const auto size = std::min(pattern.find_first_of("*?[\\"), pattern.size());
  whole = pattern.substr(size) == "*";
  return pattern.substr(0, size);
}

bool same_word(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

std::string lower_case(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

std::string shown(std::string_view bytes, std::size_t bytes_max) {
  return std::string{bytes.substr(0, bytes_max)};
}

} // namespace warp::cluster
