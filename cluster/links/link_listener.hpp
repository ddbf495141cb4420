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

/// Who gets what links bring. Called by the link's actor: for one peer one call at a time and in
/// order, for two at the same time. While a call lasts, its peer's window is what waits, so it may
/// wait for room a moment, but for nothing that another message has to bring: all links share two
/// threads. Must not throw.
class link_listener {
public:
  /// Messages of one envelope, whole and in order. Loss and repetition are not hidden: what was on
  /// its way when a link broke is lost.
  virtual void on_messages(node_id from, std::vector<shard_message> messages) = 0;
  virtual void on_link(const link_event& what) = 0;

protected:
  ~link_listener() = default;
};

} // namespace warp::cluster::links
