#include "cluster/resp_cluster.hpp"

#include "messages/limits.hpp"
#include "storage/slot.hpp"

#include <charconv>
#include <fmt/format.h>

namespace warp::cluster {

namespace {

/// FNV-1a with another start for each half, and its bits mixed: a name, not a checksum.
std::uint64_t half_name(std::string_view text, std::uint64_t start) noexcept {
  auto hash = start;
  for (const auto byte : text)
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x0000'0100'0000'01b3u;
  hash ^= hash >> 32;
  hash *= 0x9e37'79b9'7f4a'7c15u;
  return hash ^ hash >> 29;
}

} // namespace

resp_address split_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return {};
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  resp_address address;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (error != std::errc{} || end != digits.data() + digits.size()) return {};
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  address.host = host;
  return address;
}

std::string resp_node_name(const cluster_map& map, replication::node_id id) {
  return fmt::format("{:08x}{:016x}{:016x}", id.value, half_name(map.name, 0xcbf2'9ce4'8422'2325u),
                     half_name(map.name, 0x8422'2325'cbf2'9ce4u));
}

std::vector<slot_range> slot_ranges(const cluster_map& map) {
  std::vector<slot_range> ranges;
  if (map.shards.empty()) return ranges;
  const auto slots_each = slot_count / static_cast<std::uint32_t>(map.shards.size());
  for (std::size_t i = 0; i < map.shards.size(); ++i) {
    const auto& shard = map.shards[i];
    const auto first = static_cast<std::uint32_t>(i) * slots_each;
    const auto last = first + slots_each - 1;
    if (!ranges.empty()) {
      auto& before = ranges.back();
      const auto& neighbour = map.shards[before.shard];
      if (neighbour.primary == shard.primary && neighbour.isr == shard.isr &&
          neighbour.learners == shard.learners) {
        before.last = last;
        before.epoch = std::max(before.epoch, shard.epoch);
        continue;
      }
    }
    ranges.push_back({first, last, i, shard.epoch});
  }
  return ranges;
}

std::string redirection(const cluster_map& map, slot_id slot) {
  const auto shards = static_cast<std::uint32_t>(map.shards.size());
  if (shards == 0) return "CLUSTERDOWN Hash slot not served";
  const auto& shard = map.shards[storage::shard_of(slot, shards).value];
  const auto* const primary = map.find(shard.primary);
  if (shard.epoch == 0 || primary == nullptr) return "CLUSTERDOWN Hash slot not served";
  if (primary->id == map.self)
    return "TRYAGAIN this node is about to serve the slot, or to be replaced";
  const auto at = split_address(primary->resp);
  if (at.port == 0)
    return fmt::format("CLUSTERDOWN Hash slot not served: node {} has no RESP address",
                       primary->id.value);
  return fmt::format("MOVED {} {}:{}", slot.value, at.host, at.port);
}

std::string misplaced(const cluster_view& cluster, std::uint32_t shard_count,
                      std::span<const std::string_view> keys) {
  if (keys.empty()) return {};
  const auto slot = storage::slot_of(keys.front());
  for (const auto key : keys.subspan(1))
    if (storage::slot_of(key) != slot)
      return "CROSSSLOT Keys in request don't hash to the same slot";
  if (cluster.serves(storage::shard_of(slot, shard_count))) [[likely]]
    return {};
  return redirection(*cluster.map(), slot);
}

} // namespace warp::cluster
