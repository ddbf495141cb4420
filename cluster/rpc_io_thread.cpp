#include "cluster/rpc_io_thread.hpp"

#include "cluster/corked_network.hpp"
#include "cluster/corked_stream.hpp"
#include "cluster/rpc_door.hpp"
#include "messages/warp.capnp.h"
#include "storage/cpu_list.hpp"

#include <kj/debug.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

namespace warp::cluster {

namespace {

using clock = std::chrono::steady_clock;

/// How often a drain looks whether it is over.
constexpr auto drain_interval = 2 * kj::MILLISECONDS;
constexpr auto log_interval = std::chrono::seconds{1};

stream_limits limits_of(const rpc_shared& shared) {
  stream_limits limits;
  limits.message_bytes_max = message_bytes_max(shared.engine.options().value_bytes_max);
  limits.unread_output_max = shared.options.output_buffer_bytes;
  limits.output_stall_max = shared.options.output_stall_max;
  return limits;
}

capnp::ReaderOptions reader_options(const rpc_shared& shared) {
  capnp::ReaderOptions options;
  // Cap'n Proto refuses to send what is longer than this. What may be read of a message, the stream
  // sets for each.
  options.traversalLimitInWords =
      message_bytes_max(shared.engine.options().value_bytes_max) / sizeof(capnp::word) + 1;
  options.nestingLimit = nesting_max;
  return options;
}

} // namespace

class rpc_io_thread::connection {
public:
  connection(kj::Own<kj::AsyncIoStream> socket, std::string from, kj::Timer& timer,
             const rpc_shared& shared, rpc_context& context)
      : io(kj::mv(socket)), peer(std::move(from)), login(std::make_shared<login_state>()),
        stream(*io, timer, limits_of(shared), &context.counters.bytes_received,
               &context.counters.bytes_sent),
        network(stream, capnp::rpc::twoparty::Side::SERVER, reader_options(shared)),
        rpc(capnp::makeRpcServer(network, kj::heap<rpc_door>(context, login))) {
    // Calls that are not answered yet hold their messages: a client that asks and asks is not read
    // any more.
    rpc.setFlowLimit(shared.options.output_buffer_bytes / sizeof(capnp::word));
  }

  kj::Own<kj::AsyncIoStream> io;
  std::string peer;
  std::shared_ptr<login_state> login;
  bool login_late = false;
  corked_stream stream;
  corked_network network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
};

struct rpc_io_thread::on_loop final : kj::TaskSet::ErrorHandler {
  on_loop(kj_loop& loop, const rpc_shared& shared, rpc_counters& counters)
      : waiters(shared.engine, loop.io().unixEventPort, loop.timer(), counters.waiting_durable),
        watches(loop.io().unixEventPort), context{shared.engine,  shared.admin, shared.admin_jobs,
                                                  shared.options, counters,     waiters,
                                                  watches,        loop.timer(), shared.started},
        tasks(std::make_unique<kj::TaskSet>(*this)) {}

  void taskFailed(kj::Exception&& e) override {
    spdlog::debug("rpc: a connection ended by an error: {}", e.getDescription().cStr());
  }

  durable_waiters waiters;
  rpc_watches watches;
  rpc_context context;
  std::list<connection*> connections;
  clock::time_point logged_at{};
  std::uint64_t not_logged = 0;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> end;
  std::unique_ptr<kj::TaskSet> tasks; // owns the connections
};

rpc_io_thread::rpc_io_thread(rpc_shared shared, std::size_t number, std::optional<int> cpu)
    : shared_(shared), cpu_(cpu),
      loop_("rpc-io-" + std::to_string(number), [this](kj_loop& loop) { return run(loop); }) {}

rpc_io_thread::~rpc_io_thread() = default;

kj::Promise<void> rpc_io_thread::run(kj_loop& loop) {
  if (cpu_)
    if (const auto status = storage::pin_this_thread({&*cpu_, 1}); !status.ok())
      spdlog::warn("rpc: {}", status.message()); // it was allowed when the server started
  state_ = std::make_unique<on_loop>(loop, shared_, counters_);
  auto end = kj::newPromiseAndFulfiller<void>();
  state_->end = kj::mv(end.fulfiller);
  return end.promise.then([this] {
    state_->tasks.reset();
    state_.reset();
  });
}

void rpc_io_thread::adopt(int socket, std::string peer) {
  connections_.fetch_add(1, std::memory_order_relaxed);
  auto take = [this, socket, peer = std::move(peer)] {
    if (state_ && !state_->context.draining) return serve(socket, peer);
    ::close(socket);
    left();
  };
  if (loop_.on_loop())
    take();
  else
    loop_.post(std::move(take));
}

void rpc_io_thread::left() noexcept {
  connections_.fetch_sub(1, std::memory_order_relaxed);
  shared_.connections_open.fetch_sub(1, std::memory_order_relaxed);
}

void rpc_io_thread::serve(int socket, const std::string& peer) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  using flags = kj::LowLevelAsyncIoProvider;
  auto io = loop_.io().lowLevelProvider->wrapSocketFd(
      socket, flags::TAKE_OWNERSHIP | flags::ALREADY_CLOEXEC | flags::ALREADY_NONBLOCK);
  auto& timer = loop_.timer();
  auto made = kj::heap<connection>(kj::mv(io), peer, timer, shared_, state_->context);
  auto& c = *made;
  state_->connections.push_back(&c);
  counters_.connections_opened.fetch_add(1, std::memory_order_relaxed);

  auto late = timer.afterDelay(shared_.options.login_max.count() * kj::MILLISECONDS)
                  .then([&c]() -> kj::Promise<void> {
                    if (c.login->done) return kj::NEVER_DONE;
                    c.login_late = true;
                    return kj::READY_NOW;
                  });
  auto served = c.network.on_disconnect()
                    .exclusiveJoin(c.stream.on_fault())
                    .exclusiveJoin(kj::mv(late))
                    .then([this, &c] { closed(c); })
                    .attach(kj::defer([this, &c] {
                      state_->connections.remove(&c);
                      left();
                    }))
                    .attach(kj::mv(made));
  state_->tasks->add(kj::mv(served));
}

void rpc_io_thread::closed(connection& c) {
  const auto drop = [&](const std::string& why) {
    counters_.connections_dropped.fetch_add(1, std::memory_order_relaxed);
    log_dropped(c.peer, why);
  };
  switch (c.stream.fault()) {
  case stream_fault::none:
    if (c.login_late)
      drop("it did not log in");
    else if (!c.stream.ended())
      drop("it sent a message that is no message of this protocol, or there was no memory for it");
    break;
  case stream_fault::broken:
    break; // the peer or the network: nothing to say
  case stream_fault::stalled:
    counters_.slow_consumers_dropped.fetch_add(1, std::memory_order_relaxed);
    [[fallthrough]];
  case stream_fault::malformed:
  case stream_fault::oversized:
    drop(c.stream.fault_text());
    break;
  }
}

void rpc_io_thread::log_dropped(const std::string& peer, const std::string& why) {
  // One line a second: a peer that can make us drop connections must not make us fill the disk with
  // lines.
  const auto now = clock::now();
  if (now - state_->logged_at < log_interval) {
    ++state_->not_logged;
    return;
  }
  if (state_->not_logged != 0)
    spdlog::warn("rpc: dropped the connection of {}: {} ({} more before it)", peer, why,
                 state_->not_logged);
  else
    spdlog::warn("rpc: dropped the connection of {}: {}", peer, why);
  state_->logged_at = now;
  state_->not_logged = 0;
}

void rpc_io_thread::drain() {
  loop_.post([this] {
    if (!state_ || state_->context.draining) return;
    state_->context.draining = true;
    state_->watches.end_all({op_code::shutting_down, "the server is stopping"});
    // The farewells leave at the end of this turn.
    state_->tasks->add(loop_.timer().afterDelay(drain_interval).then([this] {
      return drained(clock::now() + shared_.options.drain_max);
    }));
  });
}

kj::Promise<void> rpc_io_thread::drained(clock::time_point deadline) {
  bool idle = state_->waiters.empty() && state_->context.admin_calls == 0;
  for (auto* c : state_->connections) idle = idle && c->stream.unsent_bytes() == 0;
  if (idle || clock::now() >= deadline) {
    KJ_IF_MAYBE (end, state_->end) {
      (*end)->fulfill();
    }
    return kj::READY_NOW;
  }
  return loop_.timer().afterDelay(drain_interval).then([this, deadline] {
    return drained(deadline);
  });
}

} // namespace warp::cluster
