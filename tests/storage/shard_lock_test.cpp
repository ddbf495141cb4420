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

TEST_CASE("a shard lock counts how often it was found held", "[storage][lock]") {
  warp::storage::shard_lock lock;
  const auto waits = [&lock] {
    std::lock_guard guard{lock};
    return lock.waits();
  };
  for (int i = 0; i < 100; ++i) std::lock_guard guard{lock};
  CHECK(waits() == 0);
  std::uint32_t rounds = 0;
  while (waits() == 0) { // a round counts only if the other thread was there in time
    ++rounds;
    std::unique_lock hold{lock};
    std::thread other([&] { std::lock_guard guard{lock}; });
    std::this_thread::yield();
    hold.unlock();
    other.join();
  }
  CHECK(waits() <= rounds);
}
