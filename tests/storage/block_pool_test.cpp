#include "storage/block_pool.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

using warp::storage::block_pool;
using warp::storage::memory_range;

constexpr std::size_t block_bytes = 16 * 1024;

TEST_CASE("a block pool hands out distinct aligned blocks and maps regions as needed",
          "[storage][memory]") {
  memory_range range;
  block_pool pool(range, block_bytes);
  CHECK(pool.mapped_bytes() == 0);
  std::set<void*> blocks;
  for (std::size_t i = 0; i < 2 * pool.blocks_per_region() + 1; ++i) {
    void* block = pool.allocate();
    CHECK(reinterpret_cast<std::uintptr_t>(block) % block_bytes == 0);
    CHECK(blocks.insert(block).second);
    std::memset(block, static_cast<int>(i), block_bytes);
  }
  CHECK(pool.mapped_bytes() == 3 * block_pool::region_bytes);
  for (void* block : blocks) pool.free(block);
  CHECK(pool.mapped_bytes() == block_pool::region_bytes); // one is kept
  CHECK(blocks.contains(pool.allocate()));
}

TEST_CASE("a block pool serves several threads", "[storage][memory]") {
  memory_range range;
  block_pool pool(range, block_bytes);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&pool, t] {
      for (int round = 0; round < 20; ++round) {
        std::vector<char*> mine;
        for (int i = 0; i < 50; ++i) {
          mine.push_back(static_cast<char*>(pool.allocate()));
          *mine.back() = static_cast<char>(t);
        }
        for (char* block : mine) {
          if (*block != t) std::abort(); // another thread got it, too
          pool.free(block);
        }
      }
    });
  for (auto& t : threads) t.join();
  CHECK(pool.mapped_bytes() <= 2 * block_pool::region_bytes);
}
