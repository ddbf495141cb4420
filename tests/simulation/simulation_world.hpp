#pragma once

#include "cluster/replication/replica_options.hpp"
#include "tests/simulation/invariants.hpp"
#include "tests/simulation/model_client.hpp"
#include "tests/simulation/model_etcd.hpp"
#include "tests/simulation/model_network.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace warp::testing {

class model_node;

/// What all nodes of a run share.
struct simulation_world {
  event_queue& queue;
  model_network& network;
  cluster::replication::replication_options options;
  std::vector<std::unique_ptr<model_etcd>> etcd;   ///< of each shard, its key; one weather for all
  std::vector<std::unique_ptr<invariants>> judges; ///< of each shard
  std::vector<std::unique_ptr<model_node>> nodes;
  std::function<void(std::uint32_t client, std::size_t from, client_reply)> reply;
  /// A node has asked etcd for a change: whoever wants to be in its way looks here.
  std::function<void(std::size_t node, std::size_t shard,
                     const cluster::replication::authority& value)>
      on_proposal;
  /// A line for the trace; empty when nobody wants one.
  std::function<void(std::string)> trace;
  std::uint64_t fingerprint = 0; ///< of everything that has happened
  std::uint64_t reigns = 0, checkpoints_installed = 0, chunks = 0, chunks_resumed = 0, outdated = 0,
                moves = 0, packets = 0, messages = 0, syncs = 0, syncs_wanted = 0, read_backs = 0,
                records_read_back = 0, refused_full = 0, held_max = 0;

  /// Text is made only where there is a trace.
  template <class Text>
  void note(Text&& text) {
    if (trace) trace(text());
  }
};

} // namespace warp::testing
