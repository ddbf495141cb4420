#include "storage/segment_maker.hpp"

#include "storage/engine.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <thread>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;
using namespace std::chrono_literals;

namespace {

/// An engine whose log is written by the test's own turns.
struct stepped_engine {
  stepped_engine() {
    auto options = small_options("data");
    options.files = &files;
    options.segment_bytes = 64 * 1024;
    auto opened = engine::open(options);
    REQUIRE(opened.ok());
    db = std::move(*opened);
  }
  /// A round of about 10 KB: seven of them fill a segment.
  void round() {
    const std::string value(10'000, 'v');
    const operation op{
        .kind = op_kind::put, .level = durability::sync, .key = "key", .value = value};
    op_reply reply;
    value_arena arena;
    db->execute({&op, 1}, {&reply, 1}, arena);
    REQUIRE(reply.code == op_code::ok);
    db->run_stream(0, 0ms);
    REQUIRE(db->durable(reply.shard, reply.durable_at) == durable_state::durable);
  }
  stream_stats stats() { return db->stats_of_stream(0); }

  faulty_file_system files;
  std::unique_ptr<engine> db;
};

} // namespace

TEST_CASE_METHOD(stepped_engine, "a maker has the next segment ready before it is needed",
                 "[storage][wal][segments]") {
  segment_maker maker{*db};
  maker.run(0ms);
  CHECK(stats().segments_created == 1); // nobody wants another one yet
  for (int i = 0; i < 50; ++i) {
    round();
    maker.run(0ms);
  }
  CHECK(stats().segments_created >= 7);
  CHECK(stats().segment_waits == 0);
}

TEST_CASE_METHOD(stepped_engine,
                 "while there is a maker the writer makes no segment before its time",
                 "[storage][wal][segments]") {
  segment_maker maker{*db};
  for (int i = 0; i < 5; ++i) round(); // more than half of it
  CHECK(stats().segments_created == 1);
  for (int i = 0; i < 5; ++i) round(); // the maker is late, the writer helps itself
  CHECK(stats().segments_created == 2);
  CHECK(stats().segment_waits == 1);
}

TEST_CASE_METHOD(stepped_engine, "without a maker the writer prepares segments by itself",
                 "[storage][wal][segments]") {
  { segment_maker gone{*db}; }
  for (int i = 0; i < 5; ++i) round();
  CHECK(stats().segments_created == 2);
  for (int i = 0; i < 45; ++i) round();
  CHECK(stats().segment_waits == 0);
}

TEST_CASE_METHOD(stepped_engine,
                 "a maker that finds no space tries again, and the log is as it was",
                 "[storage][wal][segments]") {
  segment_maker maker{*db};
  for (int i = 0; i < 5; ++i) round();
  files.inject({.operation = file_operation::open, .times = 1, .code = op_code::no_space});
  maker.run(0ms);
  CHECK(stats().segments_created == 1);
  CHECK_FALSE(stats().no_space);
  maker.run(1h); // waits a moment, not an hour
  CHECK(stats().segments_created == 2);
  for (int i = 0; i < 5; ++i) round();
  CHECK(stats().segment_waits == 0);
}

TEST_CASE_METHOD(stepped_engine, "an interrupt ends a maker's wait", "[storage][wal][segments]") {
  segment_maker maker{*db};
  std::thread waiting{[&] { maker.run(1h); }};
  maker.interrupt();
  waiting.join();
  CHECK(stats().segments_created == 1);
}
