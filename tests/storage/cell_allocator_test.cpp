#include "storage/cell_allocator.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstring>
#include <iterator>
#include <random>
#include <vector>

using namespace warp::storage;

namespace {

struct owned_cell {
  cell_allocator::cell cell;
  std::size_t size;
  unsigned char mark;
};

} // namespace

TEST_CASE("a size comes from the heap while it is rare, then from small and from large pages",
          "[storage][memory]") {
  memory_range range;
  cell_pages pages{range};
  cell_allocator cells(pages);
  std::vector<cell_allocator::cell> all;
  std::array<int, 3> count{};
  for (int i = 0; i < 10'000; ++i) {
    all.push_back(cells.allocate(128));
    ++count[static_cast<std::size_t>(all.back().source)];
    CHECK(reinterpret_cast<std::uintptr_t>(all.back().memory) % 8 == 0);
    CHECK(cells.free_bytes() <= 64 * 100 + cells.used_bytes() / 5);
  }
  CHECK(count[0] == 16 * 1024 / 128);
  CHECK(count[1] == 32 * 63); // 256 KiB in pages of 8 KiB, one cell's room for the header
  CHECK(count[2] == 10'000 - count[0] - count[1]);
  const auto large = cells.allocate(cell_allocator::cell_bytes_max + 1);
  CHECK(large.source == cell_source::heap);
  cells.free(large, cell_allocator::cell_bytes_max + 1);
  for (auto& c : all) cells.free(c, 128);
  CHECK(cells.used_bytes() == 0);
  CHECK(cells.free_bytes() == 0); // no page is held for a size that is gone
}

TEST_CASE(
    "cells above 1 KiB come from the heap until there are many, then from large pages, and none "
    "above 4 KiB does",
    "[storage][memory]") {
  memory_range memory;
  cell_pages pages{memory};
  cell_allocator cells(pages);
  const std::size_t size = GENERATE(1'025, 1'100, 2'000, 3'000, 3'584);
  CAPTURE(size);
  std::vector<cell_allocator::cell> all;
  std::array<int, 3> count{};
  for (int i = 0; i < 1'000; ++i) {
    all.push_back(cells.allocate(size));
    ++count[static_cast<std::size_t>(all.back().source)];
  }
  CHECK(count[0] >= 32);
  CHECK(count[0] <= 128);
  CHECK(count[1] == 0);
  CHECK(count[2] == 1'000 - count[0]);
  // Pages lose what is left at their ends, and half of the last one.
  CHECK(cells.free_bytes() <= cells.used_bytes() / 8 + cell_pages::large_bytes);
  for (auto& c : all) cells.free(c, size);
  CHECK(cells.used_bytes() == 0);
  CHECK(cells.free_bytes() == 0);
}

TEST_CASE("cells never overlap and their bytes are counted exactly, whatever comes and goes",
          "[storage][memory]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  memory_range range;
  cell_pages pages{range};
  cell_allocator cells(pages);
  std::vector<owned_cell> all;
  const auto give_back = [&](std::size_t i) {
    const auto* bytes = static_cast<const unsigned char*>(all[i].cell.memory);
    for (std::size_t b = 0; b < all[i].size; ++b) REQUIRE(bytes[b] == all[i].mark);
    cells.free(all[i].cell, all[i].size);
    all[i] = all.back();
    all.pop_back();
  };
  std::size_t wanted = 0;
  for (int round = 0; round < 30'000; ++round) {
    if (round % 5'000 == 0) wanted = random() % 8'000; // grows and shrinks
    if (all.size() < wanted || all.empty()) {
      const std::size_t bounds[] = {60, 60, 60, 60, 60, 60, 700, 5'000};
      const auto size = 1 + random() % bounds[random() % std::size(bounds)];
      owned_cell fresh{cells.allocate(size), size, static_cast<unsigned char>(random())};
      std::memset(fresh.cell.memory, fresh.mark, size);
      all.push_back(fresh);
    } else {
      give_back(random() % all.size());
    }
  }
  std::uint64_t sizes = 0;
  for (const auto& c : all) sizes += c.size;
  CHECK(cells.used_bytes() >= sizes);
  CHECK(cells.used_bytes() <= sizes + sizes / 16 + all.size() * 31);
  while (!all.empty()) give_back(all.size() - 1);
  CHECK(cells.used_bytes() == 0);
  CHECK(cells.free_bytes() == 0);
}

TEST_CASE("a cell fits sizes that need the same cell and no others", "[storage][memory]") {
  memory_range range;
  cell_pages pages{range};
  cell_allocator cells(pages);
  const auto small = cells.allocate(100);
  CHECK(cell_allocator::fits(small, 100, 97));
  CHECK(cell_allocator::fits(small, 100, 104));
  CHECK_FALSE(cell_allocator::fits(small, 100, 105));
  CHECK_FALSE(cell_allocator::fits(small, 100, 96));
  cells.free(small, 104);
  const auto large = cells.allocate(12'000);
  CHECK(cell_allocator::fits(large, 12'000, 7'500));
  CHECK_FALSE(cell_allocator::fits(large, 12'000, 4'500));
  CHECK_FALSE(cell_allocator::fits(large, 12'000, 15'000));
  CHECK_FALSE(cell_allocator::fits(large, 12'000, 100));
  cells.free(large, 7'500);
  CHECK(cells.used_bytes() == 0);
}
