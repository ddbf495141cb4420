#include "messages/watch.hpp"

namespace warp {

namespace {

constexpr std::string_view magic = "warpwat1";

void append(std::string& to, std::uint64_t number) {
  for (int shift = 0; shift < 64; shift += 8) to += static_cast<char>(number >> shift & 0xff);
}

std::optional<std::uint64_t> take_number(std::string_view& from) {
  if (from.size() < 8) return {};
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i)
    number |= std::uint64_t{static_cast<unsigned char>(from[i])} << (8 * i);
  from.remove_prefix(8);
  return number;
}

} // namespace

void watch_token::advance(const watch_event& event) noexcept {
  const auto index = event.shard.value - first_shard.value;
  if (event.shard < first_shard || index >= positions.size()) return;
  switch (event.kind) {
  case watch_kind::put:
  case watch_kind::erase:
  case watch_kind::expire:
  case watch_kind::fields_set:
  case watch_kind::fields_erased:
    if (!event.state) positions[index] = event.version;
    break;
  case watch_kind::state_end:
    positions[index] = event.version;
    break;
  case watch_kind::lost:
    positions[index] = unknown;
    break;
  case watch_kind::lagged:
  case watch_kind::synced:
  case watch_kind::ended:
    break;
  }
}

std::string watch_token::to_bytes() const {
  std::string bytes{magic};
  append(bytes, universe.size());
  bytes += universe;
  append(bytes, first_shard.value);
  append(bytes, positions.size());
  for (const auto position : positions) append(bytes, position);
  return bytes;
}

std::optional<watch_token> watch_token::from_bytes(std::string_view bytes) {
  if (!bytes.starts_with(magic)) return {};
  bytes.remove_prefix(magic.size());
  watch_token token;
  const auto name = take_number(bytes);
  if (!name || *name > bytes.size()) return {};
  token.universe = bytes.substr(0, *name);
  bytes.remove_prefix(*name);
  const auto first = take_number(bytes), count = take_number(bytes);
  if (!first || !count || *first > 0xffff || *count != bytes.size() / 8 || bytes.size() % 8 != 0)
    return {};
  token.first_shard = shard_id{static_cast<std::uint32_t>(*first)};
  for (std::uint64_t i = 0; i < *count; ++i) token.positions.push_back(*take_number(bytes));
  return token;
}

} // namespace warp
