#pragma once

#include "cluster/client_types.hpp"
#include "cluster/cluster_map.hpp"
#include "cluster/kj_loop.hpp"
#include "messages/status.hpp"
#include "messages/warp.capnp.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <kj/async.h>
#include <kj/common.h>
#include <memory>
#include <optional>
#include <random>
#include <string>

namespace warp::cluster {

class client_link;

/// Told by a link, on the loop's thread.
class link_listener {
public:
  virtual void link_ready(client_link& link) = 0;
  /// An attempt to connect has failed, or the connection is lost. The link tries again by itself.
  virtual void link_down(client_link& link, const op_status& why) = 0;

protected:
  ~link_listener() = default;
};

/// One connection of a client's pool: connects, logs in, and does so again, after a growing pause,
/// when the connection is lost. Lives on the client's loop.
class client_link {
public:
  /// Borrows everything. `options.addresses` are tried in turn. `number`: its place in the pool;
  /// links begin with different addresses.
  client_link(kj_loop& loop, const client_options& options, std::size_t number,
              link_listener& listener);
  ~client_link() noexcept(false);
  client_link(const client_link&) = delete;
  client_link& operator=(const client_link&) = delete;

  [[nodiscard]] bool ready() const noexcept { return wire_ != nullptr && ready_; }
  /// Only when ready.
  [[nodiscard]] wire::Session::Client session();
  [[nodiscard]] const server_info& info() const noexcept { return info_; }
  /// Of a server in a cluster: its map at the login; handed over once.
  [[nodiscard]] std::optional<cluster_map> take_map() { return std::exchange(map_, std::nullopt); }

  /// Closes the connection, if there is one, and makes no other until start(). Not from what a link
  /// tells its listener.
  void stop();
  void start();

  /// A call of that generation met a dead connection: it is not used any more, even if it does not
  /// know yet.
  void lost(std::uint64_t of_generation);

  /// Messages under way, by lane; counted by whoever sends, forgotten with the connection.
  std::array<std::size_t, 2> in_flight{};
  /// Since when all that is under way is silent.
  std::chrono::steady_clock::time_point silent_since{};
  /// Counts the connections of this link: an answer that was lost with an earlier one is told by
  /// it.
  std::uint64_t generation = 0;

private:
  struct connection;

  kj::Promise<void> run();
  kj::Promise<void> connect();
  kj::Promise<void> login();
  kj::Promise<void> ask_map();
  [[nodiscard]] std::chrono::milliseconds pause();

  kj_loop& loop_;
  const client_options& options_;
  link_listener& listener_;
  std::size_t next_address_;
  std::string address_;
  unsigned failures_ = 0;
  std::minstd_rand random_;
  std::unique_ptr<connection> wire_;
  bool ready_ = false;
  kj::Own<kj::PromiseFulfiller<void>> lost_;
  server_info info_;
  std::optional<cluster_map> map_;
  op_status refused_; // by login
  kj::Promise<void> running_;
};

/// What a server says about itself, owned.
[[nodiscard]] server_info read_info(wire::Info::Reader from);

/// Half to all of min doubled `attempts` times, at most max.
[[nodiscard]] std::chrono::milliseconds jittered(const client_options& options, unsigned attempts,
                                                 std::minstd_rand& random);

/// An exception of the RPC system in our words; `op_code::unavailable` when the connection is lost.
[[nodiscard]] op_status status_of(const kj::Exception& e);

} // namespace warp::cluster
