#pragma once

#include "cluster/etcd/client.hpp"
#include "cluster/etcd/requests.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace warp::cluster::etcd {

struct lease_options {
  std::chrono::seconds ttl{10}; ///< after so long without a sign of life it ends, >= 1
  std::chrono::milliseconds keepalive{3'000}; ///< so often a sign is given, > 0, below ttl
  std::chrono::milliseconds retry{500};       ///< and so often while etcd does not answer, > 0
  bool revoke_at_end = true;                  ///< what is bound goes at once, not after the ttl
};

/// What has become of the lease.
struct lease_news {
  enum class event : std::uint8_t {
    granted,  ///< there is a new one: what should be bound to it must be put again
    doubtful, ///< etcd has not answered for a ttl: it may have ended
    kept,     ///< it has not, after all
    lost,     ///< etcd has none of that id (any more): `granted` follows when it answers
  };
  event what = event::granted;
  lease_id_t lease = 0; ///< the one that is meant
};

/// Keeps a lease alive, on a thread of its own, and takes a new one when it was revoked or has run
/// out. Nothing but discovery and deferral may depend on a lease: etcd may end one at any time, and
/// keep one alive for longer than its ttl.
class lease_keeper {
public:
  using listener = std::function<void(const lease_news&)>;

  /// `via` must outlive it. `tell` is called on the keeper's thread, and may wait there (blocking
  /// calls of the client are fine), but not throw nor destroy the keeper. invalid_argument,
  /// overloaded (no thread).
  static op_result<std::unique_ptr<lease_keeper>> create(client& via, lease_options options,
                                                         listener tell);
  /// Revokes, and waits a second at most for the answer; nothing is told afterwards.
  ~lease_keeper();
  lease_keeper(const lease_keeper&) = delete;
  lease_keeper& operator=(const lease_keeper&) = delete;

  /// The lease that is held for all that is known; 0: none. Any thread.
  [[nodiscard]] lease_id_t lease() const;

private:
  class worker;
  explicit lease_keeper(std::unique_ptr<worker> made);

  std::unique_ptr<worker> worker_;
};

} // namespace warp::cluster::etcd
