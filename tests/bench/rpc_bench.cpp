// The Cap'n Proto front end on the machine that also runs its clients, TCP over loopback: single
// calls and batches over bare connections beside the empty call, one I/O thread and two, and the
// client library. Every measurement is a slice of time, and the slices of one table take turns.
//
//     rpc_bench [--quick] [--json FILE]

#include "cluster/client.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/rpc_load.hpp"
#include "tests/bench/workload.hpp"

#include <atomic>
#include <deque>
#include <future>
#include <latch>
#include <thread>
#include <vector>

namespace warp::bench {
namespace {

constexpr std::size_t keys = 100'000, batch_size = 100, value_bytes = 100;
const std::string value(value_bytes, 'v');

/// What one slice of a load measured.
struct slice {
  double rate = 0;      ///< calls a second
  double cpu_us = 0;    ///< of client and server together, per call
  double server_us = 0; ///< of the server's I/O threads, per call
};

/// The calls that are compared.
enum class kind { ping, get, put, get_batch, put_batch };

class caller {
public:
  caller(connection& c, std::uint64_t seed) : c_(c), random_(seed) {}

  kj::Promise<void> call(kind what) {
    switch (what) {
    case kind::ping:
      return c_.session.pingRequest().send().ignoreResult();
    case kind::get: {
      auto request = c_.session.getRequest();
      request.setKey(as_data(key().view()));
      return request.send().ignoreResult();
    }
    case kind::put: {
      auto request = c_.session.putRequest();
      request.setKey(as_data(key().view()));
      request.setValue(as_data(value));
      return request.send().ignoreResult();
    }
    default:
      return batch(what, [this] { return key(); });
    }
  }
  /// Puts keys first .. first + batch_size - 1.
  void fill(std::uint64_t first) {
    batch(kind::put_batch, [&first] { return key_text{first++}; }).wait(c_.io.waitScope);
  }

private:
  key_text key() { return key_text{random_() % keys}; }

  template <class NextKey>
  kj::Promise<void> batch(kind what, NextKey next) {
    const bool put = what == kind::put_batch;
    auto request =
        c_.session.executeRequest(capnp::MessageSize{20 + batch_size * (put ? 21u : 8u), 0});
    auto list = request.initOperations(batch_size);
    for (auto to : list) {
      to.setKind(put ? wire::Kind::PUT : wire::Kind::GET);
      to.setKey(as_data(next().view()));
      if (put) to.setValue(as_data(value));
    }
    return request.send().ignoreResult();
  }

  connection& c_;
  fast_random random_;
};

class rpc_bench {
public:
  explicit rpc_bench(report& out)
      : out_(out), repeats_(out.quick() ? 1 : 5), seconds_(out.quick() ? 0.05 : 0.4),
        budget_(out.quick() ? 30 : 200) {}

  void run() {
    std::printf("%zu keys of 16 B, values of %zu B, the engine's default settings; clients in the "
                "same process over loopback\n"
                "a figure: median of slices of %g s, %zu each, in turns with the others of its "
                "table; after %g s in all 1 each\n",
                keys, value_bytes, seconds_, repeats_, budget_);
    for (const bool on_disk : {false, true}) {
      server s{on_disk, 1};
      connection c{s};
      out_.section(on_disk ? "log on disk, writes async; one server thread, one client thread"
                           : "in memory; one server thread, one client thread");
      fill(c);
      singles(c);
      batches(c);
    }
    two_threads();
    client_library();
  }

private:
  /// How often each slice of a table is measured: once when time has run out (a slow machine).
  [[nodiscard]] std::size_t repeats() const {
    return seconds_since(began_) > budget_ ? 1 : repeats_;
  }
  [[nodiscard]] steady::time_point end_of_slice() const {
    return steady::now() +
           std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(seconds_));
  }

  void fill(connection& c) {
    caller by{c, 1};
    const auto until = steady::now() + answer_max;
    for (std::uint64_t i = 0; i < keys; i += batch_size) {
      by.fill(i);
      if (steady::now() > until) end_with("storing the keys takes too long: is the disk stuck?");
    }
  }

  slice measure(connection& c, kind what, std::size_t window) {
    caller by{c, ++seed_};
    window_runner runner{c, [&] { return by.call(what); }};
    const auto all = cpu_seconds(), io = cpu_seconds("rpc-io-");
    const auto began = steady::now();
    const auto calls = double(runner.run(window, end_of_slice()));
    return {calls / seconds_since(began), (cpu_seconds() - all) * 1e6 / calls,
            (cpu_seconds("rpc-io-") - io) * 1e6 / calls};
  }

  void singles(connection& c) {
    for (const std::size_t window : {1, 16, 64, 256}) {
      std::vector<double> pings, gets, puts, share, both, served, ping_served;
      for (std::size_t r = 0, n = repeats(); r < n; ++r) {
        const auto ping = measure(c, kind::ping, window);
        const auto get = measure(c, kind::get, window);
        pings.push_back(ping.rate / 1e3);
        gets.push_back(get.rate / 1e3);
        puts.push_back(measure(c, kind::put, window).rate / 1e3);
        share.push_back(get.rate / ping.rate);
        both.push_back(get.cpu_us);
        served.push_back(get.server_us);
        ping_served.push_back(ping.server_us);
      }
      const auto name = ", " + std::to_string(window) + " in flight";
      const bool last = window == 256;
      out_.add({"get" + name, "k/s", gets, last ? 100.0 : 0.0, 0, false, pings, "empty call"});
      out_.add({"put" + name, "k/s", puts, last ? 100.0 : 0.0, 0, false, pings, "empty call"});
      out_.add({"get over empty call" + name, "", share, last ? 0.8 : 0.0});
      out_.add({"CPU of a get, both sides" + name, "us", both});
      out_.add(
          {"CPU of a get, server" + name, "us", served, 0, 0, false, ping_served, "empty call"});
    }
  }

  void batches(connection& c) {
    for (const std::size_t window : {1, 8}) {
      std::vector<double> gets, puts, get_served, put_served;
      for (std::size_t r = 0, n = repeats(); r < n; ++r) {
        const auto get = measure(c, kind::get_batch, window);
        const auto put = measure(c, kind::put_batch, window);
        gets.push_back(get.rate * batch_size / 1e6);
        puts.push_back(put.rate * batch_size / 1e6);
        get_served.push_back(get.server_us * 1e3 / batch_size);
        put_served.push_back(put.server_us * 1e3 / batch_size);
      }
      const auto name = ", batches of 100, " + std::to_string(window) + " in flight";
      out_.add({"get" + name, "M ops/s", gets, window == 8 ? 1.2 : 0.0});
      out_.add({"put" + name, "M ops/s", puts, window == 8 ? 1.0 : 0.0});
      if (window != 8) continue;
      out_.add({"CPU of one get of a batch, server", "ns", get_served});
      out_.add({"CPU of one put of a batch, server", "ns", put_served});
    }
  }

  // -- two I/O threads ----------------------------------------------------------------------------

  /// As measure(), by `threads` client threads with a connection each.
  slice measure_threads(const server& s, std::size_t threads, kind what, std::size_t window) {
    std::latch ready{static_cast<std::ptrdiff_t>(threads) + 1};
    std::latch over{static_cast<std::ptrdiff_t>(threads)}, measured{1};
    std::atomic<std::size_t> calls{0};
    std::vector<std::jthread> all;
    for (std::size_t t = 0; t < threads; ++t)
      all.emplace_back([&, seed = ++seed_] {
        connection c{s};
        caller by{c, seed};
        window_runner runner{c, [&] { return by.call(what); }};
        ready.arrive_and_wait();
        calls += runner.run(window, end_of_slice());
        over.count_down();
        measured.wait();
      });
    ready.arrive_and_wait();
    const auto cpu = cpu_seconds(), io = cpu_seconds("rpc-io-");
    const auto began = steady::now();
    over.wait();
    const slice got{double(calls) / seconds_since(began),
                    (cpu_seconds() - cpu) * 1e6 / double(calls),
                    (cpu_seconds("rpc-io-") - io) * 1e6 / double(calls)};
    measured.count_down();
    return got;
  }

  void two_threads() {
    out_.section("log on disk; two server threads and two client threads, beside one and one");
    server one{true, 1}, two{true, 2};
    for (const auto* s : {&one, &two}) {
      connection c{*s};
      fill(c);
    }
    struct row {
      kind what;
      std::size_t window;
      const char* name;
      const char* unit;
      double scale;
    };
    for (const auto& row :
         {row{kind::get, 256, "get, 256 in flight", "k/s", 1e-3},
          row{kind::put, 256, "put, 256 in flight", "k/s", 1e-3},
          row{kind::get_batch, 8, "get, batches of 100, 8 in flight", "M ops/s", 1e-6 * batch_size},
          row{kind::put_batch, 8, "put, batches of 100, 8 in flight", "M ops/s",
              1e-6 * batch_size}}) {
      std::vector<double> single, both, cpu, served;
      for (std::size_t r = 0, n = repeats(); r < n; ++r) {
        const auto a = measure_threads(one, 1, row.what, row.window);
        const auto b = measure_threads(two, 2, row.what, row.window);
        single.push_back(a.rate * row.scale);
        both.push_back(b.rate * row.scale);
        cpu.push_back(b.cpu_us / a.cpu_us);
        served.push_back(b.server_us / a.server_us);
      }
      const std::string name = row.name;
      out_.add({name, row.unit, both, 0, 0, false, single, "one thread"});
      out_.add({name + ": CPU of a call over one thread", "x", cpu});
      out_.add({name + ": server's CPU over one thread", "x", served});
    }
  }

  // -- the client library -------------------------------------------------------------------------

  void client_library() {
    out_.section("warp::client, log on disk");
    server s{true, 1};
    client_options options;
    options.addresses = {"127.0.0.1:" + std::to_string(s.rpc->port())};
    options.deadline = answer_max;
    auto c = client::connect(options);
    if (!c) end_with(c.status().to_string());
    for (const int threads : {1, 16, 64}) {
      std::vector<double> gets, puts, syncs;
      for (std::size_t r = 0, n = repeats(); r < n; ++r) {
        puts.push_back(callers(
            threads, [&](const key_text& key) { return (*c)->put(key.view(), value).status; }));
        gets.push_back(callers(threads, [&](const key_text& key) {
          const auto reply = (*c)->get(key.view());
          return reply.code() == op_code::not_found ? op_status{} : reply.status;
        }));
        syncs.push_back(callers(threads, [&](const key_text& key) {
          return (*c)->put(key.view(), value, {.level = durability::sync}).status;
        }));
      }
      const auto name = ", " + std::to_string(threads) + " blocking callers";
      out_.add({"get" + name, "k/s", gets});
      out_.add({"put" + name, "k/s", puts});
      out_.add({"sync put" + name, "k/s", syncs});
    }
    std::vector<double> batches, streamed;
    for (std::size_t r = 0, n = repeats(); r < n; ++r) {
      batches.push_back(load(**c));
      streamed.push_back(stream(**c));
    }
    out_.add({"put, execute_async, batches of 100", "M ops/s", batches});
    out_.add({"put, stream_puts", "M ops/s", streamed, 0, 0, false, batches, "batches"});
  }

  /// Until all of it is on disk.
  double stream(client& c) {
    auto s = c.stream_puts();
    if (!s) end_with(s.status().to_string());
    const auto began = steady::now(), until = end_of_slice();
    std::uint64_t n = 0;
    while (steady::now() < until)
      for (const auto end = n + 256; n < end; ++n)
        if (const auto status = (*s)->put(key_text{n % keys}.view(), value); !status.ok())
          end_with(status.to_string());
    if (const auto status = (*s)->flush(); !status.ok()) end_with(status.to_string());
    if ((*s)->count().stored != n) end_with("records of a stream were not stored");
    return double(n) / seconds_since(began) / 1e6;
  }

  /// Thousands of calls a second that so many threads make one after the other.
  double callers(int threads, const std::function<op_status(const key_text&)>& call) {
    std::atomic<std::size_t> made{0};
    const auto began = steady::now(), until = end_of_slice();
    {
      std::vector<std::jthread> all;
      for (int t = 0; t < threads; ++t)
        all.emplace_back([&, seed = ++seed_] {
          fast_random random{seed};
          for (; steady::now() < until; ++made)
            if (const auto s = call(key_text{random() % keys}); !s.ok()) end_with(s.to_string());
        });
    }
    return double(made) / seconds_since(began) / 1e3;
  }

  double load(client& c) {
    std::size_t batches = 0;
    std::deque<std::future<std::vector<client_reply>>> answers;
    const auto take = [&] {
      for (const auto& reply : answers.front().get())
        if (!reply.ok()) end_with(reply.status.to_string());
      answers.pop_front();
    };
    const auto began = steady::now(), until = end_of_slice();
    for (; steady::now() < until; ++batches) {
      client_batch batch;
      for (std::size_t i = 0; i < batch_size; ++i)
        batch.put(key_text{(batches * batch_size + i) % keys}.view(), value);
      answers.push_back(c.execute_async(std::move(batch)));
      if (answers.size() == 64) take();
    }
    while (!answers.empty()) take();
    return double(batches * batch_size) / seconds_since(began) / 1e6;
  }

  report& out_;
  const std::size_t repeats_;
  const double seconds_; ///< of one slice
  const double budget_;  ///< seconds after which every slice is measured once only
  const steady::time_point began_ = steady::now();
  std::uint64_t seed_ = 0;
};

} // namespace
} // namespace warp::bench

int main(int argc, char** argv) {
  warp::bench::report out{argc, argv};
  warp::bench::rpc_bench{out}.run();
}
