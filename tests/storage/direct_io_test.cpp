#include "storage/direct_io.hpp"
#include "tests/support/faulty_file_system.hpp"
#include "tests/support/test_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <random>
#include <string>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

TEST_CASE("direct I/O is used where the file system has it, and only then refused on request",
          "[storage][direct]") {
  faulty_file_system files;
  REQUIRE(files.create_folder("d").ok());
  SECTION("it has it") {
    CHECK(*choose_direct_io(files, "d", direct_io::automatic));
    CHECK(*choose_direct_io(files, "d", direct_io::on));
    CHECK_FALSE(*choose_direct_io(files, "d", direct_io::off));
  }
  SECTION("it refuses to open, or to write") {
    files.memory().refuse_direct(GENERATE(direct_refusal::open, direct_refusal::write));
    CHECK_FALSE(*choose_direct_io(files, "d", direct_io::automatic));
    CHECK_FALSE(*choose_direct_io(files, "d", direct_io::off));
    const auto refused = choose_direct_io(files, "d", direct_io::on);
    CHECK(refused.code() == op_code::not_supported);
    CHECK(refused.status().message().find("storage.direct_io") != std::string::npos);
  }
  SECTION("another failure is not taken for a refusal") {
    files.inject({.operation = file_operation::write, .times = 1, .code = op_code::no_space});
    CHECK(choose_direct_io(files, "d", direct_io::automatic).code() == op_code::no_space);
  }
  SECTION("an earlier try that a crash has left is no obstacle") {
    files.memory().set_bytes("d/direct.tmp", "x");
    CHECK(*choose_direct_io(files, "d", direct_io::automatic));
  }
  CHECK(files.list("d")->empty());
}

TEST_CASE("what is added to a direct output is in the file once it is flushed",
          "[storage][direct]") {
  const auto seed = GENERATE(range(1u, 40u));
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  faulty_file_system files;
  REQUIRE(files.create_folder("d").ok());
  auto out = files.open("d/x", open_mode::create_direct);
  REQUIRE(out.ok());
  REQUIRE(files.sync_folder("d").ok());
  direct_output output{4 * direct_alignment};
  const std::string front(random() % 100, 'f');
  output.start(front);
  std::string kept = front;
  for (int turn = 0; turn < 60; ++turn) {
    std::string group;
    const bool flushed = random() % 4 != 0;
    for (auto pieces = random() % 5; pieces > 0; --pieces) {
      const std::string piece(random() % (random() % 4 == 0 ? 40'000 : 2'000),
                              static_cast<char>('a' + random() % 26));
      REQUIRE(output.add(**out, piece).ok());
      group += piece;
    }
    if (!flushed) {
      output.back(); // as after a failure: the next group takes its place
      continue;
    }
    const bool sync = random() % 3 != 0;
    REQUIRE(output.flush(**out, sync).ok());
    output.keep();
    kept += group;
    if (kept.empty() || group.empty()) continue;
    // A flush that syncs covers those before it that did not.
    auto after =
        files.memory().crashed_copy(sync ? crash_policy::random : crash_policy::keep_all, random());
    const auto bytes = after->bytes("d/x");
    REQUIRE(bytes.size() % direct_alignment == 0);
    REQUIRE(bytes.substr(0, kept.size()) == kept);
    const auto block_end =
        (kept.size() + direct_alignment - 1) / direct_alignment * direct_alignment;
    REQUIRE(bytes.substr(kept.size(), block_end - kept.size()).find_first_not_of('\0') ==
            std::string::npos);
  }
}

TEST_CASE("a log on a file system without direct I/O is written through the page cache",
          "[storage][wal][direct]") {
  faulty_file_system files;
  files.memory().refuse_direct(GENERATE(direct_refusal::open, direct_refusal::write));
  test_log_options options;
  test_log log{files, options};
  REQUIRE(log.open().ok());
  CHECK_FALSE(log.stream().stats().direct);
  log.put(0, "a", "1");
  REQUIRE(log.round());
  log.drop();
  files.crash(crash_policy::drop_all);
  CHECK(test_log::read(files, 4).shards[0].values.at("a") == "1");
}

TEST_CASE("a log goes on whichever way it was written before", "[storage][wal][direct]") {
  faulty_file_system files;
  test_log log{files};
  for (int life = 0; life < 6; ++life) {
    log.options.direct = life % 2 == 0 ? direct_io::on : direct_io::off;
    REQUIRE(log.open().ok());
    CHECK(log.stream().stats().direct == (life % 2 == 0));
    CHECK(log.recovered.shards[0].values.size() == static_cast<std::size_t>(life) * 20);
    for (int i = 0; i < 20; ++i) { // several segments a life, some of them recycled
      REQUIRE(log.put(0, std::to_string(life * 100 + i), std::string(9'000, 'v')) != 0);
      REQUIRE(log.round());
    }
    log.drop();
    files.crash(crash_policy::drop_all);
  }
}
