#include "cluster/links/node_identity.hpp"

#include <fmt/format.h>

namespace warp::cluster::links {

op_status check(const node_identity& identity) {
  const auto bad = [](const char* what) { return op_status{op_code::invalid_argument, what}; };
  if (identity.node.value == 0) return bad("a node identity without a node id: ids begin at 1");
  if (identity.cluster.value == 0) return bad("a node identity without a cluster id");
  if (identity.boot.value == 0) return bad("a node identity without a boot");
  if (identity.instance == 0) return bad("a node identity without a data folder's instance");
  if (identity.cluster_name.empty() || identity.cluster_name.size() > cluster_name_bytes_max)
    return bad("a node identity whose cluster name does not have 1 to 64 bytes");
  return {};
}

op_status judge_peer(const node_identity& self, const node_identity& peer) {
  // The format first: of another one, the rest may mean something else.
  if (peer.format != self.format)
    return {op_code::not_supported,
            fmt::format("node {} speaks format {} of messages between nodes, node {} speaks {}: "
                        "run the same version of warpd on both",
                        peer.node.value, peer.format, self.node.value, self.format)};
  if (auto status = check(peer); !status.ok()) return status;
  if (peer.cluster != self.cluster || peer.cluster_name != self.cluster_name)
    return {op_code::unauthorized,
            fmt::format("node {} is of cluster \"{}\" ({:016x}), node {} of \"{}\" ({:016x}): one "
                        "of them has the other's address in its list of nodes",
                        peer.node.value, peer.cluster_name, peer.cluster.value, self.node.value,
                        self.cluster_name, self.cluster.value)};
  if (peer.node == self.node)
    return {op_code::already_exists,
            fmt::format("two nodes say that they are node {}: each needs an id of its own",
                        self.node.value)};
  return {};
}

op_status judge_boot(const std::optional<node_identity>& known, bool connected,
                     const node_identity& peer) {
  if (!known) return {};
  if (known->instance != peer.instance && connected)
    return {op_code::already_exists,
            fmt::format("node {} is linked already, with another data folder (instance {:016x}, "
                        "refused: {:016x}): each node needs an id of its own",
                        peer.node.value, known->instance, peer.instance)};
  if (peer.boot < known->boot)
    return {op_code::already_exists,
            fmt::format("node {} was heard with a later boot ({}, refused: {}): a copy of its data "
                        "folder runs elsewhere, or this process is out of date: stop one of them",
                        peer.node.value, known->boot.value, peer.boot.value)};
  return {};
}

} // namespace warp::cluster::links
