#include "cluster/client_routes.hpp"

#include "storage/slot.hpp"

#include <algorithm>

namespace warp::cluster {

bool client_group::has(const client_link* link) const noexcept {
  return std::ranges::any_of(links, [&](const auto& own) { return own.get() == link; });
}

client_link* client_group::ready_link() const noexcept {
  const auto at = std::ranges::find_if(links, [](const auto& link) { return link->ready(); });
  return at == links.end() ? nullptr : at->get();
}

const client_routes::route& client_routes::of(std::string_view key) const {
  return of(storage::slot_of(key));
}

const client_routes::route& client_routes::of(slot_id slot) const {
  return at(storage::shard_of(slot, shard_count()));
}

bool client_routes::learn(const cluster_map& map) {
  if (routes_.empty()) routes_.resize(map.shards.size());
  if (map.shards.size() != routes_.size()) return false;
  bool newer = false;
  for (std::uint32_t i = 0; i < routes_.size(); ++i) {
    const auto& shard = map.shards[i];
    const auto* const primary = map.find(shard.primary);
    newer |= primary != nullptr && learn(shard_id{i}, shard.epoch, primary->rpc);
  }
  return newer;
}

bool client_routes::learn(shard_id shard, epoch_t epoch, std::string_view address) {
  if (shard.value >= routes_.size() || epoch == 0 || address.empty()) return false;
  auto& known = routes_[shard.value];
  // An epoch has one primary; that one may have come back at another address.
  if (epoch < known.epoch || (epoch == known.epoch && known.address == address)) return false;
  known = {epoch, std::string{address}};
  return true;
}

} // namespace warp::cluster
