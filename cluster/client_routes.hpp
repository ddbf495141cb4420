#pragma once

#include "cluster/client_job.hpp"
#include "cluster/client_link.hpp"
#include "cluster/cluster_map.hpp"
#include "messages/ids.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

/// Two lanes, so that what waits for the disk holds back nothing that does not.
enum client_lane : std::size_t { fast = 0, slow = 1 };

/// The links to one server, and what waits to be sent over them. Lives on the client's loop.
struct client_group {
  client_options options; ///< its addresses are those of the server; borrowed by the links
  std::vector<std::unique_ptr<client_link>> links;
  std::size_t next_link = 0;
  bool stopped = false; ///< its links are
  std::array<std::deque<client_slice>, 2> lanes;

  [[nodiscard]] bool has(const client_link* link) const noexcept;
  /// A link that is ready; null: none is.
  [[nodiscard]] client_link* ready_link() const noexcept;
  [[nodiscard]] bool waits() const noexcept { return !lanes[fast].empty() || !lanes[slow].empty(); }
};

/// Who serves what, as a client of a cluster knows it: of each shard the newest that it has heard
/// of. Empty for a server that is alone. Lives on the client's loop.
class client_routes {
public:
  /// What a shard's redirect or map entry says: the RPC address of its primary in that epoch.
  struct route {
    epoch_t epoch = 0;   ///< 0: nothing was heard
    std::string address; ///< empty: nobody is known
  };

  [[nodiscard]] bool empty() const noexcept { return routes_.empty(); }
  [[nodiscard]] std::uint32_t shard_count() const noexcept {
    return static_cast<std::uint32_t>(routes_.size());
  }
  [[nodiscard]] const route& at(shard_id shard) const { return routes_[shard.value]; }
  [[nodiscard]] const route& of(std::string_view key) const;
  [[nodiscard]] const route& of(slot_id slot) const;

  /// Takes what is newer in a node's map. True: something was. A map of another number of shards
  /// than the first one is not looked at.
  bool learn(const cluster_map& map);
  /// The same for one shard; what is older than what is known, or has no address, is ignored.
  bool learn(shard_id shard, epoch_t epoch, std::string_view address);

private:
  std::vector<route> routes_; // by shard
};

} // namespace warp::cluster
