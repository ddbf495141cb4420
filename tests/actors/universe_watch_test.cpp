#include "actors/universe_watch.hpp"

#include "tests/actors/universe_fixture.hpp"
#include "tests/support/told_list.hpp"

#include <catch2/catch_test_macros.hpp>
#include <spdlog/spdlog.h>

#include <atomic>
#include <future>
#include <mutex>
#include <string>
#include <vector>

using namespace warp;
using namespace warp::testing;
using namespace std::chrono_literals;

namespace {

using texts = std::vector<std::string>;

} // namespace

TEST_CASE_METHOD(universe_fixture, "a watch of a universe calls back for each change",
                 "[actors][universe][watch]") {
  auto u = open();
  told_list one, all;
  auto watch_one = u->watch({.key = "a"}, one.callback());
  auto watch_all = u->watch({.key = "", .prefix = true}, all.callback());
  REQUIRE(watch_one.ok());
  REQUIRE(watch_all.ok());
  REQUIRE(u->put("a", "1").ok());
  REQUIRE(u->put("b", "1").ok());
  REQUIRE(u->erase("a").ok());
  REQUIRE(u->put("a", "2").ok());
  CHECK(one.until("put a=2") == texts{"put a=1", "erase a", "put a=2"});
  REQUIRE(u->put("b", "end").ok());
  CHECK(all.until("put b=end").size() == 5);
  CHECK(u->metrics().find("warp_watch_watches 2") != std::string::npos);
  watch_one->reset();
  CHECK(u->metrics().find("warp_watch_watches 1") != std::string::npos);
  CHECK(u->watch({.key = "k"}, {}).code() == op_code::invalid_argument);
}

TEST_CASE_METHOD(universe_fixture, "a watch goes on from its token in the next universe",
                 "[actors][universe][watch]") {
  std::string kept;
  {
    auto u = open();
    told_list told;
    auto watch = u->watch({.key = "k", .prefix = true}, told.callback());
    REQUIRE(watch.ok());
    REQUIRE(u->put("k1", "1").ok());
    told.until("put k1=1");
    (*watch)->cancel(); // waits for the callback, so that the token is behind it
    kept = (*watch)->token().to_bytes();
    REQUIRE(u->put("k2", "2").ok());
    REQUIRE(u->stop().ok());
  }
  auto u = open();
  told_list told;
  watch_options options{.key = "k", .prefix = true, .start = watch_start::after};
  options.token = watch_token::from_bytes(kept);
  auto watch = u->watch(options, told.callback());
  REQUIRE(watch.ok());
  CHECK(told.until("put k2=2") == texts{"put k2=2"});
}

TEST_CASE_METHOD(universe_fixture, "a watch is told of the end of its universe and outlives it",
                 "[actors][universe][watch]") {
  auto u = open();
  told_list told;
  std::unique_ptr<universe_watch> watch;
  auto made = u->watch({.key = "a"}, [&](const watch_event& e) {
    told.note(e);
    if (e.kind == watch_kind::ended) watch->cancel(); // from its own callback
  });
  REQUIRE(made.ok());
  watch = std::move(*made);
  REQUIRE(u->put("a", "1").ok());
  CHECK(told.until("put a=1") == texts{"put a=1"}); // what is not told yet is for the next universe
  REQUIRE(u->stop().ok());
  CHECK(told.until("ended shutting_down") == texts{"put a=1", "ended shutting_down"});
  CHECK(u->watch({.key = "a"}, told.callback()).code() == op_code::shutting_down);
  u.reset();
  CHECK(watch->token().positions.size() == 1);
}

TEST_CASE_METHOD(universe_fixture, "a callback may end its own watch and use the universe",
                 "[actors][universe][watch]") {
  auto u = open();
  told_list told, others;
  std::unique_ptr<universe_watch> first;
  std::mutex ready; // the callback may come before the watch is there
  std::unique_lock not_yet{ready};
  auto made = u->watch({.key = "a"}, [&](const watch_event& e) {
    if (!e.is_change()) return;
    std::lock_guard wait{ready};
    told.note(e);
    CHECK(u->get("a").ok());
    first.reset();
  });
  REQUIRE(made.ok());
  first = std::move(*made);
  not_yet.unlock();
  auto second = u->watch({.key = "a"}, others.callback());
  REQUIRE(second.ok());
  REQUIRE(u->put("a", "1").ok());
  REQUIRE(u->put("a", "2").ok());
  CHECK(others.until("put a=2") == texts{"put a=1", "put a=2"});
  CHECK(told.until("put a=1") == texts{"put a=1"});
}

TEST_CASE_METHOD(universe_fixture, "a watch pump that dies is replaced and no change is missed",
                 "[actors][universe][watch]") {
  spdlog::set_level(spdlog::level::off);
  auto u = open();
  told_list told;
  auto watch = u->watch({.key = "a"}, told.callback());
  REQUIRE(watch.ok());
  texts expected;
  for (int i = 0; i < 300; ++i) {
    if (i == 100) REQUIRE(u->chaos("universe/storage/watch-pump").ok());
    REQUIRE(u->put("a", std::to_string(i)).ok());
    expected.push_back("put a=" + std::to_string(i));
  }
  CHECK(told.until("put a=299") == expected);
  spdlog::set_level(spdlog::level::info);
}

TEST_CASE_METHOD(universe_fixture,
                 "a callback that blocks stops no write, and a stop no longer than its bound",
                 "[actors][universe][watch]") {
  auto u = open();
  std::promise<void> entered, go_on;
  auto may_go = go_on.get_future().share();
  std::atomic<bool> first{true};
  auto watch = u->watch({.key = "a"}, [&, may_go](const watch_event& e) {
    if (!e.is_change() || !first.exchange(false)) return;
    entered.set_value();
    may_go.wait();
  });
  REQUIRE(watch.ok());
  REQUIRE(u->put("a", "0").ok());
  entered.get_future().wait();
  for (int i = 0; i < 1'000; ++i)
    REQUIRE(u->put("a", std::string(5'000, 'v'), {.level = durability::async}).ok());
  CHECK(u->stop({.bound = 200ms}) == op_code::timed_out); // the callback is still under way
  go_on.set_value();
  CHECK(u->stop({.bound = 60s}).ok());
}
