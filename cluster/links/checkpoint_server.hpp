#pragma once

#include "cluster/links/node_identity.hpp"
#include "cluster/links/peer_address.hpp"
#include "cluster/links/tls_files.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/file_system.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace warp::cluster::links {

/// Hands checkpoints to nodes whose copies begin anew (R10), on a port and a thread of its own: the
/// answer to a replica's offer_checkpoint. What is on offer can be read, in any number of tries,
/// until it is withdrawn or replaced; a file that is being read may be removed meanwhile.
class checkpoint_server {
public:
  /// Listens ("host", port 0: a free one) when it returns. Codes: those of listen_socket, and
  /// invalid_argument for TLS files that cannot be used. `files` outlives the server.
  static op_result<std::unique_ptr<checkpoint_server>> start(node_identity self,
                                                             const peer_address& listen,
                                                             std::optional<tls_files> tls,
                                                             storage::file_system& files);
  /// Ends the connections that there are.
  ~checkpoint_server();
  checkpoint_server(const checkpoint_server&) = delete;
  checkpoint_server& operator=(const checkpoint_server&) = delete;

  [[nodiscard]] std::uint16_t port() const;

  /// Any thread. `max_epoch`: of this node's copy (R1), which is at least that of the file.
  void offer(node_id to, shard_id shard, epoch_t max_epoch, std::string path);
  void withdraw(node_id to, shard_id shard);

  /// Since the start.
  [[nodiscard]] std::uint64_t chunks_sent() const;

private:
  struct state;
  explicit checkpoint_server(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

} // namespace warp::cluster::links
