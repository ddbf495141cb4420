#include "storage/log_cursor.hpp"
#include "tests/support/test_log.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <thread>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

/// LSNs of the records in a frame that lie above `after` and not above `up_to` or the frame's cut.
std::vector<lsn_t> lsns(const log_frame& frame, lsn_t after, lsn_t up_to = lsn_max) {
  std::vector<lsn_t> found;
  auto bytes = frame.records;
  lsn_t lsn = frame.header.first - 1;
  log_record record;
  while (!bytes.empty()) {
    REQUIRE(decode_record(bytes, lsn, record));
    if (record.op != log_op::parts && lsn > after && lsn <= std::min(up_to, frame.keep))
      found.push_back(lsn);
  }
  return found;
}

std::vector<lsn_t> read_all(log_cursor& cursor, lsn_t up_to) {
  std::vector<lsn_t> found;
  for (;;) {
    const auto after = cursor.position();
    auto frame = cursor.next(up_to);
    REQUIRE(frame.ok());
    if (!*frame) return found;
    const auto some = lsns(**frame, after, up_to);
    found.insert(found.end(), some.begin(), some.end());
  }
}

std::vector<lsn_t> from_to(lsn_t first, lsn_t last) {
  std::vector<lsn_t> all;
  for (auto lsn = first; lsn <= last; ++lsn) all.push_back(lsn);
  return all;
}

} // namespace

TEST_CASE("a cursor hands out one shard's records from an LSN on, over segments",
          "[storage][wal][cursor]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  for (int i = 0; i < 200; ++i) {
    log.put(2, std::to_string(i), std::string(2'000, 'v'));
    log.put(1, "other", std::string(500, 'w'));
    if (i % 7 == 0) log.round();
  }
  log.round();
  for (const lsn_t after : {0, 1, 77, 199}) {
    log_cursor cursor{log.store(), shard_id{2}, after};
    CHECK(read_all(cursor, lsn_max) == from_to(after + 1, 200));
    CHECK_FALSE(cursor.next(lsn_max)->has_value());
  }
  log_cursor end{log.store(), shard_id{2}, 200};
  CHECK_FALSE(end.next(lsn_max)->has_value());
  log_cursor nothing{log.store(), shard_id{3}, 0};
  CHECK_FALSE(nothing.next(lsn_max)->has_value());
}

TEST_CASE("a cursor waits at the limit it is given and goes on from there",
          "[storage][wal][cursor]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  {
    std::lock_guard guard{log.lock(0)}; // one frame of ten records
    for (int i = 0; i < 10; ++i) {
      log_record r;
      r.lsn = log.log(0).assign_lsn();
      r.key = "k";
      log.log(0).append(r);
    }
    log.log(0).commit();
  }
  log.round();
  log_cursor cursor{log.store(), shard_id{0}, 0};
  CHECK(read_all(cursor, 0).empty());
  CHECK(read_all(cursor, 4) == from_to(1, 4));
  CHECK(cursor.position() == 4);
  CHECK(read_all(cursor, 4).empty());
  CHECK(read_all(cursor, lsn_max) == from_to(5, 10));

  log.put(0, "k", "v"); // not on disk yet
  CHECK(read_all(cursor, log.log(0).durable_lsn()).empty());
  log.round();
  CHECK(read_all(cursor, log.log(0).durable_lsn()) == from_to(11, 11));
  log.put(0, "k", "v");
  log.round();
  CHECK(read_all(cursor, log.log(0).durable_lsn()) == from_to(12, 12));
}

TEST_CASE("a cursor follows a log while it is written", "[storage][wal][cursor][threads]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  constexpr lsn_t records = 400;
  std::thread writer{[&] {
    for (lsn_t i = 1; i <= records; ++i) {
      log.put(0, std::to_string(i), std::string(1'000, 'v'));
      log.put(1, "other", "w");
      if (i % 3 == 0) log.round();
    }
    log.round();
  }};
  log_cursor cursor{log.store(), shard_id{0}, 0};
  std::vector<lsn_t> found;
  while (found.size() < records) {
    const auto some = read_all(cursor, log.log(0).durable_lsn());
    found.insert(found.end(), some.begin(), some.end());
    if (some.empty()) std::this_thread::yield();
  }
  writer.join();
  CHECK(found == from_to(1, records));
}

TEST_CASE("a cursor behind the oldest record says so, and keeps the segment it reads",
          "[storage][wal][cursor]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  for (int i = 0; i < 50; ++i) {
    log.put(0, "k", std::string(5'000, 'v'));
    log.round();
  }
  log_cursor reading{log.store(), shard_id{0}, 0};
  CHECK(lsns(**reading.next(lsn_max), 0) == from_to(1, 1));
  const auto segments = log.store().segments_kept();
  REQUIRE(log.store().release([](shard_id) { return lsn_t{30}; }).ok());
  CHECK(log.store().segments_kept() < segments);
  CHECK(lsns(**reading.next(lsn_max), 0) == from_to(2, 2));

  log_cursor late{log.store(), shard_id{0}, 15};
  CHECK(late.next(lsn_max).code() == op_code::not_found);
  REQUIRE(log.store().release([](shard_id) { return lsn_max; }).ok());
  log_cursor in_time{log.store(), shard_id{0}, 50}, too_late{log.store(), shard_id{0}, 20};
  CHECK(too_late.next(lsn_max).code() == op_code::not_found);
  log.put(0, "k", "v");
  log.round();
  CHECK(read_all(in_time, lsn_max) == from_to(51, 51));
}

TEST_CASE("a cut makes records void for replay, cursor and durable LSN", "[storage][wal][cursor]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  for (int i = 1; i <= 10; ++i) log.put(0, "old" + std::to_string(i), "v");
  log.round();
  CHECK(log.log(0).durable_lsn() == 10);
  {
    std::lock_guard guard{log.lock(0)};
    log.log(0).set_epoch(7);
    log.log(0).cut(6);
    CHECK(log.log(0).next_lsn() == 7);
  }
  CHECK(log.log(0).durable_lsn() == 6);
  CHECK(log.log(0).durable_epoch() == 0);
  const auto first = log.put(0, "new7", "v");
  CHECK(first == 7);
  CHECK(log.log(0).durable(7) ==
        durable_state::pending); // the LSN was on disk once, with another record
  log.round();
  CHECK(log.log(0).durable(7) == durable_state::durable);
  CHECK(log.log(0).durable_epoch() == 7);

  log_cursor cursor{log.store(), shard_id{0}, 0};
  CHECK(read_all(cursor, lsn_max) == from_to(1, 7));
  log.drop();
  const auto all = test_log::read(files, 4);
  REQUIRE(all.status.ok());
  CHECK(all.survey.shard(shard_id{0}).end == 7);
  CHECK(all.survey.shard(shard_id{0}).epoch == 7);
  REQUIRE(all.shards[0].records.size() == 7);
  CHECK(all.shards[0].records.back().second == "new7=v");
  CHECK_FALSE(all.shards[0].values.contains("old7"));
}

TEST_CASE("a cut while a round is on its way does not make the old tail durable",
          "[storage][wal][cursor]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  for (int i = 1; i <= 10; ++i) log.put(0, "old", "v");
  bool cut = false;
  files.set_observer([&](file_operation operation, const std::string&) {
    if (operation != file_operation::sync || cut) return;
    cut = true; // taken and written, not yet published
    std::lock_guard guard{log.lock(0)};
    log.log(0).set_epoch(1);
    log.log(0).cut(4);
  });
  REQUIRE(log.round());
  REQUIRE(cut);
  files.set_observer({});
  CHECK(log.log(0).durable_lsn() == 4);
  const auto lsn = log.put(0, "new", "v");
  CHECK(lsn == 5);
  CHECK(log.log(0).durable(lsn) == durable_state::pending);
  REQUIRE(log.round());
  CHECK(log.log(0).durable(lsn) == durable_state::durable);
  const auto all = test_log::read(files, 4);
  CHECK(all.survey.shard(shard_id{0}).end == 5);
}

TEST_CASE(
    "an epoch is on disk before it is called durable, also without a write, and survives release",
    "[storage][wal][cursor]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  {
    std::lock_guard guard{log.lock(2)};
    log.log(2).set_epoch(9);
    log.log(2).set_record_epoch(3);
  }
  CHECK(log.log(2).durable_epoch() == 0);
  REQUIRE(log.round());
  CHECK(log.log(2).durable_epoch() == 9);
  log.put(2, "of an older epoch", "v");
  REQUIRE(log.round());
  log_cursor cursor{log.store(), shard_id{2}, 0};
  CHECK((*cursor.next(lsn_max))->header.epoch == 3);
  for (int i = 0; i < 40; ++i) {
    log.put(0, "k", std::string(5'000, 'v'));
    log.round();
  }
  REQUIRE(log.store().release([](shard_id) { return lsn_max; }).ok());
  log.drop();
  files.crash(crash_policy::drop_all);
  const auto all = test_log::read(files, 4, {lsn_max, lsn_max, lsn_max, lsn_max});
  REQUIRE(all.status.ok());
  CHECK(all.survey.shard(shard_id{2}).epoch == 9);
}

TEST_CASE(
    "a log that goes on behind an installed checkpoint has a gap that only the checkpoint covers",
    "[storage][wal][cursor]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  log.put(0, "a", "1");
  log.round();
  {
    std::lock_guard guard{log.lock(0)};
    log.log(0).cut(500);
  }
  CHECK(log.put(0, "b", "2") == 501);
  log.round();
  CHECK(log.log(0).durable_lsn() == 501);
  CHECK(test_log::read(files, 4).status == op_code::corruption);
  const auto all = test_log::read(files, 4, {500, 0, 0, 0});
  REQUIRE(all.status.ok());
  CHECK(all.survey.shard(shard_id{0}).end == 501);
  log_cursor before{log.store(), shard_id{0}, 0}, behind{log.store(), shard_id{0}, 500};
  CHECK(lsns(**before.next(lsn_max), 0) == from_to(1, 1));
  CHECK(before.next(lsn_max).code() == op_code::not_found);
  CHECK(read_all(behind, lsn_max) == from_to(501, 501));
}
