#include "actors/supervisor.hpp"

#include "tests/actors/actor_fixture.hpp"

#include <catch2/catch_test_macros.hpp>

#include <future>

using namespace warp::actors;
using namespace std::chrono_literals;
using notes = std::vector<std::string>;

TEST_CASE_METHOD(actor_fixture, "children start in order and stop in reverse order",
                 "[actors][supervisor]") {
  start({.children = {child("a"), child("b"), child("c")}});
  CHECK(happened() == notes{"+a", "+b", "+c"});
  CHECK(node("root").state == node_state::running);
  stop();
  CHECK(happened() == notes{"-c", "-b", "-a"});
  CHECK(node("root").state == node_state::stopped);
  CHECK(node("root/a").state == node_state::stopped);
  CHECK(gave_up.empty());
}

TEST_CASE_METHOD(actor_fixture, "a child that must be ready holds the next ones back",
                 "[actors][supervisor]") {
  auto slow = child("slow");
  slow.wait_ready = true;
  start({.children = {slow, child("next")}});
  CHECK(happened() == notes{"+slow"});
  CHECK(node("root/slow").state == node_state::starting);
  CHECK(node("root").state == node_state::starting);
  tell("root/slow", "ready");
  CHECK(happened() == notes{"+next"});
  CHECK(node("root/slow").state == node_state::running);
  CHECK(node("root").state == node_state::running);
}

TEST_CASE_METHOD(actor_fixture,
                 "one_for_one restarts the child that failed, counted, with its cause",
                 "[actors][supervisor]") {
  start({.children = {child("a"), child("b"), child("c")}});
  happened();
  tell("root/b", "fail");
  CHECK(happened() == notes{"+b"});
  CHECK(node("root/b").restarts == 1);
  CHECK(node("root/b").last_cause == "io_error: the disk is gone");
  tell("root/b", "throw");
  CHECK(happened() == notes{"+b"});
  CHECK(node("root/b").restarts == 2);
  CHECK(node("root/b").last_cause == "unavailable: exception: no more");
  CHECK(node("root/a").restarts == 0);
}

TEST_CASE_METHOD(
    actor_fixture,
    "rest_for_one stops what came later, the last first, then starts all of it in order",
    "[actors][supervisor]") {
  start({.strategy = restart_strategy::rest_for_one,
         .children = {child("a"), child("b"), child("c"), child("d")}});
  happened();
  tell("root/b", "fail");
  CHECK(happened() == notes{"-d", "-c", "+b", "+c", "+d"});
  CHECK(node("root/b").restarts == 1);
  CHECK(node("root/c").restarts == 0); // not its fault
  CHECK(node("root/d").state == node_state::running);
}

TEST_CASE_METHOD(actor_fixture, "a child whose restart is counted runs again or is not running",
                 "[actors][supervisor]") {
  auto later = child("later");
  // While it is stopped, the one that failed has not begun anew.
  const auto seen = std::make_shared<std::vector<tree_node>>(); // outlives the test's last stop
  later.interrupt = [this, seen] { seen->push_back(node("root/failing")); };
  start({.strategy = restart_strategy::rest_for_one, .children = {child("failing"), later}});
  tell("root/failing", "fail");
  REQUIRE(seen->size() == 1);
  CHECK(seen->front().restarts == 1);
  CHECK(seen->front().state == node_state::starting);
  CHECK(node("root/failing").state == node_state::running);
}

TEST_CASE_METHOD(actor_fixture, "a child that ends normally is not started again",
                 "[actors][supervisor]") {
  start({.children = {child("a"), child("b")}});
  happened();
  tell("root/a", "end");
  CHECK(happened().empty());
  CHECK(node("root/a").state == node_state::stopped);
  CHECK(node("root/b").state == node_state::running);
}

TEST_CASE_METHOD(actor_fixture, "one restart too many within the window stops all and gives up",
                 "[actors][supervisor]") {
  start({.intensity = {.restarts_max = 3, .window_s = 60},
         .children = {child("a"), child("b"), child("c")}});
  happened();
  for (int i = 0; i < 3; ++i) tell("root/b", "fail");
  CHECK(happened() == notes{"+b", "+b", "+b"});
  CHECK(gave_up.empty());
  tell("root/b", "fail");
  CHECK(happened() == notes{"-c", "-a"});
  CHECK(gave_up == "root gave up: more than 3 restarts in 60 s; the last was root/b (io_error: the "
                   "disk is gone)");
  CHECK(node("root").state == node_state::failed);
}

TEST_CASE_METHOD(actor_fixture, "restarts that are far apart do not add up",
                 "[actors][supervisor]") {
  start({.intensity = {.restarts_max = 1, .window_s = 60}, .children = {child("a")}});
  for (int i = 0; i < 5; ++i) {
    tell("root/a", "fail");
    pass(61s);
  }
  CHECK(gave_up.empty());
  CHECK(node("root/a").restarts == 5);
}

TEST_CASE_METHOD(actor_fixture, "a supervisor that gives up is a failure of its parent's child",
                 "[actors][supervisor]") {
  auto branch = supervisor_child("branch", [this] {
    return supervisor_spec{.intensity = {.restarts_max = 1, .window_s = 60},
                           .children = {child("x"), child("y")},
                           .registry = registry};
  });
  start({.intensity = {.restarts_max = 1, .window_s = 60}, .children = {branch, child("z")}});
  CHECK(happened() == notes{"+x", "+y", "+z"});
  tell("root/branch/x", "fail");
  CHECK(happened() == notes{"+x"});
  tell("root/branch/x", "fail");
  CHECK(happened() == notes{"-y", "+x", "+y"}); // a fresh branch; its sibling did not notice
  CHECK(node("root/branch").restarts == 1);
  CHECK(node("root/branch").last_cause.find("more than 1 restarts") != std::string::npos);
  CHECK(node("root/branch").state == node_state::running);
  CHECK(node("root/branch/x").restarts == 1);
  // and on to the top
  tell("root/branch/y", "fail");
  tell("root/branch/y", "fail");
  CHECK(gave_up.find("root gave up") == 0);
  CHECK(happened() == notes{"+y", "-x", "-z"});
}

TEST_CASE_METHOD(actor_fixture,
                 "a killed supervisor takes its children with it and comes back with them",
                 "[actors][supervisor]") {
  auto branch = supervisor_child(
      "branch", [this] { return supervisor_spec{.children = {child("x")}, .registry = registry}; });
  start({.children = {branch}});
  happened();
  auto old = registry->find("root/branch/x");
  REQUIRE(registry->kill("root/branch"));
  scheduler.run();
  CHECK(happened() == notes{"+x"});
  CHECK(node("root/branch").restarts == 1);
  CHECK(node("root/branch").last_cause == "killed");
  CHECK(registry->find("root/branch/x") != old);
  // the old child is gone: it takes no orders any more
  caf::anon_send(old, "fail");
  scheduler.run();
  CHECK(node("root/branch/x").restarts == 0);
}

TEST_CASE_METHOD(actor_fixture, "every member can be ended by its path and heals",
                 "[actors][supervisor]") {
  start({.children = {child("a"), child("b")}});
  happened();
  CHECK_FALSE(registry->kill("root/nobody"));
  for (auto path : {"root/a", "root/b"}) {
    REQUIRE(registry->kill(path));
    scheduler.run();
    CHECK(node(path).restarts == 1);
    CHECK(node(path).state == node_state::running);
  }
  CHECK(happened() == notes{"+a", "+b"});
}

TEST_CASE_METHOD(actor_fixture, "a restart waits for its delay", "[actors][supervisor]") {
  auto port = child("port");
  port.restart_delay = 100ms;
  start({.children = {port, child("other")}});
  happened();
  tell("root/port", "fail");
  CHECK(happened().empty());
  CHECK(node("root/port").state == node_state::waiting);
  pass(99ms);
  CHECK(happened().empty());
  pass(1ms);
  CHECK(happened() == notes{"+port"});
  CHECK(node("root/port").state == node_state::running);
}

TEST_CASE_METHOD(actor_fixture, "a child can be added later, once", "[actors][supervisor]") {
  start({.children = {child("a")}});
  auto late = std::make_shared<const child_spec>(child("late"));
  caf::anon_send(registry->find("root"), add_child_atom_v, late);
  caf::anon_send(registry->find("root"), add_child_atom_v, late);
  scheduler.run();
  CHECK(happened() == notes{"+a", "+late"});
  stop();
  CHECK(happened() == notes{"-late", "-a"});
}

TEST_CASE_METHOD(actor_fixture, "a child that does not end in time is killed",
                 "[actors][supervisor]") {
  auto deaf = child("deaf");
  deaf.stop_bound = 500ms;
  deaf.body = [](caf::event_based_actor* self, const child_context&) -> caf::behavior {
    self->set_exit_handler([](caf::exit_msg&) {});
    return {[](int) {}};
  };
  start({.children = {child("a"), deaf}});
  happened();
  stop();
  CHECK(happened().empty()); // a waits for its turn
  CHECK(node("root/deaf").state == node_state::stopping);
  pass(500ms);
  CHECK(node("root/deaf").state == node_state::stopped);
  CHECK(happened() == notes{"-a"});
}

TEST_CASE_METHOD(actor_fixture, "a child whose thread is stuck is given up, and the stop goes on",
                 "[actors][supervisor]") {
  std::promise<void> release;
  auto released = release.get_future().share();
  auto inside =
      std::make_shared<std::promise<void>>(); // its thread may outlive this test by a moment
  auto stuck = child("stuck");
  stuck.kind = child_kind::detached;
  stuck.stop_bound = 500ms;
  stuck.body = [inside, released](caf::event_based_actor*, const child_context&) -> caf::behavior {
    return {[inside, released](int) {
      inside->set_value();
      released.wait();
    }};
  };
  start({.children = {child("a"), stuck}});
  happened();
  caf::anon_send(registry->find("root/stuck"), 1);
  inside->get_future().wait();
  stop();
  pass(500ms); // told, then killed
  CHECK(happened().empty());
  pass(1s);
  CHECK(node("root/stuck").state == node_state::abandoned);
  CHECK(happened() == notes{"-a"});
  CHECK(node("root").state == node_state::stopped);
  release.set_value();
}

TEST_CASE_METHOD(actor_fixture, "an interrupt wakes a blocking child when it is stopped or killed",
                 "[actors][supervisor]") {
  int interrupts = 0;
  auto c = child("c");
  c.interrupt = [&] { ++interrupts; };
  start({.children = {c}});
  registry->kill("root/c");
  scheduler.run();
  CHECK(interrupts == 1);
  stop();
  CHECK(interrupts == 2);
}
