#include "cluster/resp_settings.hpp"

#include "cluster/resp_text.hpp"
#include "storage/number.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::cluster {

namespace {

/// A number, or one with Redis's units for memory.
std::optional<std::int64_t> parse_amount(std::string_view text) {
  if (const auto plain = storage::parse_number(text)) return plain;
  constexpr std::pair<std::string_view, std::int64_t> units[] = {
      {"kb", 1024}, {"mb", 1024 * 1024}, {"gb", 1024 * 1024 * 1024},
      {"k", 1000},  {"m", 1000 * 1000},  {"g", 1000 * 1000 * 1000},
      {"b", 1}};
  const auto lower = lower_case(text);
  for (const auto& [unit, factor] : units)
    if (lower.ends_with(unit))
      if (const auto n =
              storage::parse_number(std::string_view{lower}.substr(0, lower.size() - unit.size())))
        return *n * factor;
  return std::nullopt;
}

} // namespace

resp_settings::resp_settings(std::uint64_t memory_max, std::uint64_t bulk_max,
                             std::size_t connections_max, std::uint16_t port, bool logged,
                             bool synced)
    : bulk_bytes_max(bulk_max), bulk_hard_max_(bulk_max) {
  const auto number = [](auto n) { return fmt::format("{}", n); };
  settings_ = {
      {.name = "activerehashing", .value = "yes"},
      {.name = "aof-use-rdb-preamble", .value = "yes"},
      {.name = "appendfsync", .value = synced ? "always" : "everysec"},
      {.name = "appendonly", .value = logged ? "yes" : "no"},
      {.name = "bind", .value = "127.0.0.1"},
      {.name = "client-output-buffer-limit",
       .value = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"},
      {.name = "client-query-buffer-limit", .value = "268435456"},
      {.name = "cluster-enabled", .value = "no"},
      {.name = "daemonize", .value = "no"},
      {.name = "databases", .value = "1"},
      {.name = "dbfilename", .value = "dump.rdb"},
      {.name = "dir", .value = "."},
      {.name = "hash-max-listpack-entries", .value = "512", .how = sort::free},
      {.name = "hash-max-listpack-value", .value = "64", .how = sort::free},
      {.name = "hz", .value = "10", .how = sort::free},
      {.name = "io-threads", .value = "1"},
      {.name = "latency-monitor-threshold", .value = "0", .how = sort::free},
      {.name = "lazyfree-lazy-eviction", .value = "no", .how = sort::free},
      {.name = "lazyfree-lazy-expire", .value = "no", .how = sort::free},
      {.name = "lazyfree-lazy-user-del", .value = "no", .how = sort::free},
      {.name = "lazyfree-lazy-user-flush", .value = "no", .how = sort::free},
      {.name = "loglevel", .value = "notice"},
      {.name = "maxclients", .value = number(connections_max)},
      {.name = "maxmemory", .value = number(memory_max)},
      {.name = "maxmemory-policy", .value = "noeviction"},
      {.name = "notify-keyspace-events", .value = ""},
      {.name = "port", .value = number(port)},
      {.name = "proto-max-bulk-len",
       .value = number(bulk_max),
       .how = sort::number,
       .min = 1024 * 1024,
       .max = static_cast<std::int64_t>(bulk_hard_max_)},
      {.name = "protected-mode", .value = "yes"},
      {.name = "requirepass", .value = ""},
      {.name = "save", .value = "", .how = sort::free},
      {.name = "slowlog-log-slower-than",
       .value = "10000",
       .how = sort::number,
       .min = -1,
       .max = INT64_MAX},
      {.name = "slowlog-max-len", .value = "128", .how = sort::number, .min = 0, .max = 1'000'000},
      {.name = "tcp-keepalive", .value = "300"},
      {.name = "timeout", .value = "0", .how = sort::number, .min = 0, .max = 2'147'483'647},
  };
}

std::vector<std::pair<std::string, std::string>>
resp_settings::find(std::span<const std::string_view> patterns) const {
  std::lock_guard hold{mutex_};
  std::vector<std::pair<std::string, std::string>> found;
  for (const auto& s : settings_)
    if (std::any_of(patterns.begin(), patterns.end(),
                    [&](std::string_view p) { return matches_pattern(lower_case(p), s.name); }))
      found.emplace_back(s.name, s.value);
  return found;
}

resp_settings::setting* resp_settings::by_name(std::string_view name) {
  for (auto& s : settings_)
    if (same_word(s.name, name)) return &s;
  return nullptr;
}

op_status resp_settings::set(std::span<const std::string_view> names_and_values) {
  std::lock_guard hold{mutex_};
  const auto refuse = [](std::string_view name, std::string_view why) {
    return op_status(
        op_code::invalid_argument,
        fmt::format("ERR CONFIG SET failed (possibly related to argument '{}') - {}", name, why));
  };
  for (std::size_t i = 0; i + 1 < names_and_values.size(); i += 2) {
    const auto name = names_and_values[i], value = names_and_values[i + 1];
    const auto* s = by_name(name);
    if (s == nullptr)
      return {op_code::invalid_argument,
              fmt::format("ERR Unknown option or number of arguments for CONFIG SET - '{}'",
                          shown(name))};
    for (std::size_t j = 0; j < i; j += 2)
      if (same_word(names_and_values[j], name)) return refuse(name, "duplicate parameter");
    if (s->how == sort::fixed && value != s->value)
      return refuse(name, "can't set immutable config");
    if (s->how == sort::number) {
      const auto n = parse_amount(value);
      if (!n) return refuse(name, "argument couldn't be parsed into an integer");
      if (*n < s->min || *n > s->max)
        return refuse(name,
                      fmt::format("argument must be between {} and {} inclusive", s->min, s->max));
    }
  }
  for (std::size_t i = 0; i + 1 < names_and_values.size(); i += 2) {
    auto& s = *by_name(names_and_values[i]);
    s.value = names_and_values[i + 1];
    if (s.how == sort::number) {
      s.value = fmt::format("{}", *parse_amount(s.value));
      apply(s);
    }
  }
  return {};
}

void resp_settings::apply(const setting& s) {
  const auto n = *storage::parse_number(s.value);
  if (s.name == "slowlog-log-slower-than")
    slower_than_us = n;
  else if (s.name == "slowlog-max-len")
    slow_log_max = static_cast<std::uint64_t>(n);
  else if (s.name == "timeout")
    idle_seconds_max = static_cast<std::uint64_t>(n);
  else if (s.name == "proto-max-bulk-len")
    bulk_bytes_max = static_cast<std::uint64_t>(n);
}

} // namespace warp::cluster
