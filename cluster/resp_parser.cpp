#include "cluster/resp_parser.hpp"

#include "storage/number.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace warp::cluster {

namespace {

bool is_space(char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char escaped(char c) noexcept {
  switch (c) {
  case 'n':
    return '\n';
  case 'r':
    return '\r';
  case 't':
    return '\t';
  case 'b':
    return '\b';
  case 'a':
    return '\a';
  default:
    return c;
  }
}

/// One word of a line, unquoted in place: it never gets longer. Advances `from` behind it; false
/// when its quotes are not balanced.
bool take_word(char*& from, char* end, std::string_view& word) {
  char* const begin = from;
  char* to = from;
  char quote = 0;
  for (;; ++from) {
    if (from == end) {
      if (quote != 0) return false;
      break;
    }
    const char c = *from;
    const auto left = end - from;
    if (quote == '"') {
      if (c == '\\' && left > 3 && from[1] == 'x' && hex_digit(from[2]) >= 0 &&
          hex_digit(from[3]) >= 0) {
        *to++ = static_cast<char>(hex_digit(from[2]) * 16 + hex_digit(from[3]));
        from += 3;
      } else if (c == '\\' && left > 1) {
        *to++ = escaped(*++from);
      } else if (c == '"') {
        if (left > 1 && !is_space(from[1])) return false;
        ++from;
        break;
      } else {
        *to++ = c;
      }
    } else if (quote == '\'') {
      if (c == '\\' && left > 1 && from[1] == '\'') {
        *to++ = *++from;
      } else if (c == '\'') {
        if (left > 1 && !is_space(from[1])) return false;
        ++from;
        break;
      } else {
        *to++ = c;
      }
    } else if (is_space(c)) {
      break;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else {
      *to++ = c;
    }
  }
  word = {begin, static_cast<std::size_t>(to - begin)};
  return true;
}

} // namespace

/// The number of the line at at_, behind its first byte; at_ moves behind the line.
resp_parser::line resp_parser::read_number(std::string_view input, std::int64_t& number) {
  const char* const begin = input.data() + at_ + 1;
  const char* const end = input.data() + input.size();
  // Nearly all lengths have a few digits.
  std::int64_t value = 0;
  const char* p = begin;
  while (p < end && p - begin < 9 && *p >= '0' && *p <= '9') value = value * 10 + (*p++ - '0');
  if (p + 1 < end && *p == '\r' && p != begin && (*begin != '0' || p - begin == 1)) [[likely]] {
    number = value;
    at_ = static_cast<std::size_t>(p + 2 - input.data());
    return line::number;
  }
  const auto* const stop =
      static_cast<const char*>(std::memchr(begin, '\r', static_cast<std::size_t>(end - begin)));
  if (stop == nullptr)
    return static_cast<std::size_t>(end - begin) >= limits_->line_bytes_max ? line::too_long
                                                                            : line::incomplete;
  if (stop + 1 >= end) return line::incomplete;
  const auto parsed = storage::parse_number({begin, static_cast<std::size_t>(stop - begin)});
  if (!parsed) return line::bad;
  number = *parsed;
  at_ = static_cast<std::size_t>(stop + 2 - input.data());
  return line::number;
}

resp_parser::outcome resp_parser::fail(std::string_view text) {
  error_size_ = std::min(text.size(), sizeof error_);
  std::memcpy(error_, text.data(), error_size_);
  return outcome::broken;
}

/// What has been read of the command is kept as offsets: the input may lie elsewhere next time.
resp_parser::outcome resp_parser::suspend(std::string_view input,
                                          std::vector<std::string_view>& arguments,
                                          std::size_t wanted) {
  for (const auto argument : arguments)
    partial_.push_back({static_cast<std::size_t>(argument.data() - input.data()), argument.size()});
  arguments.clear();
  wanted_ = wanted;
  return outcome::incomplete;
}

resp_parser::outcome resp_parser::next(std::string_view input,
                                       std::vector<std::string_view>& arguments) {
  arguments.clear();
  if (!unquoted_.empty()) [[unlikely]]
    std::string{}.swap(unquoted_);
  if (left_ == 0) {
    at_ = 0;
    if (input.empty()) return suspend(input, arguments, 1);
    if (input[0] != '*') return next_inline(input, arguments);
    std::int64_t count = 0;
    switch (read_number(input, count)) {
    case line::number:
      break;
    case line::incomplete:
      return suspend(input, arguments, input.size() + 1);
    case line::too_long:
      return fail("Protocol error: too big mbulk count string");
    case line::bad:
      return fail("Protocol error: invalid multibulk length");
    }
    if (count > limits_->arguments_max) return fail("Protocol error: invalid multibulk length");
    if (count <= 0) {
      consumed_ = at_;
      return outcome::command;
    }
    left_ = count;
    bulk_ = -1;
  }
  while (left_ > 0) {
    if (bulk_ < 0) {
      if (at_ >= input.size()) return suspend(input, arguments, at_ + 1);
      if (input[at_] != '$')
        return fail(fmt::format("Protocol error: expected '$', got '{}'", input[at_]));
      const auto line_at = at_;
      std::int64_t size = 0;
      switch (read_number(input, size)) {
      case line::number:
        break;
      case line::incomplete:
        return suspend(input, arguments, input.size() + 1);
      case line::too_long:
        return fail("Protocol error: too big bulk count string");
      case line::bad:
        at_ = line_at;
        return fail("Protocol error: invalid bulk length");
      }
      if (size < 0 || static_cast<std::uint64_t>(size) > limits_->bulk_bytes_max)
        return fail("Protocol error: invalid bulk length");
      bulk_ = size;
    }
    const auto size = static_cast<std::size_t>(bulk_);
    if (input.size() - at_ < size + 2) return suspend(input, arguments, at_ + size + 2);
    arguments.emplace_back(input.data() + at_, size);
    at_ += size + 2;
    bulk_ = -1;
    --left_;
  }
  if (!partial_.empty()) [[unlikely]] {
    std::vector<std::string_view> all;
    all.reserve(partial_.size() + arguments.size());
    for (const auto& p : partial_) all.emplace_back(input.data() + p.offset, p.size);
    all.insert(all.end(), arguments.begin(), arguments.end());
    arguments.swap(all);
    if (partial_.capacity() > 64)
      std::vector<piece>{}.swap(partial_); // a long one does not repeat
    else
      partial_.clear();
  }
  consumed_ = at_;
  return outcome::command;
}

resp_parser::outcome resp_parser::next_inline(std::string_view input,
                                              std::vector<std::string_view>& arguments) {
  const auto feed = input.find('\n');
  // Redis lets a longer line pass that came in one piece; here the pieces do not matter.
  if (std::min(feed, input.size()) > limits_->line_bytes_max)
    return fail("Protocol error: too big inline request");
  if (feed == std::string_view::npos) return suspend(input, arguments, input.size() + 1);
  consumed_ = feed + 1;
  auto line = input.substr(0, feed);
  if (line.ends_with('\r')) line.remove_suffix(1);
  // As in Redis, a zero byte ends the line for whoever takes it apart.
  line = line.substr(0, line.find('\0'));
  const bool quoted = line.find_first_of("\"'") != std::string_view::npos;
  if (quoted) {
    unquoted_ = line;
    line = unquoted_;
  }
  for (std::size_t at = 0;;) {
    while (at != line.size() && is_space(line[at])) ++at;
    if (at == line.size()) return outcome::command;
    if (quoted) {
      std::string_view word;
      char* from = unquoted_.data() + at;
      if (!take_word(from, unquoted_.data() + unquoted_.size(), word))
        return fail("Protocol error: unbalanced quotes in request");
      arguments.push_back(word);
      at = static_cast<std::size_t>(from - unquoted_.data());
    } else {
      const auto begin = at;
      while (at != line.size() && !is_space(line[at])) ++at;
      arguments.push_back(line.substr(begin, at - begin));
    }
  }
}

} // namespace warp::cluster
