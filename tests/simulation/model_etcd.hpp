#pragma once

#include "cluster/replication/authority.hpp"
#include "tests/simulation/event_queue.hpp"
#include "tests/simulation/sim_random.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <vector>

namespace warp::testing {

/// The one key of a shard, and the boots under leases, of an etcd that is itself without fault, as
/// its clients see it: requests are late, lost or done twice by a transport that tries again,
/// answers are lost or overtaken, watches skip and repeat events, leases go for no reason, and
/// sometimes nobody reaches it.
class model_etcd {
public:
  using authority = cluster::replication::authority;
  using member = cluster::replication::member;

  struct weather {
    double loss = 0; ///< of requests, and of answers
    double doubling = 0;
    double lateness = 0;
    event_queue::time late_us = 0;
    double watch_loss = 0, watch_replay = 0;
  };
  struct answer {
    bool succeeded = false; ///< the compare held; for reads true
    std::uint64_t revision = 0;
    authority value;
  };

  model_etcd(event_queue& queue, std::uint64_t seed, std::size_t nodes, authority first);

  void set(weather to) { weather_ = to; }
  void set_reachable(std::size_t node, bool on) { reachable_[node] = on; }
  void heal();
  /// Called for each watcher when the key has changed, some time later.
  void on_watch(std::function<void(std::size_t node)> ring) { ring_ = std::move(ring); }
  /// Called when the key changes.
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }

  void compare_and_set(std::size_t from, std::uint64_t compared, authority value,
                       std::function<void(answer)> reply);
  void read(std::size_t from, std::function<void(answer)> reply);
  void keep_alive(member who);
  void revoke(std::size_t node);
  void list_nodes(std::size_t from, std::function<void(std::vector<member>)> reply);

  [[nodiscard]] const authority& value() const { return value_; }
  [[nodiscard]] std::uint64_t revision() const { return revision_; }
  [[nodiscard]] std::uint64_t changes() const { return revision_ - 1; }

private:
  struct lease {
    member who;
    event_queue::time ends;
  };
  event_queue::time delay();
  void request(std::size_t from, std::function<void()> at_server);
  void reply(std::size_t to, std::function<void()> at_client);

  event_queue& queue_;
  sim_random random_;
  weather weather_;
  std::vector<bool> reachable_;
  authority value_;
  std::uint64_t revision_ = 1;
  std::map<cluster::replication::node_id, lease> leases_;
  std::function<void(std::size_t)> ring_;
  std::function<void()> changed_;
};

} // namespace warp::testing
