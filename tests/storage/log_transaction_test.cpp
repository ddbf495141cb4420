#include "tests/support/test_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>
#include <thread>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

test_log_options two_streams() {
  test_log_options options;
  options.streams = 2; // shards 0 and 2 in stream 0, shards 1 and 3 in stream 1
  return options;
}

} // namespace

TEST_CASE("no durable LSN passes a transaction's part before all parts are on disk",
          "[storage][wal][transaction]") {
  faulty_file_system files;
  test_log log{files, two_streams()};
  REQUIRE(log.open().ok());
  const auto before = log.put(0, "before", "1");
  const auto parts = log.put_all({0, 1}, "t", "2");
  const auto after = log.put(0, "after", "3");
  const auto other = log.put(2, "other", "4");
  REQUIRE(log.round(0));
  CHECK(log.log(0).durable(before) == durable_state::durable);
  CHECK(log.log(0).durable(parts[0]) == durable_state::pending);
  CHECK(log.log(0).durable(after) == durable_state::pending);
  CHECK(log.log(2).durable(other) == durable_state::durable); // not in the transaction
  CHECK(log.log(1).durable(parts[1]) == durable_state::pending);

  SECTION("the round of the other stream lets all of them go on") {
    REQUIRE(log.round(1));
    CHECK(log.log(0).durable(after) == durable_state::durable);
    CHECK(log.log(1).durable(parts[1]) == durable_state::durable);
  }
  SECTION("who waits in one stream is woken by the other") {
    auto waited = op_code::unavailable;
    std::thread waiter{[&] {
      waited =
          log.log(0).wait_durable(after, std::chrono::steady_clock::now() + std::chrono::hours{1});
    }};
    const bool wrote = log.round(1);
    waiter.join();
    REQUIRE(wrote);
    CHECK(waited == op_code::ok);
  }
  SECTION("after a crash the part that is on disk is cut, with what follows it") {
    log.drop();
    files.crash(crash_policy::keep_all);
    REQUIRE(log.open().ok());
    CHECK(log.recovered.parts_cut == 1);
    CHECK(log.recovered.shards[0].values == std::map<std::string, std::string>{{"before", "1"}});
    CHECK(log.recovered.shards[2].values.size() == 1);
    // and stays cut, whatever is written then
    const auto again = log.put(0, "again", "5");
    CHECK(again > after);
    log.put_all({0, 1}, "u", "6");
    log.rounds();
    log.drop();
    files.crash(crash_policy::keep_all);
    const auto all = test_log::read(files, 4);
    REQUIRE(all.status.ok());
    CHECK(all.parts_cut == 0);
    CHECK(all.shards[0].values ==
          std::map<std::string, std::string>{{"before", "1"}, {"again", "5"}, {"u", "6"}});
    CHECK(all.shards[1].values == std::map<std::string, std::string>{{"u", "6"}});
  }
  SECTION("a part below a checkpoint is not missing") {
    const auto all = test_log::read(files, 4, {0, parts[1], 0, 0});
    REQUIRE(all.status.ok());
    CHECK(all.parts_cut == 0);
    CHECK(all.shards[0].values.size() == 3);
  }
}

TEST_CASE("transactions that build on each other are cut together", "[storage][wal][transaction]") {
  faulty_file_system files;
  test_log_options options;
  options.streams = 4;
  test_log log{files, options};
  REQUIRE(log.open().ok());
  log.put_all({0, 1}, "first", "1");  // 1 is lost
  log.put_all({0, 2}, "second", "2"); // its part in 0 lies behind the cut
  log.put_all({2, 3}, "third", "3");  // its part in 2 lies behind that one
  log.put(3, "fourth", "4");
  log.round(0);
  log.round(2);
  log.round(3);
  for (std::uint32_t s = 0; s < 4; ++s) CHECK(log.log(s).durable_lsn() == 0);
  const auto all = test_log::read(files, 4);
  REQUIRE(all.status.ok());
  CHECK(all.parts_cut == 5);
  for (const auto& shard : all.shards) CHECK(shard.values.empty());
}

TEST_CASE("a log that is cut before a transaction ends with a record, not with an LSN left out",
          "[storage][wal][transaction]") {
  faulty_file_system files;
  test_log log{files, two_streams()};
  REQUIRE(log.open().ok());
  auto before = log.put(0, "before", "1");
  log.rounds();
  const bool behind_a_crash = GENERATE(true, false);
  if (behind_a_crash) { // the rest of the reservation is left out
    log.drop();
    REQUIRE(log.open().ok());
  } else { // a write that is not logged
    before = log.put(0, "same frame", "2");
    std::lock_guard guard{log.lock(0)};
    static_cast<void>(log.log(0).assign_lsn());
  }
  const auto parts = log.put_all({0, 1}, "t", "3");
  REQUIRE(parts[0] > before + 1);
  REQUIRE(log.round(0));
  const auto all = test_log::read(files, 4);
  REQUIRE(all.status.ok());
  CHECK(all.parts_cut == 1);
  CHECK(all.survey.shard(shard_id{0}).end == before);
}

TEST_CASE("a transaction within one stream is durable in one round",
          "[storage][wal][transaction]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  const auto parts = log.put_all({0, 1, 2, 3}, "t", "1");
  REQUIRE(log.round());
  for (std::uint32_t s = 0; s < 4; ++s)
    CHECK(log.log(s).durable(parts[s]) == durable_state::durable);
  const auto all = test_log::read(files, 4);
  CHECK(all.parts_cut == 0);
  for (const auto& shard : all.shards) CHECK(shard.values.at("t") == "1");
}

TEST_CASE("a transaction's parts roll into different segments", "[storage][wal][transaction]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  for (int i = 0; i < 40; ++i) {
    log.put_all({0, 1, 2, 3}, std::to_string(i), std::string(2'000, 'v'));
    if (i % 3 == 0) log.round();
  }
  log.round();
  const auto all = test_log::read(files, 4);
  REQUIRE(all.status.ok());
  CHECK(all.parts_cut == 0);
  for (const auto& shard : all.shards) CHECK(shard.values.size() == 40);
}

TEST_CASE("a failed stream fails the shards of other streams that share a transaction with it",
          "[storage][wal][transaction]") {
  faulty_file_system files;
  test_log log{files, two_streams()};
  REQUIRE(log.open().ok());
  const auto parts = log.put_all({0, 1}, "t", "1");
  const bool other_first = GENERATE(false, true);
  if (other_first) REQUIRE(log.round(0));
  files.inject({.operation = file_operation::sync, .path_part = "-0001-", .times = 1});
  CHECK_FALSE(log.round(1));
  if (!other_first) REQUIRE(log.round(0));
  CHECK(log.log(1).durable(parts[1]) == durable_state::failed);
  CHECK(log.log(0).durable(parts[0]) == durable_state::failed); // would be cut by a recovery
  CHECK(log.put(0, "k", "v") == 0);
  CHECK(log.put(2, "k", "v") != 0);

  // A checkpoint of the shards of stream 1 covers the part that was lost.
  REQUIRE(log.stream(1).revive().ok());
  CHECK(log.log(0).durable(parts[0]) == durable_state::durable);
  CHECK(log.log(1).durable(parts[1]) == durable_state::durable);
  CHECK(log.put(0, "k", "v") != 0);
  log.rounds();
  const auto all = test_log::read(files, 4, {0, parts[1], 0, 0});
  REQUIRE(all.status.ok());
  CHECK(all.parts_cut == 0);
  CHECK(all.shards[0].values.size() == 2);
}

TEST_CASE("who waits behind a transaction wakes the streams that have yet to write a part of it",
          "[storage][wal][transaction]") {
  faulty_file_system files;
  test_log_options options;
  options.shards = options.streams = 4;
  options.stream.flush_interval =
      std::chrono::hours{1}; // nothing is written unless it is asked for
  test_log log{files, options};
  REQUIRE(log.open().ok());
  const auto run = [&](std::uint32_t stream) {
    return log.stream(stream).run(std::chrono::milliseconds{0});
  };
  const auto rounds = [&] {
    std::vector<std::uint64_t> all;
    for (std::uint32_t s = 0; s < 4; ++s) all.push_back(log.stream(s).stats().rounds);
    return all;
  };
  using counts = std::vector<std::uint64_t>;

  SECTION("also of those before it in their shards, each stream once") {
    log.put_all({1, 2}, "t", "1");
    log.put_all({0, 1}, "u", "2");
    log.put(3, "other", "3");
    const auto lsn = log.put(0, "waits", "4");
    CHECK_FALSE(run(0));
    log.log(0).request_sync();
    CHECK_FALSE(run(1));
    CHECK(run(0));
    CHECK(log.log(0).durable(lsn) == durable_state::pending);
    CHECK_FALSE(run(2)); // not known yet to be in the way
    CHECK(run(1));
    CHECK(log.log(0).durable(lsn) == durable_state::pending);
    CHECK(run(2));
    CHECK(log.log(0).durable(lsn) == durable_state::durable);
    for (std::uint32_t s = 0; s < 4; ++s) CHECK_FALSE(run(s));
    CHECK(rounds() == counts{1, 1, 1, 0}); // who has nothing in the way is left alone
  }
  SECTION("when all of its own stream is on disk already") {
    const auto parts = log.put_all({1, 2}, "t", "1");
    log.put_all({0, 1}, "u", "2");
    const auto lsn = log.put(0, "waits", "3");
    for (const auto s : {0u, 1u})
      CHECK(log.round(s)); // asks for the stream, and waits for no shard
    CHECK_FALSE(run(2));
    log.log(0).request_sync();
    CHECK_FALSE(run(0)); // nothing to write
    CHECK(run(2));
    CHECK(log.log(0).durable(lsn) == durable_state::durable);
    CHECK(log.log(1).durable(parts[0]) == durable_state::durable);
    CHECK(rounds() == counts{1, 1, 1, 0});
  }
  SECTION("and nobody else does") {
    log.put_all({0, 1}, "t", "1");
    CHECK(log.round(0));
    CHECK_FALSE(run(1));
    const auto lsn = log.put(3, "waits", "2");
    log.log(3).request_sync();
    CHECK(run(3));
    CHECK(log.log(3).durable(lsn) == durable_state::durable);
    for (std::uint32_t s = 0; s < 4; ++s) CHECK_FALSE(run(s));
    CHECK(rounds() == counts{1, 0, 0, 1});
  }
}
