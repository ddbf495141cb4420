#include "cluster/replica_marks.hpp"

#include "tests/support/faulty_file_system.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp;
using namespace warp::cluster;
using warp::testing::crash_policy;
using warp::testing::faulty_file_system;
using warp::testing::file_operation;

namespace {
constexpr shard_id some{7};
const replica_marks both{true, replication::boot_id{0x1234'5678'9abc}};
} // namespace

TEST_CASE("marks are there after power was lost, once they were written", "[replication][marks]") {
  faulty_file_system files;
  REQUIRE(files.create_folder("data").ok());
  CHECK(read_marks(files, "data", some).value() == replica_marks{});
  REQUIRE(write_marks(files, "data", some, both).ok());
  files.crash(crash_policy::drop_all);
  CHECK(read_marks(files, "data", some).value() == both);
  CHECK(read_marks(files, "data", shard_id{8}).value() == replica_marks{});
}

TEST_CASE("marks are the old or the new ones, wherever power is lost", "[replication][marks]") {
  for (std::uint64_t changes = 0; changes < 12; ++changes) {
    CAPTURE(changes);
    faulty_file_system files;
    REQUIRE(files.create_folder("data").ok());
    REQUIRE(write_marks(files, "data", some, both).ok());
    files.power_off_after(changes);
    const auto status = write_marks(files, "data", some, {});
    files.crash(crash_policy::random, 3 + changes);
    const auto found = read_marks(files, "data", some);
    REQUIRE(found.ok());
    CHECK((*found == both || *found == replica_marks{}));
    if (status.ok()) CHECK(*found == replica_marks{});
  }
}

TEST_CASE("damaged marks are refused with file and offset", "[replication][marks]") {
  faulty_file_system files;
  REQUIRE(files.create_folder("data").ok());
  REQUIRE(write_marks(files, "data", some, both).ok());
  const auto whole = files.memory().bytes("data/replicas/00007");
  for (std::uint64_t bit = 0; bit < whole.size() * 8; ++bit) {
    files.memory().flip_bit("data/replicas/00007", bit);
    const auto found = read_marks(files, "data", some);
    CHECK(found.code() == op_code::corruption);
    CHECK(found.status().message().find("data/replicas/00007: at ") != std::string::npos);
    files.memory().flip_bit("data/replicas/00007", bit);
  }
  files.memory().set_bytes("data/replicas/00007", whole.substr(0, 20));
  CHECK(read_marks(files, "data", some).code() == op_code::corruption);
  // Of another shard.
  files.memory().set_bytes("data/replicas/00008", whole);
  CHECK(read_marks(files, "data", shard_id{8}).code() == op_code::corruption);
}
