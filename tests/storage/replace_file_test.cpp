#include "storage/replace_file.hpp"

#include "tests/support/memory_file_system.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace warp;
using namespace warp::storage;
using warp::testing::crash_policy;
using warp::testing::memory_file_system;

TEST_CASE("a file is replaced as a whole and durably", "[storage][replace]") {
  memory_file_system files;
  REQUIRE(files.create_folder("data").ok());
  CHECK(read_file(files, "data/name").status() == op_code::not_found);
  REQUIRE(replace_file(files, "data", "name", "first").ok());
  REQUIRE(replace_file(files, "data", "name", std::string(100'000, 'x')).ok());
  files.crash(crash_policy::drop_all);
  const auto bytes = read_file(files, "data/name");
  REQUIRE(bytes.ok());
  CHECK(*bytes == std::string(100'000, 'x'));
}

TEST_CASE("where there is no room for the new file the old one stays", "[storage][replace]") {
  memory_file_system files;
  REQUIRE(files.create_folder("data").ok());
  REQUIRE(replace_file(files, "data", "name", "first").ok());
  files.set_capacity(100);
  CHECK(replace_file(files, "data", "name", std::string(1'000, 'x')) == op_code::no_space);
  CHECK(*read_file(files, "data/name") == "first");
  files.set_capacity(~std::uint64_t{0});
  REQUIRE(replace_file(files, "data", "name", "second").ok()); // over what was left behind
  CHECK(*read_file(files, "data/name") == "second");
}
