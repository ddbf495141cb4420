#include "cluster/corked_network.hpp"

#include <capnp/serialize.h>
#include <kj/debug.h>
#include <optional>

namespace warp::cluster {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

namespace {

using received = kj::Maybe<kj::Own<capnp::IncomingRpcMessage>>;

/// Single operations and their answers fit; what is longer takes memory of its own. (Cap'n Proto's
/// own first guess of 8 KiB, where nobody knows the length, has to be zeroed for each message.)
constexpr std::size_t small_message_words = 48;
/// From here on a copy to the output costs more than keeping the message until it is sent.
constexpr std::size_t keep_bytes_min = 8 * 1024;

} // namespace

class corked_network::incoming final : public capnp::IncomingRpcMessage {
public:
  incoming(kj::Array<capnp::word> words, const capnp::ReaderOptions& options)
      : words_(kj::mv(words)), reader_(words_, corked_stream::options_for(words_.size(), options)) {
  }
  capnp::AnyPointer::Reader getBody() override { return reader_.getRoot<capnp::AnyPointer>(); }
  size_t sizeInWords() override { return words_.size(); }

private:
  kj::Array<capnp::word> words_;
  capnp::FlatArrayMessageReader reader_;
};

class corked_network::outgoing final : public capnp::OutgoingRpcMessage, public kj::Refcounted {
public:
  /// `words`: how long it will probably be; 0: nobody knows.
  outgoing(corked_network& network, unsigned words) : network_(network) {
    if (words <= small_message_words)
      message_.emplace(kj::arrayPtr(scratch_, small_message_words));
    else
      message_.emplace(words);
  }

  capnp::AnyPointer::Builder getBody() override { return message_->getRoot<capnp::AnyPointer>(); }
  size_t sizeInWords() override { return message_->sizeInWords(); }

  void send() override {
    const auto segments = message_->getSegmentsForOutput();
    std::size_t words = 0;
    for (auto& s : segments) words += s.size();
    KJ_REQUIRE(words < network_.options_.traversalLimitInWords,
               "a message longer than the peer accepts", words);
    if (words * sizeof(capnp::word) >= keep_bytes_min)
      network_.stream_.send(segments, kj::addRef(*this));
    else
      network_.stream_.send(segments);
    if (network_.stream_.fault() != stream_fault::none)
      network_.reads_.cancel(network_.stream_.fault_exception());
  }

private:
  corked_network& network_;
  capnp::word scratch_[small_message_words] = {};
  std::optional<capnp::MallocMessageBuilder> message_;
};

/// The RPC system's end: its death is how the network learns that the connection is over.
class corked_network::connection final : public Connection {
public:
  explicit connection(corked_network& network) : network_(network) {}
  ~connection() noexcept(false) { network_.disconnected_.fulfiller->fulfill(); }

  kj::Own<capnp::RpcFlowController> newStream() override {
    return capnp::RpcFlowController::newFixedWindowController(stream_window_bytes);
  }
  VatId::Reader getPeerVatId() override { return network_.peer_.getRoot<VatId>(); }
  kj::Own<capnp::OutgoingRpcMessage> newOutgoingMessage(unsigned words) override {
    return kj::refcounted<outgoing>(network_, words);
  }

  kj::Promise<received> receiveIncomingMessage() override {
    kj::Array<capnp::word> words;
    // The RPC system expects failures in the promise.
    KJ_IF_MAYBE (e, kj::runCatchingExceptions([&] { words = network_.stream_.take_buffered(); })) {
      return kj::mv(*e);
    }
    if (words != nullptr) return made(kj::mv(words));
    return network_.reads_.wrap(kj::evalNow([this] { return network_.stream_.read(); }))
        .then([this](kj::Maybe<kj::Array<capnp::word>>&& got) -> received {
          KJ_IF_MAYBE (words, got) {
            return made(kj::mv(*words));
          }
          return nullptr;
        });
  }
  kj::Promise<void> shutdown() override { return network_.stream_.end(); }

private:
  received made(kj::Array<capnp::word> words) {
    return kj::Own<capnp::IncomingRpcMessage>{kj::heap<incoming>(kj::mv(words), network_.options_)};
  }

  corked_network& network_;
};

corked_network::corked_network(corked_stream& stream, Side side, capnp::ReaderOptions options)
    : stream_(stream), side_(side), options_(options), peer_(4) {
  peer_.initRoot<VatId>().setSide(side == Side::CLIENT ? Side::SERVER : Side::CLIENT);
}

corked_network::~corked_network() noexcept(false) = default;

kj::Promise<void> corked_network::on_disconnect() {
  return kj::mv(disconnected_.promise);
}

kj::Maybe<kj::Own<corked_network::Connection>> corked_network::connect(VatId::Reader peer) {
  if (peer.getSide() == side_) return nullptr; // that is us
  return kj::Own<Connection>{kj::heap<connection>(*this)};
}

kj::Promise<kj::Own<corked_network::Connection>> corked_network::accept() {
  if (side_ == Side::CLIENT || accepted_) return kj::NEVER_DONE; // there is one connection only
  accepted_ = true;
  return kj::Own<Connection>{kj::heap<connection>(*this)};
}

} // namespace warp::cluster
