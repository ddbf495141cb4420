#pragma once

#include "cluster/corked_network.hpp"
#include "cluster/corked_stream.hpp"
#include "cluster/message_limits.hpp"
#include "cluster/rpc_server.hpp"
#include "messages/conversion.hpp"
#include "messages/warp.capnp.h"
#include "storage/engine.hpp"
#include "storage/stream_threads.hpp"
#include "tests/support/temp_folder.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <kj/async-io.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <string>

// What the RPC benchmark measures with: a server in this process and bare connections to it.
namespace warp::bench {

using steady = std::chrono::steady_clock;

/// An answer that takes longer ends the benchmark: no measurement may hang on a stuck disk.
inline constexpr std::chrono::milliseconds answer_max{5'000};

[[noreturn]] inline void end_with(const std::string& why) {
  std::fprintf(stderr, "rpc_bench: %s\n", why.c_str());
  std::_Exit(1); // threads are still at work: nothing is torn down
}

inline double seconds_since(steady::time_point began) {
  return std::chrono::duration<double>(steady::now() - began).count();
}

inline double seconds_of(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return double(t.tv_sec) + double(t.tv_nsec) / 1e9;
}

/// Processor time of the threads of this process, s: of all, or of those whose name begins so.
inline double cpu_seconds(const std::string& name = {}) {
  if (name.empty()) return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  double sum = 0;
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::string comm;
    std::getline(std::ifstream{task.path() / "comm"}, comm);
    // The kernel's clock of one thread, as pthread_getcpuclockid() makes it.
    if (comm.starts_with(name)) sum += seconds_of((~std::stoi(task.path().filename()) << 3) | 6);
  }
  return sum;
}

/// An engine with the product's defaults, in memory or on disk, behind an RPC server.
struct server {
  server(bool on_disk, std::size_t threads) {
    storage::engine_options options;
    if (on_disk)
      options.folder = folder / "data";
    else
      options.default_level = durability::memory;
    options.write_stall_max = answer_max / 5;
    auto opened = storage::engine::open(options);
    if (!opened) end_with(opened.status().to_string());
    engine = std::move(*opened);
    streams.emplace(*engine);
    cluster::rpc_server_options rpc_options;
    rpc_options.listen = "127.0.0.1:0";
    rpc_options.threads = threads;
    rpc_options.durable_wait_max = answer_max / 2;
    auto started = cluster::rpc_server::start(rpc_options, *engine, nullptr);
    if (!started) end_with(started.status().to_string());
    rpc = std::move(*started);
  }
  /// Nothing that was measured may have failed.
  ~server() {
    if (const auto errors = rpc->counters().errors.load(); errors != 0)
      end_with(std::to_string(errors) + " operations failed: these figures are worth nothing");
  }

  testing::temp_folder folder;
  std::unique_ptr<storage::engine> engine;
  std::optional<storage::stream_threads> streams;
  std::unique_ptr<cluster::rpc_server> rpc;
};

/// A bare connection with the message stream of the product, driven by this thread.
struct connection {
  explicit connection(const server& s)
      : socket(io.provider->getNetwork()
                   .parseAddress("127.0.0.1", s.rpc->port())
                   .wait(io.waitScope)
                   ->connect()
                   .wait(io.waitScope)),
        stream(*socket, io.provider->getTimer(), {}),
        network(stream, capnp::rpc::twoparty::Side::CLIENT, limits()),
        rpc(capnp::makeRpcClient(network)), session(login()) {
    const int on = 1;
    socket->setsockopt(IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }

  static capnp::ReaderOptions limits() {
    capnp::ReaderOptions o;
    o.traversalLimitInWords =
        cluster::message_bytes_max(value_size_default_max) / sizeof(capnp::word);
    return o;
  }
  wire::Session::Client login() {
    capnp::MallocMessageBuilder message;
    auto to = message.initRoot<capnp::rpc::twoparty::VatId>();
    to.setSide(capnp::rpc::twoparty::Side::SERVER);
    return rpc.bootstrap(to)
        .castAs<wire::Warp>()
        .loginRequest()
        .send()
        .wait(io.waitScope)
        .getSession();
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::Own<kj::AsyncIoStream> socket;
  cluster::corked_stream stream;
  cluster::corked_network network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
  wire::Session::Client session;
};

/// Keeps `window` calls under way on a connection until a moment comes, and waits for the last
/// ones.
class window_runner {
public:
  window_runner(connection& c, std::function<kj::Promise<void>()> call)
      : c_(c), call_(std::move(call)) {}

  /// Returns the calls that were answered; bounded by `until` + answer_max.
  std::size_t run(std::size_t window, steady::time_point until) {
    answered_ = 0;
    until_ = until;
    auto promises = kj::heapArrayBuilder<kj::Promise<void>>(window);
    for (std::size_t i = 0; i < window; ++i) promises.add(next());
    const auto bound = std::chrono::ceil<std::chrono::milliseconds>(until - steady::now());
    try {
      c_.io.provider->getTimer()
          .timeoutAfter((bound + answer_max).count() * kj::MILLISECONDS,
                        kj::joinPromises(promises.finish()))
          .wait(c_.io.waitScope);
    } catch (const kj::Exception& e) {
      end_with(std::string{"a call failed: "} + e.getDescription().cStr());
    }
    return answered_;
  }

private:
  kj::Promise<void> next() {
    // The clock costs next to nothing beside a call.
    if (steady::now() >= until_) return kj::READY_NOW;
    return call_().then([this] {
      ++answered_;
      return next();
    });
  }

  connection& c_;
  std::function<kj::Promise<void>()> call_;
  std::size_t answered_ = 0;
  steady::time_point until_;
};

} // namespace warp::bench
