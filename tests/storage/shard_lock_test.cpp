#include "storage/shard_lock.hpp"

#include <catch2/catch_test_macros.hpp>
#include <mutex>
#include <thread>
#include <vector>

TEST_CASE("a shard lock lets one thread in at a time and wakes every sleeper", "[storage][lock]") {
  warp::storage::shard_lock lock;
  long counter =
      0; // unguarded but for the lock: a lost update shows here, and in the thread sanitizer
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        std::lock_guard guard{lock};
        ++counter;
      }
    });
  for (auto& t : threads) t.join();
  CHECK(counter == 80'000);
}
