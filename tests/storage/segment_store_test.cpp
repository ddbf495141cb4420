#include "storage/segment_store.hpp"
#include "tests/support/test_log.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

/// Fills segments with records of shard 0 (and a first one of shard 1); returns the last LSN of
/// shard 0.
lsn_t fill(test_log& log, int rounds) {
  lsn_t last = 0;
  log.put(1, "other", "1");
  for (int i = 0; i < rounds; ++i) {
    last = log.put(0, std::to_string(i), std::string(5'000, 'v'));
    REQUIRE(log.round());
  }
  return last;
}

std::vector<std::string> names(faulty_file_system& files, std::string_view prefix) {
  auto all = *files.list(test_log::folder);
  std::erase_if(all, [&](const std::string& name) { return !name.starts_with(prefix); });
  return all;
}

} // namespace

TEST_CASE("segments are let go when nobody needs a record in them", "[storage][wal][segments]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  const auto last = fill(log, 100);
  const auto before = log.store().segments_kept();
  REQUIRE(before >= 8);
  CHECK(log.store().bytes_kept() >= before * 64 * 1024);

  REQUIRE(log.store().release([](shard_id) { return lsn_t{1}; }).ok()); // everything is needed
  CHECK(log.store().segments_kept() == before);

  // Shard 1 still needs its one record, in the first segment.
  REQUIRE(log.store().release([](shard_id s) { return s.value == 1 ? lsn_t{1} : lsn_t{50}; }).ok());
  const auto some = log.store().segments_kept();
  CHECK(some < before);
  CHECK(some > 2);
  REQUIRE(log.store().release([&](shard_id s) { return s.value == 0 ? last + 1 : lsn_max; }).ok());
  CHECK(log.store().segments_kept() == 1); // the current one stays
  CHECK(names(files, "spare-").size() == 4);
  CHECK(names(files, "0").size() <= 2); // and a prepared one, maybe

  // What is left still says where the shards stand.
  const auto all = test_log::read(files, 4, {last, 1, 0, 0});
  REQUIRE(all.status.ok());
  CHECK(all.survey.shard(shard_id{0}).end == last);
  CHECK(all.survey.shard(shard_id{1}).end == 1);
  CHECK(all.survey.shard(shard_id{0}).next > last);
}

TEST_CASE("old segments are used again, and what is left in them never validates",
          "[storage][wal][segments]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  lsn_t last = 0;
  for (int i = 0; i < 10; ++i) {
    last = fill(log, 50);
    REQUIRE(
        log.store().release([&](shard_id s) { return s.value == 0 ? last + 1 : lsn_max; }).ok());
  }
  CHECK(log.stream().stats().segments_recycled >= 20);
  CHECK(log.stream().stats().segments_created <= 10);
  const auto old = log.recovered;
  const auto checkpoint = last;
  last = log.put(0, "last", "1");
  log.round();
  const bool clean = GENERATE(false, true);
  if (clean)
    REQUIRE(log.close().ok());
  else
    log.drop();
  files.crash(crash_policy::random, 7);
  const auto all = test_log::read(files, 4, {checkpoint, 10, 0, 0});
  REQUIRE(all.status.ok());
  CHECK(all.survey.shard(shard_id{0}).end == last);
  for (const auto& [lsn, record] : all.shards[0].records) CHECK(lsn <= last);
}

TEST_CASE("spares that nobody needs are dropped, but for a few", "[storage][wal][segments]") {
  faulty_file_system files;
  test_log_options options;
  options.spares_max = 10;
  test_log log{files, options};
  REQUIRE(log.open().ok());
  const auto last = fill(log, 160);
  REQUIRE(log.store().release([&](shard_id s) { return s.value == 0 ? last + 1 : lsn_max; }).ok());
  REQUIRE(names(files, "spare-").size() == 10);
  REQUIRE(log.store().drop_idle_spares(3).ok()); // they are new
  CHECK(names(files, "spare-").size() == 10);
  fill(log, 24); // two of them are used meanwhile, so at most eight were too many
  const auto left = names(files, "spare-").size();
  CHECK(left < 10);
  REQUIRE(log.store().drop_idle_spares(3).ok());
  CHECK(names(files, "spare-").size() == 3);
  REQUIRE(log.store().drop_idle_spares(3).ok());
  CHECK(names(files, "spare-").size() == 3);
  CHECK(log.store().bytes_kept() ==
        (names(files, "spare-").size() + names(files, "0").size()) * 64 * 1024);
}

TEST_CASE("a crash between the steps of releasing and recycling loses nothing",
          "[storage][wal][segments][crash]") {
  for (std::uint64_t at = 0;; ++at) {
    faulty_file_system files;
    test_log log{files};
    REQUIRE(log.open().ok());
    const auto checkpoint = fill(log, 40);
    const auto changes = files.changes();
    files.power_off_after(at);
    static_cast<void>(
        log.store().release([&](shard_id s) { return s.value == 0 ? checkpoint + 1 : lsn_max; }));
    for (int i = 0; i < 30; ++i) {
      log.put(0, "after" + std::to_string(i), std::string(5'000, 'w'));
      log.round();
    }
    const auto durable = log.log(0).durable_lsn();
    const bool done = files.changes() < changes + at;
    log.drop();
    files.crash(crash_policy::random, at);
    const auto all = test_log::read(files, 4, {checkpoint, 1, 0, 0});
    if (!all.status.ok()) FAIL("power off after " << at << ": " << all.status.to_string());
    CHECK(all.survey.shard(shard_id{0}).end >= durable);
    if (done) break;
  }
}

TEST_CASE("a process that dies between a rename and its sync leaves a folder that starts",
          "[storage][wal][segments]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  const auto last = fill(log, 20);
  files.inject({.operation = file_operation::sync_folder});
  CHECK(log.store().release([&](shard_id s) { return s.value == 0 ? last + 1 : lsn_max; }) ==
        op_code::io_error);
  const auto spares = names(files, "spare-");
  CHECK_FALSE(spares.empty());
  log.drop();
  files.clear_faults();
  // The next start makes the names durable before it writes into a spare.
  segment_store_options options;
  options.files = &files;
  options.folder = test_log::folder;
  options.universe = test_log::universe;
  options.start = 9;
  options.segment_bytes = 64 * 1024;
  auto store = segment_store::open(options);
  REQUIRE(store.ok());
  auto builder = (*store)->begin(0, 1, 0);
  REQUIRE(builder.ok());
  CHECK((*builder)->step(0).value());
  CHECK((*builder)->recycled());
  files.crash(crash_policy::drop_all);
  const auto paths = list_segments(files, test_log::folder).value();
  for (const auto& path : paths) CHECK(scan_segment(files, path, test_log::universe).ok());
}

TEST_CASE("a new segment is complete on disk before it has its name", "[storage][wal][segments]") {
  faulty_file_system files;
  REQUIRE(files.create_folder(test_log::folder).ok());
  segment_store_options options;
  options.files = &files;
  options.folder = test_log::folder;
  options.segment_bytes = 64 * 1024;
  auto store = segment_store::open(options);
  REQUIRE(store.ok());
  auto builder = (*store)->begin(3, 5, 0);
  REQUIRE(builder.ok());
  int steps = 1;
  while (!(*builder)->step(8'192).value()) {
    ++steps;
    CHECK(list_segments(files, test_log::folder)->empty());
  }
  CHECK(steps == 8);
  files.crash(crash_policy::drop_all);
  const auto paths = *list_segments(files, test_log::folder);
  REQUIRE(paths.size() == 1);
  const auto scan = scan_segment(files, paths[0], options.universe);
  REQUIRE(scan.ok());
  CHECK(scan->info->file_bytes == 64 * 1024);
  CHECK_FALSE(scan->used());
}

TEST_CASE("an unfinished segment leaves no file behind", "[storage][wal][segments]") {
  faulty_file_system files;
  REQUIRE(files.create_folder(test_log::folder).ok());
  segment_store_options options;
  options.files = &files;
  options.folder = test_log::folder;
  options.segment_bytes = 64 * 1024;
  auto store = segment_store::open(options);
  REQUIRE(store.ok());
  SECTION("dropped") {
    auto builder = (*store)->begin(0, 1, 0);
    REQUIRE_FALSE((*builder)->step(10'000).value());
  }
  SECTION("out of space") {
    files.memory().set_capacity(30'000);
    auto builder = (*store)->begin(0, 1, 0);
    CHECK((*builder)->step(0).code() == op_code::no_space);
  }
  SECTION("left by a process that died") {
    files.memory().set_bytes(test_log::folder + "/0000000001-0000-000000000001.wal.tmp", "half");
    files.memory().set_bytes(test_log::folder + "/spare-0000000001-1.wal", "of another size");
    REQUIRE(segment_store::open(options).ok());
  }
  CHECK(files.list(test_log::folder)->empty());
}

TEST_CASE("an unfinished segment that could not be removed is in nobody's way",
          "[storage][wal][segments][fault]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  files.inject({.operation = file_operation::write, .path_part = ".tmp", .times = 1});
  files.inject({.operation = file_operation::remove, .path_part = ".tmp", .times = 1});
  const auto make = [&] {
    auto builder = log.store().begin(0, 99, 0);
    REQUIRE(builder.ok());
    return (*builder)->step(0).ok();
  };
  CHECK_FALSE(make());
  CHECK(names(files, "").back().ends_with(".tmp"));
  CHECK(make());
}

TEST_CASE("old segments are used again also when their new names were not durable at first",
          "[storage][wal][segments][fault]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  fill(log, 60);
  const auto kept = log.store().bytes_kept();
  files.inject({.operation = file_operation::sync_folder, .times = 1});
  CHECK(log.store().release([](shard_id) { return lsn_max; }, kept / 2) == op_code::io_error);
  const auto spares = names(files, "spare-").size();
  REQUIRE(spares > 0);
  CHECK(log.store().bytes_kept() <= kept); // they still count
  CHECK(log.store().bytes_kept() >= log.store().segments_kept() * 64 * 1024 + spares * 64 * 1024);
  const auto recycled = log.stream().stats().segments_recycled;
  fill(log, 20);
  CHECK(log.stream().stats().segments_recycled == recycled); // not durable yet
  REQUIRE(log.store().release([](shard_id) { return lsn_max; }, kept / 3).ok());
  fill(log, 60);
  CHECK(log.stream().stats().segments_recycled >= recycled + spares);
}

TEST_CASE("the next segment is prepared by whoever comes first", "[storage][wal][segments]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  REQUIRE(log.stream().prepare_next().ok());
  CHECK(log.stream().stats().segments_created == 1); // not wanted yet
  log.put(0, "k", std::string(40'000, 'v'));
  SECTION("the writer between two rounds") {
    log.round();
    CHECK(log.stream().stats().segments_created == 2);
  }
  SECTION("a helper, when the writer could not") {
    files.inject({.operation = file_operation::open, .times = 1, .code = op_code::no_space});
    log.round();
    CHECK(log.stream().stats().segments_created == 1);
    CHECK(log.stream().condition().ok()); // it is not needed yet
  }
}
