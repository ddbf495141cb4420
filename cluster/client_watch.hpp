#pragma once

#include "messages/watch.hpp"

#include <functional>
#include <memory>

namespace warp {

namespace cluster {
struct watched;
class client_watches;
} // namespace cluster

/// Called for each event of a watch, in the order of the contract in messages/watch.hpp, by one
/// thread of the client that serves all its watches. The server is told that events were dealt with
/// when their callbacks have returned, so what takes long delays the other watches, and what piles
/// up meanwhile is bounded. It may use the client and end any watch, its own too; it must not throw
/// and not destroy the client.
using client_watch_callback = std::function<void(const watch_event&)>;

/// A watch of a client. When the connection is lost it goes on where it was, as soon as a server
/// answers: nothing is missing unless `lost` says so. Thread-safe. Ends, without an event, with its
/// client, which it may outlive.
class client_watch {
public:
  client_watch(std::shared_ptr<cluster::watched> w, std::weak_ptr<cluster::client_watches> by);
  /// As cancel().
  ~client_watch();
  client_watch(const client_watch&) = delete;
  client_watch& operator=(const client_watch&) = delete;

  /// Behind the last event whose callback has returned: where another watch can go on.
  [[nodiscard]] watch_token token() const;
  /// Ends it without an event. Once this has returned the callback is not called any more; waits
  /// for a call under way, unless it is called from one.
  void cancel();

private:
  std::shared_ptr<cluster::watched> watch_;
  std::weak_ptr<cluster::client_watches> by_;
};

} // namespace warp
