#include "storage/wal_stream.hpp"
#include "tests/support/test_log.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>
#include <thread>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;
using namespace std::chrono_literals;

namespace {

using pairs = std::map<std::string, std::string>;

constexpr auto far_future = std::chrono::hours{1};
auto in(std::chrono::nanoseconds d) {
  return std::chrono::steady_clock::now() + d;
}

lsn_t append(test_log& log, std::uint32_t shard, log_record record) {
  std::lock_guard guard{log.lock(shard)};
  REQUIRE(log.log(shard).admit() == op_code::ok);
  record.lsn = log.log(shard).assign_lsn();
  log.log(shard).append(record);
  log.log(shard).commit();
  return record.lsn;
}

lsn_t unlogged(test_log& log, std::uint32_t shard) {
  std::lock_guard guard{log.lock(shard)};
  return log.log(shard).admit() == op_code::ok ? log.log(shard).assign_lsn() : 0;
}

} // namespace

TEST_CASE("what a round has written is durable and comes back", "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  const auto a = log.put(0, "a", "1"), b = log.put(0, "b", "2"), c = log.put(3, "c", "3");
  CHECK(a == 1);
  CHECK(b == 2);
  CHECK(c == 1);
  CHECK(log.log(0).durable(b) == durable_state::pending);
  CHECK(log.log(0).oldest_pending_ns() != 0);
  const auto writes = files.count(file_operation::write), syncs = files.count(file_operation::sync);
  REQUIRE(log.round());
  CHECK(files.count(file_operation::write) == writes + 1); // for all shards together
  CHECK(files.count(file_operation::sync) == syncs + 1);
  CHECK(log.log(0).durable(b) == durable_state::durable);
  CHECK(log.log(0).durable_lsn() == 2);
  CHECK(log.log(0).oldest_pending_ns() == 0);
  CHECK(log.log(0).appended_records() == 2);
  CHECK_FALSE(log.round()); // nothing left
  log.put(1, "lost", "x");  // in no round

  log.drop();
  files.crash(crash_policy::drop_all);
  REQUIRE(log.open().ok());
  CHECK(log.recovered.shards[0].values == pairs{{"a", "1"}, {"b", "2"}});
  CHECK(log.recovered.shards[3].values == pairs{{"c", "3"}});
  CHECK(log.recovered.shards[1].values.empty());
}

TEST_CASE("after a clean stop the LSNs go on exactly, after a crash behind the reservation",
          "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  log.put(0, "a", "1");
  const auto handed_out = unlogged(log, 0);
  CHECK(handed_out == 2);

  SECTION("clean") {
    REQUIRE(log.close().ok());
    files.crash(crash_policy::drop_all);
    REQUIRE(log.open().ok());
    CHECK(log.put(0, "b", "2") == handed_out + 1);
    CHECK(log.put(1, "b", "2") == 1);
  }
  SECTION("crash") {
    log.round();
    log.drop();
    files.crash(crash_policy::drop_all);
    REQUIRE(log.open().ok());
    const auto next = log.put(0, "b", "2");
    CHECK(next > handed_out);
    CHECK(next == 1'001); // blocks of 1,000 in these tests
    SECTION("and again, with a clean stop in between") {
      REQUIRE(log.close().ok());
      REQUIRE(log.open().ok());
      CHECK(log.put(0, "c", "3") == next + 1);
      log.round();
      log.drop();
      files.crash(crash_policy::keep_all);
      REQUIRE(log.open().ok());
      CHECK(log.put(0, "d", "4") > next + 1);
      log.round();
      CHECK(test_log::read(files, 4).shards[0].values ==
            pairs{{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}});
    }
  }
}

TEST_CASE("a clean log says so, and a crashed one does not", "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  CHECK(test_log::read(files, 4).survey.clean()); // nothing there
  REQUIRE(log.open().ok());
  log.put(0, "a", "1");
  log.round();
  CHECK_FALSE(test_log::read(files, 4).survey.clean());
  REQUIRE(log.close().ok());
  CHECK(test_log::read(files, 4).survey.clean());
  CHECK(log.open().ok());
  CHECK_FALSE(test_log::read(files, 4).survey.clean());
}

TEST_CASE("the log goes on from segment to segment", "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  pairs expected;
  const std::string value(3'000, 'v');
  for (int i = 0; i < 200; ++i) {
    const auto key = std::to_string(i);
    REQUIRE(log.put(static_cast<std::uint32_t>(i % 4), key, value + key) != 0);
    if (i % 4 == 0) expected[key] = value + key;
    if (i % 7 == 0) REQUIRE(log.round());
  }
  log.round();
  CHECK(log.store().segments_kept() >= 9);
  CHECK(log.recovered.status.ok());
  const auto all = test_log::read(files, 4);
  REQUIRE(all.status.ok());
  CHECK(all.shards[0].values == expected);
  CHECK(all.survey.records() == 200);
}

TEST_CASE("a frame larger than a segment gets a segment of its size", "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  std::string large(300'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * i % 251);
  const bool as_blob = GENERATE(false, true);
  for (int i = 0; i < 3; ++i) {
    log.put(0, "small" + std::to_string(i), "s");
    log_record r;
    r.key = "large";
    if (as_blob)
      r.large = blob_ref::copy_of(large);
    else
      r.value = large;
    append(log, 1, r);
    REQUIRE(log.round());
  }
  const auto all = test_log::read(files, 4);
  REQUIRE(all.status.ok());
  CHECK(all.shards[1].values.at("large") == large);
  CHECK(all.shards[1].records.size() == 3);
  CHECK(all.shards[0].values.size() == 3);
}

TEST_CASE("compressed values, metas, erases and request ids go through the log", "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  const std::string text(50'000, 'x');
  log_record r;
  r.key = "big";
  r.large = compress_value(text);
  REQUIRE(r.large);
  r.compressed = true;
  r.request = {7, 8, 3};
  append(log, 0, r);
  log_record meta;
  meta.op = log_op::meta;
  meta.key = "big";
  meta.meta.expires_at_ms = 99;
  meta.meta.rank = priority::high;
  append(log, 0, meta);
  log_record erase;
  erase.op = log_op::erase;
  erase.key = "gone";
  append(log, 0, erase);
  REQUIRE(log.round());

  auto paths = list_segments(files, test_log::folder);
  auto scan = scan_segment(files, paths->front(), test_log::universe);
  REQUIRE(scan.ok());
  auto bytes = load_segment(files, scan->info);
  REQUIRE(bytes.ok());
  std::vector<log_op> ops;
  const replay_range wanted[]{{.wanted = true}};
  REQUIRE(replay(*bytes, wanted, [&](const replay_context&, const log_record& got) -> op_status {
            ops.push_back(got.op);
            if (got.op == log_op::put) {
              CHECK(got.payload() == text);
              CHECK_FALSE(got.compressed);
              CHECK(got.request == r.request);
            }
            if (got.op == log_op::meta) {
              CHECK(got.meta.expires_at_ms == 99);
              CHECK(got.meta.rank == priority::high);
            }
            return {};
          }).ok());
  CHECK(ops == std::vector{log_op::put, log_op::meta, log_op::erase});
  CHECK(replay(*bytes, wanted, [](auto&, auto&) -> op_status { return op_code::unavailable; }) ==
        op_code::unavailable);
  CHECK(replay(
            *bytes, wanted, [](auto&, auto&) -> op_status { return {}; }, 1'000) ==
        op_code::corruption);
}

TEST_CASE("an LSN is handed out only when its reservation is durable", "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  lsn_t last = 0;
  std::uint64_t blocks = 0;
  for (int i = 0; i < 5'000; ++i) { // none of them logged
    auto lsn = unlogged(log, 2);
    if (lsn == 0) {
      ++blocks;
      CHECK_FALSE(log.log(2).has_room());
      REQUIRE(log.round()); // a frame with nothing but the reservation
      CHECK(log.log(2).wait_for_room(in(far_future)) == op_code::ok);
      lsn = unlogged(log, 2);
    }
    REQUIRE(lsn == last + 1);
    last = lsn;
  }
  CHECK(blocks == 4);
  CHECK(log.log(2).durable(last) == durable_state::durable); // none was logged: nothing is missing
  log.drop();
  files.crash(crash_policy::drop_all);
  REQUIRE(log.open().ok());
  CHECK(unlogged(log, 2) > last);
}

TEST_CASE("a block is renewed when half of it is used, before anybody has to wait",
          "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  for (lsn_t i = 1; i <= 20'000; ++i) {
    REQUIRE(unlogged(log, 2) == i);
    if (i % 400 == 0) log.round();
  }
}

TEST_CASE("a batch that no reservation or frame can hold is refused for good", "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  std::lock_guard guard{log.lock(0)};
  CHECK(log.log(0).admit(1'000) == op_code::ok);
  CHECK(log.log(0).admit(1'001) == op_code::invalid_argument);
  CHECK(log.log(0).admit(1, std::uint64_t{1} << 32) == op_code::invalid_argument);
}

TEST_CASE("unlogged writes are durable when all that was logged before them is", "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  const auto before = unlogged(log, 0);
  CHECK(log.log(0).durable(before) == durable_state::durable);
  const auto logged = log.put(0, "a", "1");
  const auto after = unlogged(log, 0);
  CHECK(log.log(0).durable(logged) == durable_state::pending);
  CHECK(log.log(0).durable(after) == durable_state::pending);
  REQUIRE(log.round());
  CHECK(log.log(0).durable(logged) == durable_state::durable);
  CHECK(log.log(0).durable(after) == durable_state::durable);
}

TEST_CASE("a full buffer turns writers away until a round has made room", "[storage][wal]") {
  faulty_file_system files;
  test_log_options options;
  options.stream.buffer_bytes = 100'000;
  test_log log{files, options};
  REQUIRE(log.open().ok());
  const std::string value(10'000, 'v');
  int accepted = 0;
  while (log.put(0, "k", value) != 0) ++accepted;
  CHECK(accepted >= 9);
  CHECK(accepted <= 11);
  CHECK_FALSE(log.log(0).has_room());
  CHECK(log.log(0).wait_for_room(in(1ms)) == op_code::overloaded);
  auto waited = op_code::unavailable;
  std::thread waiter{[&] { waited = log.log(0).wait_for_room(in(far_future)); }};
  while (!log.round()) {
  }
  waiter.join();
  CHECK(waited == op_code::ok);
  CHECK(log.stream().buffered_bytes() == 0);
  CHECK(log.put(0, "k", value) != 0);
}

TEST_CASE("a failed write or sync is final: no later write is accepted, nothing unsynced counts",
          "[storage][wal]") {
  const auto operation = GENERATE(file_operation::write, file_operation::sync);
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  const auto good = log.put(0, "good", "1");
  REQUIRE(log.round());
  const auto bad = log.put(0, "bad", "2");
  log.put(1, "bad", "2");
  files.inject({.operation = operation, .times = 1});
  CHECK_FALSE(log.round());
  CHECK(log.stream().condition() == op_code::io_error);
  CHECK(log.stream().stats().failed);
  CHECK(log.stream().stats().failure.find(test_log::folder) != std::string::npos);
  CHECK(log.log(0).durable(good) == durable_state::durable);
  CHECK(log.log(0).durable(bad) == durable_state::failed);
  CHECK(log.log(0).wait_durable(bad, in(far_future)) == op_code::io_error);
  CHECK(log.put(0, "more", "3") == 0);
  CHECK(log.put(3, "more", "3") == 0); // every shard of the stream
  CHECK(log.log(0).wait_for_room(in(far_future)) == op_code::io_error);
  CHECK_FALSE(log.round());
  CHECK(log.stream().buffered_bytes() == 0);
  CHECK(log.stream().close() == op_code::io_error);
  log.drop();
  files.crash(crash_policy::drop_all);
  REQUIRE(log.open().ok());
  CHECK(log.recovered.shards[0].values == pairs{{"good", "1"}});
}

TEST_CASE("those who wait for a write learn that it failed", "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  const auto lsn = log.put(0, "bad", "2");
  files.inject({.operation = file_operation::sync});
  auto waited = op_code::ok;
  std::thread waiter{[&] { waited = log.log(0).wait_durable(lsn, in(far_future)); }};
  log.round();
  waiter.join();
  CHECK(waited == op_code::io_error);
}

TEST_CASE("a failed stream starts a new chain once checkpoints hold its shards", "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  CHECK(log.stream().revive() == op_code::invalid_argument);
  log.put(0, "old", "1");
  REQUIRE(log.round());
  const auto lost = log.put(0, "in the checkpoint", "2");
  files.inject({.operation = file_operation::sync, .times = 1});
  CHECK_FALSE(log.round());
  REQUIRE(log.stream().revive().ok());
  CHECK(log.stream().condition().ok());
  CHECK(log.log(0).durable(lost) == durable_state::durable);
  const auto next = log.put(0, "new", "3");
  CHECK(next == lost + 1);
  REQUIRE(log.round());
  CHECK(log.log(0).durable(next) == durable_state::durable);
  const auto policy = GENERATE(crash_policy::drop_all, crash_policy::keep_all);
  log.drop();
  files.crash(policy);
  const auto without = test_log::read(files, 4);
  if (policy == crash_policy::drop_all)
    CHECK(without.status == op_code::corruption); // a gap, unless a checkpoint covers it
  const auto with = test_log::read(files, 4, {lost, 0, 0, 0});
  REQUIRE(with.status.ok());
  CHECK(with.shards[0].values.at("new") == "3");
  CHECK(with.survey.shard(shard_id{0}).end == next);
}

TEST_CASE("without space writes are refused, nothing is lost, and it goes on by itself",
          "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  const auto used = files.memory().used_bytes();
  files.memory().set_capacity(used + 1'000); // not another segment
  const std::string value(5'000, 'v');
  std::vector<lsn_t> accepted;
  for (int i = 0; i < 100; ++i) {
    if (const auto lsn = log.put(0, std::to_string(i), value); lsn != 0) accepted.push_back(lsn);
    log.round();
  }
  CHECK(accepted.size() >= 11);
  CHECK(accepted.size() < 20);
  CHECK(log.stream().condition() == op_code::no_space);
  CHECK(log.stream().stats().no_space);
  CHECK(log.log(0).admit() == op_code::no_space);
  CHECK(log.log(0).wait_for_room(in(far_future)) == op_code::no_space);
  CHECK(log.log(0).durable(accepted.back()) == durable_state::pending);
  CHECK(log.stream().flush() == op_code::no_space);

  files.memory().set_capacity(~std::uint64_t{0});
  CHECK(log.stream().run(1h)); // returns at once, without any new write
  CHECK(log.stream().condition().ok());
  CHECK(log.log(0).durable(accepted.back()) == durable_state::durable);
  CHECK(log.put(0, "again", value) != 0);
  log.round();
  const auto all = test_log::read(files, 4);
  REQUIRE(all.status.ok());
  CHECK(all.shards[0].records.size() == accepted.size() + 1);
}

TEST_CASE("a write that finds no space is tried again, whatever part of it got to disk",
          "[storage][wal]") {
  faulty_file_system files;
  test_log_options options;
  options.direct = GENERATE(direct_io::on, direct_io::off);
  const std::string value(GENERATE(1, 30'000), 'v');
  test_log log{files, options};
  REQUIRE(log.open().ok());
  const auto lsn = log.put(0, "a", value);
  files.inject({.operation = file_operation::write,
                .times = 2,
                .code = op_code::no_space,
                .bytes_written = GENERATE(50, 5'000)});
  CHECK_FALSE(log.round());
  CHECK(log.stream().condition() == op_code::no_space);
  CHECK_FALSE(log.round());
  CHECK(log.round());
  CHECK(log.log(0).durable(lsn) == durable_state::durable);
  CHECK(log.put(0, "b", "2") != 0);
  CHECK(log.round());
  CHECK(test_log::read(files, 4).shards[0].values == pairs{{"a", value}, {"b", "2"}});
}

TEST_CASE("a round longer than a direct write is several of them", "[storage][wal][direct]") {
  faulty_file_system files;
  test_log_options options;
  options.segment_bytes = 8u << 20;
  test_log log{files, options};
  REQUIRE(log.open().ok());
  pairs expected;
  for (int i = 0; i < 3; ++i) {
    for (int n = 0; n < 20; ++n) {
      const auto key = std::to_string(i * 100 + n);
      expected[key] =
          std::string(70'000 + static_cast<std::size_t>(n) * 997, static_cast<char>('a' + n));
      REQUIRE(log.put(static_cast<std::uint32_t>(n % 4), key, expected[key]) != 0);
    }
    REQUIRE(log.round());
  }
  CHECK(log.stream().stats().direct);
  CHECK(log.stream().stats().rounds == 3);
  files.crash(crash_policy::drop_all);
  const auto all = test_log::read(files, 4);
  REQUIRE(all.status.ok());
  pairs seen;
  for (const auto& shard : all.shards) seen.insert(shard.values.begin(), shard.values.end());
  CHECK(seen == expected);
}

TEST_CASE("a batch is never split, however large frames get", "[storage][wal]") {
  faulty_file_system files;
  test_log_options options;
  options.stream.frame_bytes = 1'000;
  test_log log{files, options};
  REQUIRE(log.open().ok());
  const std::string value(90, 'v');
  for (int batch = 0; batch < 10; ++batch) {
    std::lock_guard guard{log.lock(0)};
    REQUIRE(log.log(0).admit(37) == op_code::ok);
    for (int i = 0; i < 37; ++i) {
      log_record r;
      r.lsn = log.log(0).assign_lsn();
      r.key = "k";
      r.value = value;
      log.log(0).append(r);
    }
    log.log(0).commit();
  }
  for (int i = 0; i < 50; ++i) log.put(1, "k", value);
  REQUIRE(log.round());
  log_cursor batches{log.store(), shard_id{0}, 0}, singles{log.store(), shard_id{1}, 0};
  for (int batch = 0; batch < 10; ++batch) CHECK((*batches.next(lsn_max))->header.count == 37);
  std::uint32_t records = 0, frames = 0;
  for (; records < 50; ++frames) records += (*singles.next(lsn_max))->header.count;
  CHECK(frames == 5); // closed at the first end of a batch beyond 1,000 bytes
}

TEST_CASE("an idle writer sleeps until it is needed, and names what it synced", "[storage][wal]") {
  faulty_file_system files;
  test_log_options options;
  options.direct = GENERATE(direct_io::on, direct_io::off);
  test_log log{files, options};
  REQUIRE(log.open().ok());
  log.put(0, "a", "1");
  REQUIRE(log.round());
  const auto writes = files.count(file_operation::write);
  // The idle mark, once: a write, with its sync only where the two are one call.
  const auto syncs =
      files.count(file_operation::sync) + (options.direct == direct_io::on ? 1u : 0u);
  CHECK_FALSE(log.stream().run(20ms));
  CHECK_FALSE(log.stream().run(20ms));
  CHECK(files.count(file_operation::write) == writes + 1);
  CHECK(files.count(file_operation::sync) == syncs);

  SECTION("an append wakes it") {
    bool ran = false;
    std::thread writer{[&] { ran = log.stream().run(far_future); }};
    const auto lsn = log.put(1, "b", "2");
    const auto waited = log.log(1).wait_durable(lsn, in(far_future)); // flushed after the interval
    writer.join();
    CHECK(ran);
    CHECK(waited == op_code::ok);
  }
  SECTION("interrupt() ends its sleep") {
    bool ran = true;
    std::thread writer{[&] { ran = log.stream().run(far_future); }};
    log.stream().interrupt();
    writer.join();
    CHECK_FALSE(ran);
  }
  SECTION("a round that is asked for while nothing waits costs nothing") {
    log.stream().request_sync();
    CHECK_FALSE(log.stream().run(far_future));
    CHECK(files.count(file_operation::sync) == syncs);
  }
}

TEST_CASE("a round starts early when much waits", "[storage][wal]") {
  faulty_file_system files;
  test_log_options options;
  options.stream.flush_interval = far_future;
  options.stream.round_bytes = 20'000;
  test_log log{files, options};
  REQUIRE(log.open().ok());
  log.put(0, "a", std::string(5'000, 'v'));
  CHECK_FALSE(log.stream().run(1ms)); // neither long enough nor enough
  log.put(0, "b", std::string(20'000, 'v'));
  CHECK(log.stream().run(far_future));
}

TEST_CASE("listeners hear of each round once", "[storage][wal]") {
  faulty_file_system files;
  test_log_options options;
  int rounds = 0;
  options.stream.on_round = [&] { ++rounds; };
  test_log log{files, options};
  REQUIRE(log.open().ok());
  for (std::uint32_t s = 0; s < 4; ++s) log.put(s, "a", "1");
  CHECK(rounds == 0);
  log.round();
  CHECK(rounds == 1);
  log.put(0, "a", "1");
  files.inject({.operation = file_operation::sync});
  log.round();
  CHECK(rounds == 2); // of a failure too
}

TEST_CASE("many threads append while two writers write: nothing is lost, in order, durable when it "
          "says so",
          "[storage][wal][threads]") {
  faulty_file_system files;
  test_log_options options;
  options.streams = 2;
  options.shards = 8;
  options.stream.reservation = 200;
  options.stream.buffer_bytes = 32 * 1024;
  test_log log{files, options};
  REQUIRE(log.open().ok());
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers, clients;
  for (std::uint32_t s = 0; s < 2; ++s)
    writers.emplace_back([&, s] {
      while (!stop) log.stream(s).run(far_future);
    });
  constexpr int writes = 300;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t)
    clients.emplace_back([&, t] {
      const std::string value(300, static_cast<char>('a' + t));
      for (int i = 0; i < writes; ++i) {
        const auto shard = static_cast<std::uint32_t>((t + i * 3) % 8);
        const auto key = std::to_string(t) + "." + std::to_string(i);
        if (i % 10 == 0) {
          const auto low = shard % 7;
          while (log.put_all({low, low + 1}, key, value).empty())
            if (log.log(low).wait_for_room(in(10ms)) == op_code::io_error) ++failures;
          continue;
        }
        lsn_t lsn = 0;
        while ((lsn = log.put(shard, key, value)) == 0)
          if (log.log(shard).wait_for_room(in(10ms)) == op_code::io_error) ++failures;
        if (i % 3 == 0) {
          log.log(shard).request_sync();
          if (log.log(shard).wait_durable(lsn, in(far_future)) != op_code::ok) ++failures;
        }
      }
    });
  for (auto& c : clients) c.join();
  stop = true;
  for (std::uint32_t s = 0; s < 2; ++s) log.stream(s).interrupt();
  for (auto& w : writers) w.join();
  REQUIRE(failures == 0);
  REQUIRE(log.close().ok());
  files.crash(crash_policy::drop_all);
  const auto all = test_log::read(files, 8);
  REQUIRE(all.status.ok());
  std::size_t keys = 0;
  for (const auto& shard : all.shards) {
    keys += shard.values.size();
    CHECK(std::is_sorted(shard.records.begin(), shard.records.end(),
                         [](auto& a, auto& b) { return a.first < b.first; }));
  }
  CHECK(keys >= 4 * writes);
  CHECK(all.survey.clean());
}
