#pragma once

#include "cluster/links/checkpoint_server.hpp"
#include "cluster/links/node_identity.hpp"
#include "cluster/links/peer_address.hpp"
#include "cluster/links/tls_files.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/engine.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace warp::cluster {

/// Brings checkpoints from node to node (R10), on threads of its own: makes those that others have
/// asked for and puts them on offer, fetches those that copies of this node begin with. All calls
/// from any thread; they only leave a note.
class checkpoint_couriers {
public:
  struct arrival {
    shard_id shard;
    epoch_t max_epoch = 0; ///< of its sender
    std::string path;      ///< removed when the call returns
  };
  struct surroundings {
    links::node_identity self;
    std::optional<links::tls_files> tls;
    /// Where a node hands out checkpoints; none: not known (now).
    std::function<std::optional<links::peer_address>(replication::node_id)> address_of;
    /// The end of what has begun to arrive, in LSNs.
    std::function<void(shard_id, lsn_t)> coming;
    /// A whole checkpoint; may block.
    std::function<void(const arrival&)> arrived;
  };

  /// Engine and server are borrowed.
  checkpoint_couriers(storage::engine& engine, links::checkpoint_server& server, surroundings with);
  ~checkpoint_couriers();
  checkpoint_couriers(const checkpoint_couriers&) = delete;
  checkpoint_couriers& operator=(const checkpoint_couriers&) = delete;

  void offer(replication::node_id to, shard_id shard, epoch_t max_epoch);
  /// Unless one is on its way to this shard already.
  void fetch(replication::node_id from, shard_id shard);
  /// What is on its way to the shard is of no use any more.
  void outdated(shard_id shard);

  struct counters {
    std::atomic<std::uint64_t> offered{0}, fetched{0}, failed{0};
  };
  [[nodiscard]] const counters& counts() const noexcept { return counts_; }

private:
  struct wish {
    replication::node_id from;
    shard_id shard;
  };
  struct wanted_offer {
    replication::node_id to;
    shard_id shard;
    epoch_t max_epoch = 0;
  };
  /// Fetches at the same time: each is limited by the network, and by the disk.
  static constexpr std::size_t fetchers = 2;

  void make_offers();
  void fetch_all();
  void fetch_one(const wish& w);

  storage::engine& engine_;
  links::checkpoint_server& server_;
  const surroundings with_;
  counters counts_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool ends_ = false;
  std::deque<wanted_offer> offers_;
  std::deque<wish> wishes_;
  std::set<shard_id> under_way_, outdated_;
  std::map<std::pair<replication::node_id, shard_id>, std::string> offered_; ///< path
  std::vector<std::thread> threads_;
};

} // namespace warp::cluster
