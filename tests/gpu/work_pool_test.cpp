#include "gpu/work_pool.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

using namespace warp::gpu;

TEST_CASE("a pool does every part once, on no more threads than it was given", "[gpu][pool]") {
  for (const unsigned threads : {0u, 1u, 2u, 5u}) {
    work_pool pool{threads};
    std::mutex mutex;
    std::set<std::thread::id> seen;
    for (const std::size_t parts : {0u, 1u, 2u, 3u, 7u, 100u, 1000u}) {
      std::vector<std::atomic<int>> done(parts);
      pool.run(parts, [&](std::size_t part) {
        ++done[part];
        const std::lock_guard lock{mutex};
        seen.insert(std::this_thread::get_id());
      });
      for (const auto& d : done) REQUIRE(d == 1);
    }
    CHECK(seen.size() <= pool.threads());
  }
}

TEST_CASE("a pool is ready again as soon as a round is over", "[gpu][pool]") {
  work_pool pool{3};
  std::size_t sum = 0;
  for (std::size_t round = 0; round < 20'000; ++round) {
    std::atomic<std::size_t> parts{0};
    pool.run(3, [&](std::size_t part) { parts += part + 1; });
    sum += parts;
  }
  CHECK(sum == 120'000);
}
