#include "actors/service_actor.hpp"

#include "tests/actors/actor_fixture.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>

using namespace warp;
using namespace warp::actors;
using namespace std::chrono_literals;

namespace {

struct fake_service final : service {
  [[nodiscard]] std::string name() const override { return "fake"; }
  op_status start() override {
    ++starts;
    return next_start;
  }
  void stop(std::chrono::steady_clock::time_point) override { ++stops; }
  void break_down() { fail({op_code::io_error, "the listener died"}); }

  std::atomic<int> starts{0}, stops{0};
  op_status next_start;
};

/// A service actor has a thread of its own: its test waits for what the tree shows.
struct fixture : actor_fixture {
  void run_until(const std::function<bool()>& condition, std::chrono::milliseconds step = 10ms) {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!condition()) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      scheduler.run();
      if (step > 0ms) scheduler.advance_time(step);
      std::this_thread::yield();
    }
  }
  std::shared_ptr<fake_service> fake = std::make_shared<fake_service>();
  std::shared_ptr<service_slot> slot = std::make_shared<service_slot>(fake);
};

} // namespace

TEST_CASE_METHOD(fixture,
                 "a service is started, restarted by stop and start when it fails, and stopped",
                 "[actors][service]") {
  auto first = slot->first_start();
  start({.children = {service_actor(slot)}});
  CHECK(first.get().ok());
  fake->break_down();
  run_until([&] { return fake->starts == 2; });
  CHECK(fake->stops == 1);
  CHECK(node("root/fake").restarts == 1);
  CHECK(node("root/fake").last_cause == "io_error: the listener died");
  stop();
  // The test's time stands still meanwhile: it would run ahead of the service's thread, past the
  // bound of the stop.
  run_until([&] { return fake->stops == 2; }, 0ms);
  run_until([&] { return node("root").state == node_state::stopped; });
}

TEST_CASE_METHOD(fixture, "a service whose actor is killed is stopped before it starts again",
                 "[actors][service]") {
  auto first = slot->first_start();
  start({.children = {service_actor(slot)}});
  CHECK(first.get().ok());
  REQUIRE(registry->kill("root/fake"));
  run_until([&] { return fake->starts == 2; });
  CHECK(fake->stops == 1);
  stop();
  run_until([&] { return node("root").state == node_state::stopped; });
}

TEST_CASE_METHOD(fixture, "a first start that fails is reported and not tried again",
                 "[actors][service]") {
  fake->next_start = {op_code::io_error, "port 7400 is taken"};
  auto first = slot->first_start();
  start({.children = {service_actor(slot)}});
  CHECK(first.get().message() == "port 7400 is taken");
  run_until([&] { return node("root/fake").state == node_state::stopped; });
  CHECK(fake->starts == 1);
  CHECK(node("root/fake").restarts == 0);
}

TEST_CASE("a closed slot starts nothing", "[actors][service]") {
  auto fake = std::make_shared<fake_service>();
  service_slot slot{fake};
  CHECK(slot.start({}, 1s).status.ok());
  slot.close(std::chrono::steady_clock::now());
  CHECK(fake->stops == 1);
  auto again = slot.start({}, 1s);
  CHECK(again.status.code() == op_code::shutting_down);
  CHECK(again.final);
  CHECK(fake->starts == 1);
}
