#include "physics/reference_index.hpp"

#include "physics/mixing.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <random>
#include <vector>

using namespace warp::physics;

TEST_CASE("an index finds exactly the rows that are in it, also of equal hashes", "[physics]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  mixed_sequence random{seed};
  // Few hashes, so that rows share them and erasing has to close gaps in long runs.
  std::vector<std::uint64_t> hash_of_row(300);
  for (auto& h : hash_of_row) h = random.below(40);
  const auto hash_of = [&](std::uint32_t row) { return hash_of_row[row]; };
  reference_index index;
  std::map<std::uint32_t, bool> in;
  for (int step = 0; step < 20'000; ++step) {
    const auto row = random.below(hash_of_row.size());
    if (in[row])
      index.erase(hash_of(row), row, hash_of);
    else
      index.insert(hash_of(row), row, hash_of);
    in[row] = !in[row];
    const auto asked = random.below(hash_of_row.size());
    const auto found = index.find(hash_of(asked), [&](std::uint32_t r) { return r == asked; });
    REQUIRE(found == (in[asked] ? asked : reference_index::none));
  }
  std::size_t count = 0;
  for (const auto& [row, is_in] : in) count += is_in;
  CHECK(index.size() == count);
}

TEST_CASE("an empty index finds nothing", "[physics]") {
  const reference_index index;
  CHECK(index.find(1, [](std::uint32_t) { return true; }) == reference_index::none);
}
