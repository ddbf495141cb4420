#pragma once

#include "cluster/links/envelope.hpp"
#include "cluster/links/node_identity.hpp"

#include <optional>
#include <vector>

namespace warp::cluster::links {

/// A link has come up, or is down (again, or for another reason than before).
struct link_event {
  node_id node;
  bool linked = false;
  std::optional<node_identity>
      identity;     ///< as it was heard last; a boot other than before: restarted
  op_status reason; ///< of a link that is down
  /// The peer's machine says that nobody listens there: the process has ended. A hint (R6).
  bool refused = false;
};

/// Who gets what links bring. For one peer one call of on_messages() at a time and in order, for
/// two at the same time; on_link() likewise, and beside on_messages(). While a call lasts nothing
/// more is read from its peer, and from those that share its thread, so it may wait for room a
/// moment, but for nothing that another message has to bring. Must not throw.
class link_listener {
public:
  /// Messages of one envelope or of several, whole and in order. Loss and repetition are not
  /// hidden: what was on its way when a link broke is lost.
  virtual void on_messages(node_id from, std::vector<shard_message> messages) = 0;
  virtual void on_link(const link_event& what) = 0;
  /// Around what one look at all links of a thread has brought, on that thread: what is sent in
  /// between leaves best together, at its end.
  virtual void turn_begins() noexcept {}
  virtual void turn_ends() noexcept {}
  /// In each of these turns, after all messages; peer_network::wake() brings one about.
  virtual void on_turn() noexcept {}

protected:
  ~link_listener() = default;
};

} // namespace warp::cluster::links
