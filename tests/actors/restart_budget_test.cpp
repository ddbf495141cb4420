#include "actors/restart_budget.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace std::chrono_literals;

TEST_CASE("the budget is a sliding window, both ends included", "[actors][supervisor]") {
  const std::chrono::steady_clock::time_point t0{};
  warp::actors::restart_budget budget{{.restarts_max = 2, .window_s = 10}};
  CHECK(budget.spend(t0));
  CHECK(budget.spend(t0 + 5s));
  CHECK_FALSE(budget.spend(t0 + 10s));
  CHECK_FALSE(budget.spend(t0 + 11s)); // those at 5, 10 and 11
  CHECK(budget.spend(t0 + 21s));       // those at 11 and 21
}

TEST_CASE("a budget of nothing allows no restart", "[actors][supervisor]") {
  warp::actors::restart_budget budget{{.restarts_max = 0, .window_s = 60}};
  CHECK_FALSE(budget.spend({}));
}
