// Watches over RPC: the server's side as a stock client sees it, and the client of ours.
#include "cluster/watch_conversion.hpp"

#include "messages/conversion.hpp"
#include "storage/watch_thread.hpp"
#include "tests/cluster/rpc_fixture.hpp"
#include "tests/support/told_list.hpp"

#include <algorithm>
#include <atomic>
#include <capnp/ez-rpc.h>
#include <catch2/generators/catch_generators.hpp>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace warp::cluster {
namespace {

using namespace std::chrono_literals;
using testing::told_list;
using texts = std::vector<std::string>;

/// A server whose engine also carries changes to watches.
struct watch_fixture : rpc_fixture {
  explicit watch_fixture(bool on_disk, rpc_server_options options = {})
      : rpc_fixture(on_disk, std::move(options)), pump(*engine) {}

  /// Waits until the engine has so many watches.
  bool has_watches(std::uint64_t n) {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (engine->stats_of_watches().watches != n) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  storage::watch_thread pump;
};

std::size_t count(const texts& all, const std::string& word) {
  return static_cast<std::size_t>(std::count(all.begin(), all.end(), word));
}

/// A watcher that answers when it is let to.
class slow_watcher final : public wire::Watcher::Server {
public:
  struct seen {
    std::size_t calls = 0, changes = 0, bytes = 0;
    bool lost = false, lagged = false, ended = false;
    std::string last;
    std::vector<kj::Own<kj::PromiseFulfiller<void>>> held;
    bool hold = true;

    void let_go() {
      hold = false;
      for (auto& h : held) h->fulfill();
      held.clear();
    }
  };
  explicit slow_watcher(seen& s) : seen_(s) {}

  kj::Promise<void> events(EventsContext call) override {
    ++seen_.calls;
    for (const auto from : call.getParams().getEvents()) {
      watch_event e;
      REQUIRE(read_event(from, e));
      seen_.lost = seen_.lost || e.kind == watch_kind::lost;
      seen_.lagged = seen_.lagged || e.kind == watch_kind::lagged;
      if (!e.is_change()) continue;
      ++seen_.changes;
      seen_.bytes += e.value.size();
      seen_.last = e.value.substr(0, 10);
    }
    if (!seen_.hold) return kj::READY_NOW;
    auto paf = kj::newPromiseAndFulfiller<void>();
    seen_.held.push_back(kj::mv(paf.fulfiller));
    return kj::mv(paf.promise);
  }
  kj::Promise<void> ended(EndedContext) override {
    seen_.ended = true;
    return kj::READY_NOW;
  }

private:
  seen& seen_;
};

struct stock_client {
  explicit stock_client(const rpc_fixture& f)
      : rpc("127.0.0.1", f.server->port()), wait(rpc.getWaitScope()),
        session(rpc.getMain<wire::Warp>().loginRequest().send().getSession()) {}

  wire::Watch::Client watch(const watch_options& what, slow_watcher::seen& seen) {
    auto request = session.watchRequest();
    write_watch(what, request.initWhat());
    request.setWatcher(kj::heap<slow_watcher>(seen));
    auto answer = request.send().wait(wait);
    INFO((answer.hasStatus() ? read_status(answer.getStatus()).to_string() : ""));
    REQUIRE_FALSE(answer.hasStatus());
    return answer.getWatch();
  }
  template <class Condition>
  void turn_until(Condition done) {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!done()) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      session.pingRequest().send().wait(wait);
    }
  }

  capnp::EzRpcClient rpc;
  kj::WaitScope& wait;
  wire::Session::Client session;
};

watch_options all_keys() {
  watch_options o;
  o.prefix = true;
  return o;
}

// -- the client
// -------------------------------------------------------------------------------------

TEST_CASE("a client is told of the changes of a key and of a prefix", "[cluster][rpc][watch]") {
  watch_fixture f{GENERATE(false, true)};
  const auto writer = f.connect(), c = f.connect();
  told_list one{true}, all, state;
  REQUIRE(writer->put("a", "0").ok());
  const auto watch_one = c->watch({.key = "a"}, one.callback());
  REQUIRE(watch_one.ok());
  const auto watch_all = c->watch(all_keys(), all.callback());
  REQUIRE(watch_all.ok());
  const auto watch_state = c->watch({.key = "a", .start = watch_start::state}, state.callback());
  REQUIRE(watch_state.ok());
  state.until("state a=0");
  REQUIRE(writer->put("a", "1").ok());
  REQUIRE(writer->put("b", "1").ok());
  REQUIRE(writer->expire("a", {.expires_at_ms = 4'000'000'000'000}).ok());
  REQUIRE(writer->erase("a").ok());
  const std::string big(300'000, 'b');
  REQUIRE(writer->put("a", big).ok());
  CHECK(one.until("put a=" + big) ==
        texts{"synced", "put a=1", "expire a", "erase a", "put a=" + big});
  all.with("put a=" + big);
  all.with("put b=1");
  CHECK(state.until("put a=" + big).size() == 5);
  CHECK(f.engine->stats_of_watches().watches == 3);
}

TEST_CASE("dropping a watch, or its client, ends it at the server", "[cluster][rpc][watch]") {
  watch_fixture f{false};
  auto c = f.connect();
  told_list told;
  auto first = c->watch({.key = "a"}, told.callback());
  auto second = c->watch(all_keys(), told.callback());
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK(f.has_watches(2));
  first->reset();
  CHECK(f.has_watches(1));
  c.reset();
  CHECK(f.has_watches(0));
  CHECK((*second)->token().positions.size() == 4); // it outlives its client
}

TEST_CASE("a client whose server went away goes on where it was, with nothing missing",
          "[cluster][rpc][watch]") {
  watch_fixture f{true};
  const auto c = f.connect();
  told_list told;
  const auto watch = c->watch({.key = "a"}, told.callback());
  REQUIRE(watch.ok());
  f.engine.put("a", "1");
  told.until("put a=1");
  texts expected{"put a=1"};
  rpc_server_options same;
  const auto port = f.server->port();
  for (int i = 0; i < 3; ++i) {
    f.server.reset();
    for (int n = 0; n < 10; ++n) {
      const auto value = std::to_string(i) + "-" + std::to_string(n);
      f.engine.put("a", value);
      expected.push_back("put a=" + value);
    }
    same.listen = "127.0.0.1:" + std::to_string(port);
    auto again = rpc_server::start(same, *f.engine, nullptr);
    REQUIRE(again.ok());
    f.server = std::move(*again);
    f.engine.put("a", "end" + std::to_string(i));
    expected.push_back("put a=end" + std::to_string(i));
    CHECK(told.until("put a=end" + std::to_string(i)) == expected);
  }
}

TEST_CASE("a token of one client is where another one goes on", "[cluster][rpc][watch]") {
  watch_fixture f{true};
  std::string kept;
  {
    const auto c = f.connect();
    told_list told;
    const auto watch = c->watch(all_keys(), told.callback());
    REQUIRE(watch.ok());
    f.engine.put("a", "1");
    told.until("put a=1");
    (*watch)->cancel(); // waits for the callback, so that the token is behind it
    kept = (*watch)->token().to_bytes();
  }
  f.engine.put("b", "2");
  f.engine.put("c", "3", durability::sync);
  const auto c = f.connect();
  told_list told{true};
  auto what = all_keys();
  what.start = watch_start::after;
  what.token = watch_token::from_bytes(kept);
  const auto watch = c->watch(what, told.callback());
  REQUIRE(watch.ok());
  auto events = told.until("synced");
  std::sort(events.begin(), events.end());
  CHECK(events == texts{"put b=2", "put c=3", "synced"});
}

TEST_CASE("without a server a watch ends when its patience does", "[cluster][rpc][watch]") {
  watch_fixture f{false};
  const auto c = f.connect();
  told_list told;
  const auto watch = c->watch({.key = "a"}, told.callback(), 50ms);
  REQUIRE(watch.ok());
  f.engine.put("a", "1");
  told.until("put a=1");
  f.server.reset();
  CHECK(told.until("ended unavailable") == texts{"put a=1", "ended unavailable"});
}

TEST_CASE("a callback may use the client, end its watch and be slow", "[cluster][rpc][watch]") {
  watch_fixture f{true};
  const auto c = f.connect();
  std::unique_ptr<client_watch> own;
  std::mutex there;
  std::unique_lock not_yet{there};
  told_list told, slow;
  auto made = c->watch({.key = "a"}, [&](const watch_event& e) {
    if (!e.is_change()) return;
    std::lock_guard wait{there};
    CHECK(c->get("a").ok());
    own.reset();
    told.note(e);
  });
  REQUIRE(made.ok());
  own = std::move(*made);
  not_yet.unlock();
  f.engine.put("a", "1");
  told.until("put a=1");
  f.engine.put("a", "2");

  std::promise<void> go_on;
  auto may_go = go_on.get_future().share();
  const auto watch = c->watch(all_keys(), [&, may_go](const watch_event& e) {
    may_go.wait();
    slow.note(e);
  });
  REQUIRE(watch.ok());
  const std::string value(2'000, 'v');
  texts expected;
  for (int i = 0; i < 5'000; ++i) {
    f.engine.put("k", value + std::to_string(i));
    expected.push_back("put k=" + value + std::to_string(i));
  }
  CHECK(f.engine->stats_of_watches().queued_bytes < 3u << 20);
  go_on.set_value();
  auto all = slow.until(expected.back());
  CHECK(count(all, "lagged") >= 1);
  std::erase(all, "lagged");
  CHECK(all == expected);
  CHECK(told.now() == texts{"put a=1"});
}

// -- the server
// -------------------------------------------------------------------------------------

TEST_CASE("what a server cannot watch is refused with the reason", "[cluster][rpc][watch]") {
  rpc_server_options options;
  options.watches_max = 2;
  watch_fixture f{false, options};
  auto client_options = f.options();
  client_options.deadline = 200ms;
  const auto c = rpc_fixture::connect(client_options);
  told_list told;
  const auto code = [&](const watch_options& o) { return c->watch(o, told.callback()).code(); };
  CHECK(code({.key = ""}) == op_code::invalid_argument);
  CHECK(code({.key = "k", .level = watch_level::durable}) == op_code::no_replicas);
  CHECK(c->watch({.key = "k"}, {}).code() == op_code::invalid_argument);
  const auto one = c->watch({.key = "k"}, told.callback());
  auto two = c->watch({.key = "k"}, told.callback());
  REQUIRE(one.ok());
  REQUIRE(two.ok());
  const auto third = c->watch({.key = "k"}, told.callback());
  INFO(third.status().to_string());
  CHECK((third.code() == op_code::overloaded || third.code() == op_code::timed_out));
  two->reset();
  CHECK(code({.key = "k"}) == op_code::ok);

  stock_client stock{f};
  auto request = stock.session.watchRequest();
  request.initWhat().setKey(as_data("k"));
  request.getWhat().setStart(static_cast<wire::WatchStart>(77));
  slow_watcher::seen seen;
  request.setWatcher(kj::heap<slow_watcher>(seen));
  const auto answer = request.send().wait(stock.wait);
  CHECK(read_status(answer.getStatus()) == op_code::invalid_argument);
}

TEST_CASE("a watcher that does not answer costs a bounded amount and misses nothing",
          "[cluster][rpc][watch]") {
  watch_fixture f{true};
  stock_client stock{f};
  const int watches = GENERATE(1, 40);
  std::vector<slow_watcher::seen> seen(static_cast<std::size_t>(watches));
  std::vector<wire::Watch::Client> handles;
  for (auto& s : seen) handles.push_back(stock.watch(all_keys(), s));
  const auto other = f.connect();
  told_list told;
  const auto watch = other->watch({.key = "end"}, told.callback());
  REQUIRE(watch.ok());

  const std::string value(10'000, 'v');
  const std::size_t writes = 1'000; // 10 MB for each watch
  for (std::size_t i = 0; i < writes; ++i) f.engine.put("k" + std::to_string(i % 7), value);
  f.engine.put("end", "the end", durability::sync);
  CHECK(told.until("put end=the end") == texts{"put end=the end"}); // others do not notice
  CHECK(f.engine->stats_of_watches().queued_bytes <
        static_cast<std::size_t>(watches + 1) * (2u << 20) + (1u << 20));
  std::size_t sent = 0;
  const auto all_sent = [&] {
    std::size_t now = 0;
    for (auto& s : seen) now += s.bytes;
    return now;
  };
  for (int i = 0; i < 200; ++i) stock.session.pingRequest().send().wait(stock.wait);
  sent = all_sent();
  CHECK(sent < (6u << 20));
  for (auto& s : seen) CHECK(s.calls <= 4);

  for (auto& s : seen) s.let_go();
  stock.turn_until([&] {
    return std::all_of(seen.begin(), seen.end(), [&](auto& s) { return s.changes == writes + 1; });
  });
  for (auto& s : seen) {
    CHECK_FALSE(s.lost);
    CHECK(s.lagged);
  }
}

TEST_CASE("a server that stops tells its watches so", "[cluster][rpc][watch]") {
  watch_fixture f{false};
  stock_client stock{f};
  slow_watcher::seen seen;
  seen.hold = false;
  auto handle = stock.watch(all_keys(), seen);
  std::jthread stopping{[&] { f.server->stop(); }};
  try {
    stock.turn_until([&] { return seen.ended; });
  } catch (const kj::Exception&) { // the connection ends behind it
  }
  CHECK(seen.ended);
  stopping.join();
  CHECK(f.has_watches(0));
}

TEST_CASE("a watch ends with its connection", "[cluster][rpc][watch]") {
  watch_fixture f{false};
  {
    slow_watcher::seen seen;
    stock_client stock{f};
    auto handle = stock.watch(all_keys(), seen);
    CHECK(f.has_watches(1));
    for (int i = 0; i < 100; ++i) f.engine.put("k", std::string(10'000, 'v'));
  }
  CHECK(f.has_watches(0));
  CHECK(f.engine.get("k").size() == 10'000);
}

TEST_CASE("many watches come and go while writes go on", "[cluster][rpc][watch]") {
  watch_fixture f{true};
  const auto c = f.connect();
  std::atomic<bool> over{false};
  std::jthread writer{[&] {
    storage::value_arena arena;
    for (int i = 0; !over; ++i) {
      const auto key = "k" + std::to_string(i % 10);
      const operation op{.kind = op_kind::put, .key = key, .value = "v"};
      storage::op_reply reply;
      f.engine->execute({&op, 1}, {&reply, 1}, arena);
    }
  }};
  for (int round = 0; round < 30; ++round) {
    std::vector<std::unique_ptr<client_watch>> watches;
    std::atomic<int> told{0};
    for (int i = 0; i < 10; ++i) {
      auto made = c->watch(i % 2 == 0 ? watch_options{.key = "k" + std::to_string(i)} : all_keys(),
                           [&](const watch_event&) { ++told; });
      REQUIRE(made.ok());
      watches.push_back(std::move(*made));
    }
    if (round % 3 == 0)
      while (told < 100) std::this_thread::yield();
  }
  over = true;
  writer.join();
  CHECK(f.has_watches(0));
}

} // namespace
} // namespace warp::cluster
