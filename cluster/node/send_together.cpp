// What copies send in one turn of a thread leaves together: one message for each other node.

#include "cluster/node/cluster_node.hpp"

#include <algorithm>
#include <utility>

namespace warp::cluster {

namespace {

struct for_node {
  replication::node_id to;
  std::vector<links::shard_message> messages;
};

/// Of the turn that runs on this thread.
struct cork {
  const void* node = nullptr; ///< whose turn it is; null: none runs
  unsigned depth = 0;
  std::vector<for_node> waiting; ///< by node; kept for the next turn, empty
};
thread_local cork corked;

} // namespace

void cluster_node::turn_begins() noexcept {
  if (corked.node == nullptr) corked.node = this;
  if (corked.node == this) ++corked.depth;
}

void cluster_node::turn_ends() noexcept {
  if (corked.node != this || --corked.depth != 0) return;
  for (auto& w : corked.waiting)
    if (!w.messages.empty()) {
      // Lost where the node is away or slow: the machines send again what matters.
      try {
        static_cast<void>(network_->send(w.to, std::exchange(w.messages, {})));
      } catch (const std::bad_alloc&) { // as if it had been lost on its way
        w.messages.clear();
      }
    }
  corked.node = nullptr;
}

void cluster_node::send(replication::node_id to, links::shard_message what) {
  if (corked.node != this) {
    static_cast<void>(network_->send(to, what.shard, std::move(what.what)));
    return;
  }
  auto at = std::ranges::find(corked.waiting, to, &for_node::to);
  if (at == corked.waiting.end()) at = corked.waiting.insert(at, {to, {}});
  at->messages.push_back(std::move(what));
}

} // namespace warp::cluster
