#include "cluster/config_units.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <fmt/core.h>
#include <limits>
#include <numeric>
#include <span>

namespace warp::cluster {

namespace {

struct unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first within a system, so that formatting finds the shortest exact form.
constexpr unit size_units[] = {{"TiB", 1ull << 40},
                               {"GiB", 1ull << 30},
                               {"MiB", 1ull << 20},
                               {"KiB", 1ull << 10},
                               {"TB", 1'000'000'000'000},
                               {"GB", 1'000'000'000},
                               {"MB", 1'000'000},
                               {"kB", 1'000},
                               {"B", 1}};
constexpr unit duration_units[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"min", 60'000}, {"s", 1'000}, {"ms", 1}};

std::optional<std::uint64_t> parse_with_units(std::string_view text, std::span<const unit> units,
                                              std::uint64_t bare_factor) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return {};
  auto rest = text.substr(static_cast<std::size_t>(end - text.data()));
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  std::uint64_t factor = bare_factor;
  if (!rest.empty()) {
    const auto found =
        std::find_if(units.begin(), units.end(), [&](const unit& u) { return u.name == rest; });
    if (found == units.end()) return {};
    factor = found->factor;
  } else if (factor == 0) {
    return number == 0 ? std::optional<std::uint64_t>(0) : std::nullopt;
  }
  if (number > std::numeric_limits<std::uint64_t>::max() / factor) return {};
  return number * factor;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row.back();
}

} // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return parse_with_units(text, size_units, 1);
}

std::string format_size(std::uint64_t bytes) {
  if (bytes == 0) return "0B";
  for (const auto& u : std::span{size_units}.first(4))
    if (bytes % u.factor == 0) return fmt::format("{}{}", bytes / u.factor, u.name);
  return fmt::format("{}B", bytes);
}

std::optional<std::uint64_t> parse_duration_ms(std::string_view text) {
  return parse_with_units(text, duration_units, 0);
}

std::string format_duration_ms(std::uint64_t ms) {
  if (ms == 0) return "0ms";
  for (const auto& u : duration_units)
    if (ms % u.factor == 0) return fmt::format("{}{}", ms / u.factor, u.name);
  return fmt::format("{}ms", ms);
}

std::optional<std::string> closest_name(std::string_view name,
                                        const std::vector<std::string>& candidates) {
  const std::string* best = nullptr;
  auto best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    auto distance = edit_distance(name, candidate);
    // "segment_bytes" is five edits from "segment_size", and yet it is what was meant: count a long
    // shared beginning as near.
    const auto shared = static_cast<std::size_t>(
        std::mismatch(name.begin(), name.end(), candidate.begin(), candidate.end()).first -
        name.begin());
    if (shared >= 5 && shared * 2 >= candidate.size())
      distance = std::min<std::size_t>(distance, 2);
    if (distance < best_distance) {
      best = &candidate;
      best_distance = distance;
    }
  }
  return best ? std::optional(*best) : std::nullopt;
}

std::optional<host_and_port> parse_address(std::string_view text) {
  host_and_port address;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find("]:");
    if (close == std::string_view::npos) return {};
    address.host = text.substr(1, close - 1);
    port = text.substr(close + 2);
  } else {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos || text.find(':') != colon) return {};
    address.host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (address.host.find_first_of("[]") != std::string::npos) return {};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc{} || end != port.data() + port.size() || address.host.empty()) return {};
  return address;
}

bool is_loopback(const host_and_port& address) {
  if (address.host == "localhost" || address.host == "::1") return true;
  // Only a dotted quad counts: "127.example.org" is somebody else's machine.
  return address.host.starts_with("127.") &&
         std::count(address.host.begin(), address.host.end(), '.') == 3 &&
         std::all_of(address.host.begin(), address.host.end(),
                     [](unsigned char c) { return std::isdigit(c) || c == '.'; });
}

} // namespace warp::cluster
