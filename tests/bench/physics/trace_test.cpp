#include "tests/bench/physics/trace.hpp"

#include "tests/support/temp_folder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <fstream>

using namespace warp::bench::physics;

TEST_CASE("keys are numbered in the order of their first access", "[bench][physics]") {
  const auto t = parse_trace("t", "7\nuser:1\n7\n\n9\nuser:1");
  CHECK(t.accesses == std::vector<std::uint32_t>{0, 1, 0, 2, 1});
  CHECK(t.keys == 3);
  CHECK(parse_trace("t", "").accesses.empty());
}

TEST_CASE("the excerpts in the tree are read as their table says", "[bench][physics]") {
  const std::filesystem::path folder{WARP_TRACE_FOLDER};
  for (const auto& [name, keys] :
       {std::pair{"cloudphysics-io", 13'778u}, {"orm-busy", 4'174u}, {"scarab-recs", 12'017u}}) {
    std::string error;
    const auto t = read_trace(folder / (std::string{name} + ".txt.zst"), error);
    CAPTURE(error);
    REQUIRE(t);
    CHECK(t->name == name);
    CHECK(t->accesses.size() == 20'000);
    CHECK(t->keys == keys);
    CHECK(*std::ranges::max_element(t->accesses) + 1 == t->keys);
  }
}

TEST_CASE("a trace may be plain text", "[bench][physics]") {
  const warp::testing::temp_folder folder;
  const auto file = folder / "plain.txt";
  std::ofstream{file} << "a\nb\na\n";
  std::string error;
  const auto t = read_trace(file, error);
  REQUIRE(t);
  CHECK(t->accesses == std::vector<std::uint32_t>{0, 1, 0});
}

TEST_CASE("a trace that is missing, empty or cut is refused with its name", "[bench][physics]") {
  const warp::testing::temp_folder folder;
  std::string error;
  CHECK_FALSE(read_trace(folder / "none", error));
  CHECK(error.find("none") != error.npos);

  std::ofstream{folder / "empty"};
  CHECK_FALSE(read_trace(folder / "empty", error));
  CHECK(error.find("empty") != error.npos);

  const auto whole = std::filesystem::path{WARP_TRACE_FOLDER} / "orm-busy.txt.zst";
  std::ifstream from{whole, std::ios::binary};
  std::string half(std::filesystem::file_size(whole) / 2, '\0');
  from.read(half.data(), static_cast<std::streamsize>(half.size()));
  std::ofstream{folder / "cut", std::ios::binary} << half;
  CHECK_FALSE(read_trace(folder / "cut", error));
  CHECK(error.find("incomplete") != error.npos);
}
