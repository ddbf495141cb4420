#include "cluster/client_types.hpp"

#include <algorithm>

namespace warp {

namespace {

operation from_options(op_kind kind, const client_write_options& options) {
  operation op;
  op.kind = kind;
  op.level = options.level;
  op.condition = options.condition;
  op.rank = options.rank;
  op.pattern = options.pattern;
  op.keep_expiry = options.keep_expiry;
  op.expected_version = options.expected_version;
  op.expires_at_ms = options.expires_at_ms;
  return op;
}

std::uint64_t ttl_of(const client_write_options& options) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, options.time_to_live.count()));
}

operation plain(op_kind kind, durability level) {
  operation op;
  op.kind = kind;
  op.level = level;
  return op;
}

} // namespace

void client_batch::get(std::string_view key, durability level) {
  add(plain(op_kind::get, level), 0, key, {});
}

void client_batch::exists(std::string_view key, durability level) {
  add(plain(op_kind::exists, level), 0, key, {});
}

void client_batch::put(std::string_view key, std::string_view value,
                       const client_write_options& options) {
  add(from_options(op_kind::put, options), ttl_of(options), key, value);
}

void client_batch::erase(std::string_view key, const client_write_options& options) {
  add(from_options(op_kind::erase, options), 0, key, {});
}

void client_batch::increment(std::string_view key, std::int64_t delta, durability level) {
  auto op = plain(op_kind::increment, level);
  op.delta = delta;
  add(op, 0, key, {});
}

void client_batch::expire(std::string_view key, const client_write_options& options) {
  add(from_options(op_kind::expire, options), ttl_of(options), key, {});
}

void client_batch::add(operation op, std::uint64_t ttl_ms, std::string_view key,
                       std::string_view value) {
  items_.push_back({op, ttl_ms, bytes_.size(), key.size(), value.size()});
  bytes_.append(key).append(value);
}

op_result<std::vector<std::string>> parse_addresses(std::string_view list) {
  std::vector<std::string> addresses;
  for (;;) {
    const auto comma = std::min(list.find(','), list.size());
    auto one = list.substr(0, comma);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.empty())
      return op_status{op_code::invalid_argument,
                       "an empty address: they are written as host:port,host:port"};
    addresses.emplace_back(one);
    if (comma == list.size()) return addresses;
    list.remove_prefix(comma + 1);
  }
}

void client_batch::clear() noexcept {
  items_.clear();
  bytes_.clear();
}

} // namespace warp
