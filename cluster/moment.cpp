#include "cluster/moment.hpp"

#include <charconv>
#include <chrono>
#include <fmt/format.h>

namespace warp::cluster {

namespace {

constexpr std::uint64_t second_us = 1'000'000;
/// The year 9999: more would not fit the texts.
constexpr std::uint64_t seconds_max = 253'402'300'799;

/// Takes exactly `digits` digits from the front.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return {};
  int value = 0;
  for (const char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return {};
    value = 10 * value + (c - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

/// What stands behind the dot, as us; digits beyond the sixth are cut off.
std::optional<std::uint64_t> take_fraction(std::string_view& text) {
  if (!take(text, '.')) return 0;
  std::uint64_t us = 0, unit = second_us / 10;
  bool any = false;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    us += static_cast<std::uint64_t>(text.front() - '0') * unit;
    unit /= 10;
    any = true;
    text.remove_prefix(1);
  }
  if (!any) return {};
  return us;
}

std::optional<std::uint64_t> parse_seconds(std::string_view text) {
  std::uint64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || seconds > seconds_max) return {};
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  const auto fraction = take_fraction(text);
  if (!fraction || !text.empty()) return {};
  return seconds * second_us + *fraction;
}

/// "Z", "+01:00", or nothing, in minutes.
std::optional<int> parse_offset(std::string_view text) {
  if (text.empty() || text == "Z" || text == "z") return 0;
  const int sign = text.front() == '-' ? -1 : 1;
  if (text.front() != '+' && text.front() != '-') return {};
  text.remove_prefix(1);
  const auto hours = take_number(text, 2);
  if (!hours || !take(text, ':')) return {};
  const auto minutes = take_number(text, 2);
  if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return {};
  return sign * (*hours * 60 + *minutes);
}

} // namespace

std::optional<std::uint64_t> parse_moment(std::string_view text) {
  if (text.find('-') == std::string_view::npos) return parse_seconds(text);
  const auto year = take_number(text, 4);
  if (!year || !take(text, '-')) return {};
  const auto month = take_number(text, 2);
  if (!month || !take(text, '-')) return {};
  const auto day = take_number(text, 2);
  if (!day || (!take(text, 'T') && !take(text, 't') && !take(text, ' '))) return {};
  const auto hour = take_number(text, 2);
  if (!hour || !take(text, ':')) return {};
  const auto minute = take_number(text, 2);
  if (!minute || !take(text, ':')) return {};
  const auto second = take_number(text, 2);
  const auto fraction = second ? take_fraction(text) : std::nullopt;
  const auto offset = fraction ? parse_offset(text) : std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!offset || !date.ok() || *hour > 23 || *minute > 59 || *second > 59) return {};
  const auto days = std::chrono::sys_days{date}.time_since_epoch().count();
  const auto seconds =
      std::int64_t{days} * 86'400 + *hour * 3'600 + *minute * 60 + *second - *offset * 60;
  if (seconds < 0) return {};
  return static_cast<std::uint64_t>(seconds) * second_us + *fraction;
}

std::string show_moment(std::uint64_t us) {
  const auto seconds = us / second_us;
  const std::chrono::sys_days day{std::chrono::days{static_cast<int>(seconds / 86'400)}};
  const std::chrono::year_month_day date{day};
  const auto rest = seconds % 86'400;
  auto text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                          static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                          rest / 3'600, rest / 60 % 60, rest % 60);
  if (us % second_us != 0) text += fmt::format(".{:06}", us % second_us);
  return text + "Z";
}

} // namespace warp::cluster
