#pragma once

#include "cluster/corked_stream.hpp"

#include <capnp/message.h>
#include <capnp/rpc-twoparty.h>
#include <cstddef>
#include <kj/async.h>

namespace warp::cluster {

/// What capnp::TwoPartyVatNetwork is, over a corked_stream and without its work per message: a
/// message that has arrived is handed out at once, one that is sent is copied to the stream's
/// output at once (a large one is kept and sent from where it is), and neither costs a promise. A
/// third less processor time per call.
///
/// One event loop's thread. Takes no file descriptors. Must outlive the RpcSystem that is made of
/// it.
class corked_network final : public capnp::TwoPartyVatNetworkBase {
public:
  /// Borrows the stream. `options`: nesting limit of messages received; longest message sent, as
  /// the traversal limit.
  corked_network(corked_stream& stream, capnp::rpc::twoparty::Side side,
                 capnp::ReaderOptions options);
  ~corked_network() noexcept(false);

  /// Resolves when the RPC system has dropped the connection: the peer has closed it or broken the
  /// protocol. At most one caller.
  kj::Promise<void> on_disconnect();

  // -- capnp::VatNetwork

  kj::Maybe<kj::Own<Connection>> connect(capnp::rpc::twoparty::VatId::Reader peer) override;
  kj::Promise<kj::Own<Connection>> accept() override;

  /// Bytes of streaming calls under way to the peer at most: enough to keep it busy for some
  /// milliseconds, little enough to wait for.
  static constexpr std::size_t stream_window_bytes = 1u << 20;

private:
  class connection;
  class incoming;
  class outgoing;

  corked_stream& stream_;
  capnp::rpc::twoparty::Side side_;
  capnp::ReaderOptions options_;
  capnp::MallocMessageBuilder peer_;
  bool accepted_ = false;
  kj::Canceler
      reads_; // a read that waits, for when a write finds out first that the stream is over
  kj::PromiseFulfillerPair<void> disconnected_ = kj::newPromiseAndFulfiller<void>();
};

} // namespace warp::cluster
