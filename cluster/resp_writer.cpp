#include "cluster/resp_writer.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace warp::cluster {

namespace {

/// "x123\r\n" at `to`; at most 24 bytes.
template <class Number>
std::size_t put_number(char* to, char type, Number number) {
  *to = type;
  // Lengths and small results have a digit or two.
  char* end = nullptr;
  if (number >= 0 && number < 10) {
    to[1] = static_cast<char>('0' + number);
    end = to + 2;
  } else {
    end = std::to_chars(to + 1, to + 22, number).ptr;
  }
  end[0] = '\r';
  end[1] = '\n';
  return static_cast<std::size_t>(end + 2 - to);
}

constexpr std::size_t number_room = 24;

} // namespace

void resp_writer::header(char type, std::uint64_t count) {
  out_->commit(put_number(out_->reserve(number_room), type, count));
}

void resp_writer::simple(std::string_view text) {
  char* to = out_->reserve(text.size() + 3);
  *to++ = '+';
  to = std::copy(text.begin(), text.end(), to);
  to[0] = '\r';
  to[1] = '\n';
  out_->commit(text.size() + 3);
}

void resp_writer::error(std::string_view text) {
  char* to = out_->reserve(text.size() + 3);
  *to++ = '-';
  to = std::transform(text.begin(), text.end(), to,
                      [](char c) { return c == '\r' || c == '\n' ? ' ' : c; });
  to[0] = '\r';
  to[1] = '\n';
  out_->commit(text.size() + 3);
}

void resp_writer::integer(std::int64_t number) {
  out_->commit(put_number(out_->reserve(number_room), ':', number));
}

void resp_writer::bulk(std::string_view bytes) {
  char* const begin = out_->reserve(bytes.size() + number_room + 2);
  char* to = begin + put_number(begin, '$', bytes.size());
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  to += bytes.size();
  to[0] = '\r';
  to[1] = '\n';
  out_->commit(static_cast<std::size_t>(to + 2 - begin));
}

void resp_writer::null() {
  out_->append(protocol_ == 3 ? "_\r\n" : "$-1\r\n");
}

void resp_writer::null_array() {
  out_->append(protocol_ == 3 ? "_\r\n" : "*-1\r\n");
}

void resp_writer::map(std::size_t pairs) {
  if (protocol_ == 3)
    header('%', pairs);
  else
    header('*', 2 * pairs);
}

void resp_writer::real(double number) {
  char text[40];
  std::string_view shown;
  if (std::isinf(number))
    shown = number > 0 ? "inf" : "-inf";
  else if (std::isnan(number))
    shown = "nan";
  else
    shown = {text, static_cast<std::size_t>(std::snprintf(text, sizeof text, "%.17g", number))};
  if (protocol_ != 3) return bulk(shown);
  out_->append(",");
  out_->append(shown);
  out_->append("\r\n");
}

void resp_writer::boolean(bool value) {
  if (protocol_ == 3)
    out_->append(value ? "#t\r\n" : "#f\r\n");
  else
    integer(value ? 1 : 0);
}

void resp_writer::verbatim(std::string_view text) {
  if (protocol_ != 3) return bulk(text);
  header('=', text.size() + 4);
  out_->append("txt:");
  out_->append(text);
  out_->append("\r\n");
}

void resp_writer::big_number(std::string_view digits) {
  if (protocol_ != 3) return bulk(digits);
  out_->append("(");
  out_->append(digits);
  out_->append("\r\n");
}

} // namespace warp::cluster
