#include "cluster/client_link.hpp"

#include "cluster/corked_network.hpp"
#include "cluster/corked_stream.hpp"
#include "cluster/map_conversion.hpp"
#include "cluster/message_limits.hpp"
#include "messages/conversion.hpp"

#include <algorithm>
#include <kj/debug.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace warp::cluster {

namespace {

constexpr unsigned default_port = 7400;
/// One attempt to connect and log in; then the next address has its turn.
constexpr auto attempt_max = 3 * kj::SECONDS;

stream_limits limits_of(const client_options& options) {
  stream_limits limits;
  limits.message_bytes_max = message_bytes_max(options.value_bytes_max);
  return limits;
}

capnp::ReaderOptions reader_options(const client_options& options) {
  capnp::ReaderOptions reader;
  reader.traversalLimitInWords =
      message_bytes_max(options.value_bytes_max) / sizeof(capnp::word) + 1;
  reader.nestingLimit = nesting_max;
  return reader;
}

} // namespace

struct client_link::connection {
  connection(kj::Own<kj::AsyncIoStream> socket, kj::Timer& timer, const client_options& options)
      : io(kj::mv(socket)), stream(*io, timer, limits_of(options)),
        network(stream, capnp::rpc::twoparty::Side::CLIENT, reader_options(options)),
        rpc(capnp::makeRpcClient(network)) {}

  wire::Warp::Client bootstrap() {
    capnp::MallocMessageBuilder message;
    auto server = message.initRoot<capnp::rpc::twoparty::VatId>();
    server.setSide(capnp::rpc::twoparty::Side::SERVER);
    return rpc.bootstrap(server).castAs<wire::Warp>();
  }

  kj::Own<kj::AsyncIoStream> io;
  corked_stream stream;
  corked_network network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
  kj::Maybe<wire::Session::Client> session;
};

client_link::client_link(kj_loop& loop, const client_options& options, std::size_t number,
                         link_listener& listener)
    : loop_(loop), options_(options), listener_(listener), next_address_(number),
      random_(static_cast<unsigned>(std::random_device{}())), running_(nullptr) {
  start();
}

void client_link::start() {
  running_ = kj::evalLater([this] { return run(); }).eagerlyEvaluate([](kj::Exception&& e) {
    KJ_LOG(ERROR, "a client's link ended by an error", e);
  });
}

client_link::~client_link() noexcept(false) {
  running_ = nullptr;
}

void client_link::stop() {
  running_ = nullptr;
  ready_ = false;
  wire_.reset();
  in_flight = {};
  ++generation;
}

wire::Session::Client client_link::session() {
  return KJ_REQUIRE_NONNULL(wire_->session);
}

kj::Promise<void> client_link::run() {
  address_ = options_.addresses[next_address_++ % options_.addresses.size()];
  refused_ = {};
  return loop_.timer()
      .timeoutAfter(attempt_max, connect())
      .then([this]() -> kj::Promise<void> {
        ready_ = true;
        failures_ = 0;
        listener_.link_ready(*this);
        auto lost = kj::newPromiseAndFulfiller<void>();
        lost_ = kj::mv(lost.fulfiller);
        return wire_->network.on_disconnect()
            .exclusiveJoin(wire_->stream.on_fault())
            .exclusiveJoin(kj::mv(lost.promise));
      })
      .then(
          [] {
            return op_status{op_code::unavailable, "the connection was closed by the server"};
          },
          [this](kj::Exception&& e) {
            if (!refused_.ok()) return refused_;
            if (e.getType() == kj::Exception::Type::OVERLOADED)
              return op_status{op_code::unavailable, "no answer in time"};
            return op_status{op_code::unavailable, std::string(e.getDescription().cStr())};
          })
      .then([this](op_status why) {
        ready_ = false;
        wire_.reset(); // calls under way fail now
        in_flight = {};
        ++generation;
        listener_.link_down(*this, {why.code(), address_ + ": " + why.message()});
        return loop_.timer().afterDelay(pause().count() * kj::MILLISECONDS);
      })
      .then([this] { return run(); });
}

void client_link::lost(std::uint64_t of_generation) {
  if (of_generation != generation || !ready_) return;
  ready_ = false;
  lost_->fulfill();
}

kj::Promise<void> client_link::connect() {
  return loop_.io()
      .provider->getNetwork()
      .parseAddress(kj::StringPtr{address_.c_str(), address_.size()}, default_port)
      .then([](kj::Own<kj::NetworkAddress> address) {
        return address->connect().attach(kj::mv(address));
      })
      .then([this](kj::Own<kj::AsyncIoStream> io) {
        const int on = 1;
        io->setsockopt(IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        // A watch may be silent for long: the kernel notices when the other side is gone.
        const int idle_s = 10, every_s = 5, tries = 3;
        io->setsockopt(SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        io->setsockopt(IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
        io->setsockopt(IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
        io->setsockopt(IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
        wire_ = std::make_unique<connection>(kj::mv(io), loop_.timer(), options_);
        return login();
      });
}

kj::Promise<void> client_link::login() {
  auto request = wire_->bootstrap().loginRequest();
  request.setToken(as_data(options_.token));
  return request.send().then(
      [this](capnp::Response<wire::Warp::LoginResults>&& answer) -> kj::Promise<void> {
        if (answer.hasStatus()) refused_ = read_status(answer.getStatus());
        KJ_REQUIRE(refused_.ok(), "the server refused the login");
        wire_->session = answer.getSession();
        info_ = read_info(answer.getInfo());
        return info_.clustered ? ask_map() : kj::READY_NOW;
      });
}

kj::Promise<void> client_link::ask_map() {
  return session().clusterRequest().send().then(
      [this](capnp::Response<wire::Session::ClusterResults>&& answer) {
        if (!answer.hasStatus()) map_ = read_cluster_map(answer.getMap());
      });
}

std::chrono::milliseconds client_link::pause() {
  return jittered(options_, failures_++, random_);
}

server_info read_info(wire::Info::Reader from) {
  server_info info;
  info.version = std::string{as_view(from.getVersion())};
  info.shard_count = from.getShardCount();
  info.default_level =
      read_durability(from.getDefaultDurability()).value_or(durability::unspecified);
  info.value_bytes_max = from.getValueBytesMax();
  info.batch_operations_max = from.getBatchOperationsMax();
  info.in_memory_only = from.getInMemoryOnly();
  info.clustered = from.getClustered();
  info.uptime = std::chrono::milliseconds{from.getUptimeMs()};
  return info;
}

std::chrono::milliseconds jittered(const client_options& options, unsigned attempts,
                                   std::minstd_rand& random) {
  const auto base = std::max<std::int64_t>(1, options.retry_min.count()) << std::min(attempts, 20u);
  const auto limit =
      std::max<std::int64_t>(1, std::min<std::int64_t>(base, options.retry_max.count()));
  return std::chrono::milliseconds{
      std::uniform_int_distribution<std::int64_t>{(limit + 1) / 2, limit}(random)};
}

op_status status_of(const kj::Exception& e) {
  std::string text{e.getDescription().cStr()};
  switch (e.getType()) {
  case kj::Exception::Type::DISCONNECTED:
    return {op_code::unavailable, std::move(text)};
  case kj::Exception::Type::OVERLOADED:
    return {op_code::overloaded, std::move(text)};
  case kj::Exception::Type::UNIMPLEMENTED:
    return {op_code::not_supported, "the server does not know this call: it is of another version"};
  case kj::Exception::Type::FAILED:
    break;
  }
  return {op_code::io_error, std::move(text)};
}

} // namespace warp::cluster
