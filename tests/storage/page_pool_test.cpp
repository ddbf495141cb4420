#include "storage/page_pool.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

using warp::storage::page_pool;

TEST_CASE("a page pool hands out distinct aligned pages and maps regions as needed",
          "[storage][memory]") {
  page_pool pool;
  CHECK(pool.mapped_bytes() == 0);
  std::set<void*> pages;
  for (std::size_t i = 0; i < 2 * page_pool::pages_per_region + 1; ++i) {
    void* page = pool.allocate();
    CHECK(reinterpret_cast<std::uintptr_t>(page) % page_pool::page_bytes == 0);
    CHECK(pages.insert(page).second);
    std::memset(page, static_cast<int>(i), page_pool::page_bytes);
  }
  CHECK(pool.mapped_bytes() == 3 * page_pool::region_bytes);
  for (void* page : pages) pool.free(page);
  CHECK(pool.mapped_bytes() == page_pool::region_bytes); // one is kept
  CHECK(pages.contains(pool.allocate()));
}

TEST_CASE("a page pool serves several threads", "[storage][memory]") {
  page_pool pool;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&pool, t] {
      for (int round = 0; round < 20; ++round) {
        std::vector<char*> mine;
        for (int i = 0; i < 50; ++i) {
          mine.push_back(static_cast<char*>(pool.allocate()));
          *mine.back() = static_cast<char>(t);
        }
        for (char* page : mine) {
          if (*page != t) std::abort(); // another thread got it, too
          pool.free(page);
        }
      }
    });
  for (auto& t : threads) t.join();
  CHECK(pool.mapped_bytes() <= 2 * page_pool::region_bytes);
}
