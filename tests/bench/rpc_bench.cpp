// The Cap'n Proto front end: one server thread, one client thread, TCP over loopback, on the same
// machine.
#include "cluster/client.hpp"
#include "cluster/corked_stream.hpp"
#include "cluster/message_limits.hpp"
#include "cluster/rpc_server.hpp"
#include "messages/conversion.hpp"
#include "messages/warp.capnp.h"
#include "storage/engine.hpp"
#include "storage/stream_threads.hpp"
#include "tests/bench/report.hpp"
#include "tests/support/temp_folder.hpp"

#include <atomic>
#include <capnp/rpc-twoparty.h>
#include <chrono>
#include <cstdio>
#include <deque>
#include <functional>
#include <future>
#include <kj/async-io.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <random>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

namespace warp::bench {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t keys = 100'000, batch_size = 100, value_bytes = 100;

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double seconds_since(clock::time_point began) {
  return std::chrono::duration<double>(clock::now() - began).count();
}

std::string key_of(std::size_t i) {
  char text[17];
  std::snprintf(text, sizeof text, "key:%012zu", i);
  return text;
}

/// A bare connection with the message stream of the product, driven by this thread.
struct connection {
  explicit connection(std::uint16_t port)
      : socket(io.provider->getNetwork()
                   .parseAddress("127.0.0.1", port)
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
    auto server = message.initRoot<capnp::rpc::twoparty::VatId>();
    server.setSide(capnp::rpc::twoparty::Side::SERVER);
    return rpc.bootstrap(server)
        .castAs<wire::Warp>()
        .loginRequest()
        .send()
        .wait(io.waitScope)
        .getSession();
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::Own<kj::AsyncIoStream> socket;
  cluster::corked_stream stream;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
  wire::Session::Client session;
};

/// Keeps `window` calls under way until `total` are answered.
class window_runner final : kj::TaskSet::ErrorHandler {
public:
  window_runner(connection& c, std::function<kj::Promise<void>()> call)
      : c_(c), call_(std::move(call)) {}

  /// For so long: calls a second; CPU of client and server together, us per call.
  std::pair<double, double> run(std::size_t window, double seconds) {
    answered_ = 0;
    const auto cpu = cpu_seconds();
    const auto began = clock::now();
    until_ =
        began + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
    auto promises = kj::heapArrayBuilder<kj::Promise<void>>(window);
    for (std::size_t i = 0; i < window; ++i) promises.add(next());
    kj::joinPromises(promises.finish()).wait(c_.io.waitScope);
    const auto took = seconds_since(began);
    return {double(answered_) / took, (cpu_seconds() - cpu) * 1e6 / double(answered_)};
  }

private:
  kj::Promise<void> next() {
    // The clock costs next to nothing beside a call.
    if (clock::now() >= until_) return kj::READY_NOW;
    return call_().then([this] {
      ++answered_;
      return next();
    });
  }
  void taskFailed(kj::Exception&& e) override {
    std::fprintf(stderr, "%s\n", e.getDescription().cStr());
  }

  connection& c_;
  std::function<kj::Promise<void>()> call_;
  std::size_t answered_ = 0;
  clock::time_point until_;
};

struct server {
  explicit server(bool on_disk) {
    storage::engine_options options;
    if (on_disk)
      options.folder = folder / "data";
    else
      options.default_level = durability::memory;
    auto opened = storage::engine::open(options);
    if (!opened) fail(opened.status());
    engine = std::move(*opened);
    streams.emplace(*engine);
    auto started = cluster::rpc_server::start({.listen = "127.0.0.1:0"}, *engine, nullptr);
    if (!started) fail(started.status());
    rpc = std::move(*started);
  }
  [[noreturn]] static void fail(const op_status& status) {
    std::fprintf(stderr, "%s\n", status.to_string().c_str());
    std::exit(1);
  }

  testing::temp_folder folder;
  std::unique_ptr<storage::engine> engine;
  std::optional<storage::stream_threads> streams;
  std::unique_ptr<cluster::rpc_server> rpc;
};

class rpc_bench {
public:
  explicit rpc_bench(report& out)
      : out_(out), repeats_(out.quick() ? 1 : 5), seconds_(out.quick() ? 0.1 : 0.5) {}

  void run() {
    for (const bool on_disk : {false, true}) {
      server s{on_disk};
      connection c{s.rpc->port()};
      out_.section(on_disk ? "log on disk, writes async" : "in memory");
      fill(c);
      singles(c);
      batches(c);
    }
    blocking_clients();
  }

private:
  void fill(connection& c) {
    for (std::size_t i = 0; i < keys; i += batch_size) {
      auto request = c.session.executeRequest();
      auto list = request.initOperations(batch_size);
      for (unsigned j = 0; j < batch_size; ++j) put(list[j], i + j);
      request.send().wait(c.io.waitScope);
    }
  }
  void put(wire::Operation::Builder to, std::size_t i) {
    to.setKind(wire::Kind::PUT);
    to.setKey(as_data(key_of(i)));
    to.setValue(as_data(value_));
  }

  void singles(connection& c) {
    window_runner ping{c, [&] { return c.session.pingRequest().send().ignoreResult(); }};
    window_runner get{c, [&] {
                        auto request = c.session.getRequest();
                        request.setKey(as_data(key_of(random_() % keys)));
                        return request.send().ignoreResult();
                      }};
    window_runner set{c, [&] {
                        auto request = c.session.putRequest();
                        request.setKey(as_data(key_of(random_() % keys)));
                        request.setValue(as_data(value_));
                        return request.send().ignoreResult();
                      }};
    for (const std::size_t window : {1, 16, 64, 256}) {
      std::vector<double> pings, gets, puts, share, cpu;
      for (std::size_t r = 0; r < repeats_; ++r) {
        pings.push_back(ping.run(window, seconds_).first / 1e3);
        const auto [rate, us] = get.run(window, seconds_);
        gets.push_back(rate / 1e3);
        cpu.push_back(us);
        puts.push_back(set.run(window, seconds_).first / 1e3);
        share.push_back(gets.back() / pings.back());
      }
      const auto name = std::to_string(window) + " in flight";
      out_.add({"empty call, " + name, "k/s", pings});
      out_.add({"get, " + name, "k/s", gets, window == 256 ? 100.0 : 0.0});
      out_.add({"put, " + name, "k/s", puts});
      out_.add({"get over empty call, " + name, "", share, window == 256 ? 0.8 : 0.0});
      out_.add({"CPU of a get, both sides, " + name, "us", cpu});
    }
  }

  void batches(connection& c) {
    window_runner get{
        c, [&] {
          auto request = c.session.executeRequest(capnp::MessageSize{20 + batch_size * 8, 0});
          auto list = request.initOperations(batch_size);
          for (unsigned j = 0; j < batch_size; ++j) {
            list[j].setKind(wire::Kind::GET);
            list[j].setKey(as_data(key_of(random_() % keys)));
          }
          return request.send().ignoreResult();
        }};
    window_runner set{
        c, [&] {
          auto request = c.session.executeRequest(capnp::MessageSize{20 + batch_size * 21, 0});
          auto list = request.initOperations(batch_size);
          for (unsigned j = 0; j < batch_size; ++j) put(list[j], random_() % keys);
          return request.send().ignoreResult();
        }};
    for (const std::size_t window : {1, 8}) {
      std::vector<double> gets, puts;
      for (std::size_t r = 0; r < repeats_; ++r) {
        gets.push_back(get.run(window, seconds_).first * batch_size / 1e6);
        puts.push_back(set.run(window, seconds_).first * batch_size / 1e6);
      }
      const auto name = "batches of 100, " + std::to_string(window) + " in flight";
      out_.add({"get, " + name, "M ops/s", gets, window == 8 ? 1.2 : 0.0});
      out_.add({"put, " + name, "M ops/s", puts, window == 8 ? 1.0 : 0.0});
    }
  }

  void blocking_clients() {
    out_.section("warp::client, log on disk");
    server s{true};
    auto c = client::connect({.addresses = {"127.0.0.1:" + std::to_string(s.rpc->port())}});
    if (!c) server::fail(c.status());
    for (const int threads : {1, 16, 64}) {
      std::vector<double> gets, puts, syncs;
      for (std::size_t r = 0; r < repeats_; ++r) {
        gets.push_back(callers(threads, [&](std::size_t i) { (void)(*c)->get(key_of(i % keys)); }));
        puts.push_back(
            callers(threads, [&](std::size_t i) { (void)(*c)->put(key_of(i % keys), value_); }));
        syncs.push_back(callers(threads, [&](std::size_t i) {
          (void)(*c)->put(key_of(i % keys), value_, {.level = durability::sync});
        }));
      }
      const auto name = std::to_string(threads) + " blocking callers";
      out_.add({"get, " + name, "k/s", gets});
      out_.add({"put, " + name, "k/s", puts});
      out_.add({"sync put, " + name, "k/s", syncs});
    }
    std::vector<double> loads;
    for (std::size_t r = 0; r < repeats_; ++r) loads.push_back(load(**c));
    out_.add({"put, execute_async, batches of 100", "M ops/s", loads});
  }

  /// Thousands of calls a second that so many threads make one after the other.
  double callers(int threads, const std::function<void(std::size_t)>& call) {
    std::atomic<std::size_t> made{0};
    const auto began = clock::now();
    {
      std::vector<std::jthread> all;
      for (int t = 0; t < threads; ++t)
        all.emplace_back([&, t] {
          auto i = static_cast<std::size_t>(t);
          for (; seconds_since(began) < seconds_; ++made) call(i += 7919);
        });
    }
    return double(made) / seconds_since(began) / 1e3;
  }

  double load(client& c) {
    std::size_t batches = 0;
    std::deque<std::future<std::vector<client_reply>>> answers;
    const auto began = clock::now();
    for (; seconds_since(began) < seconds_; ++batches) {
      client_batch batch;
      for (std::size_t i = 0; i < batch_size; ++i)
        batch.put(key_of((batches * batch_size + i) % keys), value_);
      answers.push_back(c.execute_async(std::move(batch)));
      if (answers.size() < 64) continue;
      answers.front().get();
      answers.pop_front();
    }
    for (auto& a : answers) a.get();
    return double(batches * batch_size) / seconds_since(began) / 1e6;
  }

  report& out_;
  std::size_t repeats_;
  double seconds_; ///< of one measurement
  std::mt19937_64 random_{1};
  const std::string value_ = std::string(value_bytes, 'v');
};

} // namespace
} // namespace warp::bench

int main(int argc, char** argv) {
  warp::bench::report out{argc, argv};
  warp::bench::rpc_bench{out}.run();
}
