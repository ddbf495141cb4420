#include "actors/universe.hpp"

#include "storage/engine.hpp"
#include "tests/actors/universe_fixture.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <catch2/catch_test_macros.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <thread>

using namespace warp;
using namespace warp::testing;
using namespace std::chrono_literals;
using actors::node_state;

namespace {

constexpr auto patience = 60s; ///< a bound for a hanging test, not a measure

struct quiet_log {
  quiet_log() { spdlog::set_level(spdlog::level::off); }
  ~quiet_log() { spdlog::set_level(spdlog::level::info); }
};

/// Puts one key after the other at level sync, notes what was acknowledged, and can be waited for.
class sync_writer {
public:
  explicit sync_writer(universe& u)
      : universe_(u), thread_([this](std::stop_token s) { run(s); }) {}

  /// Returns after `count` more acknowledged puts.
  void wait_for_progress(std::size_t count) {
    std::unique_lock lock{mutex_};
    const auto target = acknowledged_.size() + count;
    REQUIRE(changed_.wait_for(lock, patience, [&] { return acknowledged_.size() >= target; }));
  }
  std::vector<std::string> finish() {
    thread_.request_stop();
    thread_.join();
    return acknowledged_;
  }
  std::vector<op_status> refusals() const { return refusals_; }

private:
  void run(const std::stop_token& stop) {
    for (std::size_t i = 0; !stop.stop_requested(); ++i) {
      auto key = "key-" + std::to_string(i);
      auto put = universe_.put(key, key, {.level = durability::sync});
      std::lock_guard guard{mutex_};
      if (put)
        acknowledged_.push_back(key);
      else
        refusals_.push_back(put.status());
      changed_.notify_all();
    }
  }

  universe& universe_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> acknowledged_;
  std::vector<op_status> refusals_;
  std::jthread thread_;
};

bool all_running(const std::vector<actors::tree_node>& tree) {
  return std::ranges::all_of(tree, [](auto& n) { return n.state == node_state::running; });
}

/// A service that does what the test says.
struct test_service final : actors::service {
  explicit test_service(std::string n) : name_(std::move(n)) {}
  [[nodiscard]] std::string name() const override { return name_; }
  op_status start() override {
    ++starts;
    return outcome;
  }
  void stop(std::chrono::steady_clock::time_point deadline) override {
    if (on_stop) on_stop(deadline);
    ++stops;
  }
  [[nodiscard]] op_status health() const override { return healthy; }
  void collect(std::vector<actors::metric>& out) const override {
    out.push_back({"warp_test_requests_total",
                   "Requests.",
                   actors::metric::kind::counter,
                   {{{{"service", name_}}, 42}}});
  }

  std::string name_;
  op_status outcome, healthy;
  std::function<void(std::chrono::steady_clock::time_point)> on_stop;
  std::atomic<int> starts{0}, stops{0};
};

} // namespace

TEST_CASE_METHOD(universe_fixture, "the tree of a node is what the overview draws",
                 "[actors][universe]") {
  auto u = open();
  std::vector<std::string> paths;
  for (auto& node : u->tree()) paths.push_back(node.path);
  CHECK(paths ==
        std::vector<std::string>{
            "universe", "universe/storage", "universe/storage/wal-writer-0",
            "universe/storage/segment-maker", "universe/storage/watch-pump",
            "universe/storage/shard-0", "universe/storage/shard-1", "universe/storage/shard-2",
            "universe/storage/shard-3", "universe/storage/checkpointer", "universe/storage/backups",
            "universe/storage/upkeep", "universe/storage/scrubber", "universe/physics",
            "universe/physics/observer", "universe/physics/gpu-manager-0", "universe/front"});
  CHECK(all_running(u->tree()));
  CHECK(node_at(*u, "universe/storage/wal-writer-0").detached);
  CHECK(node_at(*u, "universe/storage").supervisor);
  CHECK_FALSE(node_at(*u, "universe/storage/shard-1").detached);
}

TEST_CASE_METHOD(
    universe_fixture,
    "any actor can be ended while sync puts go on: the data path goes on, the tree heals",
    "[actors][universe][chaos]") {
  quiet_log quiet;
  auto u = open({.intensity = {.restarts_max = 1'000, .window_s = 60}});
  auto web = std::make_shared<test_service>("web");
  REQUIRE(u->add_service(web).ok());
  const auto all = u->tree();
  REQUIRE(all_running(all));
  std::vector<std::string> acknowledged;
  {
    sync_writer writer{*u};
    for (auto& victim : all) {
      if (victim.path == "universe") continue;
      INFO(victim.path);
      const auto before = node_at(*u, victim.path).restarts;
      REQUIRE(u->chaos(victim.path).ok());
      const auto deadline = std::chrono::steady_clock::now() + patience;
      do {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
        writer.wait_for_progress(3); // the data path goes on, meanwhile and afterwards
      } while (node_at(*u, victim.path).restarts == before || !all_running(u->tree()));
      CHECK(node_at(*u, victim.path).last_cause == "killed");
    }
    acknowledged = writer.finish();
    for (auto& refused : writer.refusals()) {
      const auto code = refused.code();
      CHECK((code == op_code::unavailable || code == op_code::outcome_unknown ||
             code == op_code::overloaded));
    }
  }
  CHECK(web->starts >= 2);
  CHECK(u->health().ready);
  CHECK(u->stop().ok());
  u.reset();
  u = open();
  for (auto& key : acknowledged) REQUIRE(u->get(key)->value == key);
}

TEST_CASE_METHOD(universe_fixture, "without physics the data path is the same",
                 "[actors][universe]") {
  auto u = open({.physics = false});
  CHECK(node_at(*u, "universe/physics").path.empty());
  CHECK(u->put("k", "v", {.level = durability::sync}).ok());
  CHECK(u->get("k")->value == "v");
  CHECK(u->chaos("universe/physics/observer").code() == op_code::not_found);
}

TEST_CASE_METHOD(universe_fixture, "the root can't be ended on purpose", "[actors][universe]") {
  auto u = open();
  CHECK(u->chaos("universe").code() == op_code::invalid_argument);
  CHECK(u->chaos("universe/storage/shard-99").code() == op_code::not_found);
}

TEST_CASE_METHOD(universe_fixture,
                 "when the root gives up it says why; reads and a stop still work",
                 "[actors][universe]") {
  quiet_log quiet;
  auto u = open({.intensity = {.restarts_max = 0, .window_s = 60}});
  REQUIRE(u->put("k", "v", {.level = durability::sync}).ok());
  REQUIRE(u->chaos("universe/storage/wal-writer-0").ok());
  auto said = fatal.get_future();
  REQUIRE(said.wait_for(patience) == std::future_status::ready);
  const auto cause = said.get();
  CHECK(cause.find("universe gave up") == 0);
  CHECK(cause.find("wal-writer-0 (killed)") != std::string::npos);
  CHECK(u->get("k")->value == "v");
  CHECK_FALSE(u->health().ready);
  CHECK(u->stop().ok());
}

TEST_CASE_METHOD(universe_fixture, "a service lives in the tree, in the metrics and in the health",
                 "[actors][universe][service]") {
  auto u = open();
  auto web = std::make_shared<test_service>("web");
  REQUIRE(u->add_service(web).ok());
  CHECK(node_at(*u, "universe/front/web").detached);
  CHECK(u->metrics().find("warp_test_requests_total{service=\"web\"} 42\n") != std::string::npos);
  CHECK(u->metrics().find("warp_service_up{service=\"web\"} 1\n") != std::string::npos);
  CHECK(u->health().problems.empty());
  CHECK(u->add_service(std::make_shared<test_service>("web")).code() == op_code::already_exists);
  web->healthy = {op_code::unavailable, "no answer from the loop"};
  CHECK(u->health().problems.at(0) == "service web: unavailable: no answer from the loop");
  CHECK(u->stop().ok());
  CHECK(web->stops == 1);
  CHECK(u->add_service(std::make_shared<test_service>("late")).code() == op_code::shutting_down);
}

TEST_CASE_METHOD(universe_fixture, "a service that can't start is answered and dropped",
                 "[actors][universe][service]") {
  auto u = open();
  auto broken = std::make_shared<test_service>("web");
  broken->outcome = {op_code::io_error, "port 7400 is taken"};
  auto status = u->add_service(broken);
  CHECK(status.message() == "port 7400 is taken");
  CHECK(broken->starts == 1);
  CHECK(u->metrics().find("service=\"web\"") == std::string::npos);
  // and its name is free again
  CHECK(u->add_service(std::make_shared<test_service>("web")).ok());
}

TEST_CASE_METHOD(universe_fixture,
                 "a stop drains: services first, the last added first, while writes still work",
                 "[actors][universe][stop]") {
  auto u = open();
  std::vector<std::string> order;
  for (auto name : {"one", "two"}) {
    auto s = std::make_shared<test_service>(name);
    s->on_stop = [&, name](auto) {
      // what is under way still gets its answer
      if (u->put(std::string{"last of "} + name, "x", {.level = durability::sync}).ok())
        order.emplace_back(name);
    };
    REQUIRE(u->add_service(s).ok());
  }
  CHECK(u->stop().ok());
  CHECK(order == std::vector<std::string>{"two", "one"});
  CHECK(u->stop().ok()); // again: the same answer
  u.reset();
  u = open();
  CHECK(u->get("last of one").ok());
  CHECK(u->get("last of two").ok());
}

TEST_CASE_METHOD(universe_fixture, "a stop ends within its bound even when something is stuck",
                 "[actors][universe][stop]") {
  quiet_log quiet;
  std::promise<void> release;
  auto released = release.get_future().share();
  auto u = open();
  auto stuck = std::make_shared<test_service>("stuck");
  stuck->on_stop = [released](auto) { released.wait(); };
  REQUIRE(u->add_service(stuck).ok());
  CHECK(u->stop({.bound = 50ms}).code() == op_code::timed_out);
  CHECK(u->put("k", "v").ok()); // it has not come to that yet
  release.set_value();
  CHECK(u->stop().ok());
  CHECK(u->put("k", "v").code() == op_code::shutting_down);
}

TEST_CASE_METHOD(universe_fixture, "the second signal ends the wait for a stop at once",
                 "[actors][universe][stop]") {
  std::promise<void> release, inside;
  auto released = release.get_future().share();
  auto u = open();
  auto stuck = std::make_shared<test_service>("stuck");
  stuck->on_stop = [&inside, released](auto) {
    inside.set_value();
    released.wait();
  };
  REQUIRE(u->add_service(stuck).ok());
  auto stopping = std::async(std::launch::async,
                             [&] { return u->stop({.checkpoint = true, .bound = patience}); });
  inside.get_future().wait();
  u->stop_now();
  CHECK(stopping.get().code() == op_code::timed_out);
  CHECK(u->put("k", "v").code() == op_code::shutting_down);
  release.set_value();
  // a later stop waits again, and says what was left out
  CHECK(u->stop().message() == "stopped before every shard had its checkpoint");
}

TEST_CASE_METHOD(universe_fixture, "a universe that nobody stopped stops itself",
                 "[actors][universe][stop]") {
  { REQUIRE(open()->put("k", "v").ok()); }
  auto u = open();
  CHECK(u->engine().recovery().clean);
  CHECK(u->get("k")->value == "v");
}

TEST_CASE_METHOD(universe_fixture,
                 "an idle tree takes a turn a second per log stream and one for all shards",
                 "[actors][universe][idle]") {
  auto turns = [](const universe& u, const std::string& actor) {
    const auto text = u.metrics();
    const auto name = "warp_actor_turns_total{actor=\"" + actor + "\"} ";
    return std::stoul(text.substr(text.find(name) + name.size()));
  };
  auto u = open();
  const auto writer = turns(*u, "wal-writer"), upkeep = turns(*u, "upkeep");
  const auto from = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(2s); // time itself is the subject here
  const auto writer_turns = turns(*u, "wal-writer") - writer;
  const auto upkeep_turns = turns(*u, "upkeep") - upkeep;
  const auto elapsed = std::chrono::steady_clock::now() - from;
  const auto seconds = static_cast<std::size_t>(elapsed / 1s) + 1;
  CHECK(writer_turns <= seconds + 1);
  CHECK(upkeep_turns <= seconds + 1);
}

TEST_CASE("when a sync fails writes say so, reads go on, and health and metrics show it",
          "[actors][universe]") {
  quiet_log quiet;
  faulty_file_system disk;
  auto options = small_options("data");
  options.files = &disk;
  auto opened = universe::open({.engine = options});
  REQUIRE(opened);
  auto& u = **opened;
  REQUIRE(u.put("before", "v", {.level = durability::sync}).ok());
  CHECK(u.health().ready);
  disk.inject({.operation = file_operation::sync, .path_part = "wal"});
  CHECK(u.put("lost", "v", {.level = durability::sync}).code() == op_code::outcome_unknown);
  auto refused = u.put("after", "v", {.level = durability::sync});
  CHECK(refused.code() == op_code::io_error);
  CHECK_FALSE(refused.status().message().empty());
  CHECK(u.get("before")->value == "v");
  CHECK_FALSE(u.health().ready);
  CHECK(u.health().problems.at(0).find("log stream 0 has failed") == 0);
  CHECK(u.metrics().find("warp_wal_failed{stream=\"0\"} 1\n") != std::string::npos);
  CHECK_FALSE(u.stop().ok()); // what was not acknowledged could not be saved
}

TEST_CASE("a log that failed is mended while the universe runs, and is told of",
          "[actors][universe][fault]") {
  quiet_log quiet;
  faulty_file_system disk;
  auto options = small_options("data");
  options.files = &disk;
  options.log_retry_min = options.log_retry_max = 1ms;
  auto opened = universe::open({.engine = options});
  REQUIRE(opened);
  auto& u = **opened;
  REQUIRE(u.put("before", "v", {.level = durability::sync}).ok());
  // Of the segment in use: the next one is made meanwhile, and its failure would be nobody's.
  disk.inject({.operation = file_operation::sync, .path_part = "-000000000001.wal", .times = 1});
  // Who wakes up when the log has been mended already finds that it is on disk.
  const auto code = u.put("unknown", "v", {.level = durability::sync}).code();
  CHECK((code == op_code::outcome_unknown || code == op_code::ok));
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!u.put("after", "v", {.level = durability::sync}).ok())
    REQUIRE(std::chrono::steady_clock::now() < deadline);
  CHECK(u.health().ready);
  CHECK(u.metrics().find("warp_wal_failed{stream=\"0\"} 0\n") != std::string::npos);
  CHECK(u.metrics().find("warp_wal_failures_total{stream=\"0\"} 1\n") != std::string::npos);
  CHECK(u.metrics().find("warp_wal_new_chains_total{stream=\"0\"} 1\n") != std::string::npos);
  CHECK(u.stop().ok());
  opened->reset();
  auto again = universe::open({.engine = options});
  REQUIRE(again);
  CHECK((*again)->get("before")->value == "v");
  CHECK((*again)->get("unknown")->value == "v"); // allowed, and kept: it was in the table
  CHECK((*again)->get("after")->value == "v");
}
