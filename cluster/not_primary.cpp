#include "cluster/not_primary.hpp"

namespace warp::cluster {

not_primary::not_primary(const cluster_view& cluster, shard_id shard) : shard_(shard) {
  const auto map = cluster.map();
  const auto name = "shard " + std::to_string(shard.value);
  const auto* const of = shard.value < map->shards.size() ? &map->shards[shard.value] : nullptr;
  const auto* const primary = of != nullptr && of->epoch != 0 ? map->find(of->primary) : nullptr;
  if (primary == nullptr) {
    text_ = name + " has no primary that this node knows of: try again after a moment";
  } else if (primary->id == map->self) {
    text_ = "this node is about to serve " + name + ", or to be replaced: try again after a moment";
  } else {
    epoch_ = of->epoch;
    address_ = primary->rpc;
    text_ = name + " is served by node " + std::to_string(primary->id.value) +
            (address_.empty() ? ", whose address is not known" : " at " + address_) + " (epoch " +
            std::to_string(epoch_) + ")";
  }
}

reply_view not_primary::reply() const {
  reply_view reply;
  reply.code = op_code::wrong_shard;
  reply.shard = shard_;
  reply.version = epoch_;
  reply.value = address_;
  reply.message = text_;
  return reply;
}

} // namespace warp::cluster
