#include "storage/memory_range.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstring>

using warp::storage::memory_range;

TEST_CASE("a memory range hands out aligned regions of its own addresses", "[storage][memory]") {
  memory_range range;
  char* const first = range.take(false);
  char* const second = range.take(true);
  CHECK(reinterpret_cast<std::uintptr_t>(first) % memory_range::region_bytes == 0);
  CHECK(second != first);
  CHECK(range.contains(first));
  CHECK(range.contains(second + memory_range::region_bytes - 1));
  int elsewhere = 0;
  CHECK_FALSE(range.contains(&elsewhere));
  std::memset(first, 1, memory_range::region_bytes);
  std::memset(second, 2, memory_range::region_bytes);
  CHECK(first[memory_range::region_bytes - 1] == 1);
  range.give_back(first);
  range.give_back(second);
}

TEST_CASE("what a memory range took back stays readable and is handed out again",
          "[storage][memory]") {
  memory_range range;
  char* const region = range.take(false);
  std::memset(region, 7, memory_range::region_bytes);
  range.give_back(region);
  CHECK(*static_cast<volatile char*>(region) == 0);
  CHECK(*static_cast<volatile char*>(region + memory_range::region_bytes) == 0); // one behind
  CHECK(range.take(false) == region);
}
