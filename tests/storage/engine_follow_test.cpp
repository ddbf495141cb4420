#include "storage/engine.hpp"
#include "storage/log_cursor.hpp"

#include "tests/support/engine_fixture.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <catch2/catch_test_macros.hpp>
#include <map>

using namespace warp;
using namespace warp::storage;
using warp::testing::faulty_file_system;
using warp::testing::running_engine;

namespace {

engine_options options_on(faulty_file_system& files, const std::string& folder) {
  auto options = warp::testing::small_options(folder);
  options.files = &files;
  options.shard_count = 2;
  return options;
}

std::map<std::string, std::string> everything(running_engine& db) {
  const auto all = db.everything();
  return {all.begin(), all.end()};
}

/// Hands every durable frame behind `after` to the follower; returns how many there were.
std::size_t catch_up(running_engine& from, running_engine& to, shard_id shard, lsn_t after) {
  const auto cursor = from->read_log(shard, after);
  std::size_t frames = 0;
  for (;;) {
    auto frame = cursor->next(from->stats(shard).durable_lsn);
    REQUIRE(frame.ok());
    if (!*frame) return frames;
    const auto status = to->apply_frame(shard, **frame);
    INFO(status.to_string());
    REQUIRE(status.ok());
    ++frames;
  }
}

} // namespace

TEST_CASE("a follower that is handed a shard's frames has what the primary has, versions included",
          "[storage][follow]") {
  faulty_file_system files;
  running_engine primary{options_on(files, "primary")};
  std::map<std::string, std::string> model;
  lsn_t version = 0;
  {
    running_engine follower{options_on(files, "follower")};
    for (int i = 0; i < 300; ++i) {
      primary.put("key" + std::to_string(i % 120), std::to_string(i));
      if (i % 5 == 0) primary.erase("key" + std::to_string(i % 60));
      if (i % 50 == 0) primary.put("big", std::string(40'000, static_cast<char>('a' + i % 26)));
    }
    version = primary.put("last", "x", durability::sync).version;
    for (std::uint32_t s = 0; s < 2; ++s) primary->request_sync(shard_id{s});
    for (int i = 0; i < 20; ++i) primary.put("sync" + std::to_string(i), "v", durability::sync);
    std::size_t frames = 0;
    for (std::uint32_t s = 0; s < 2; ++s) frames += catch_up(primary, follower, shard_id{s}, 0);
    CHECK(frames > 2);
    model = everything(primary);
    CHECK(everything(follower) == model);
    CHECK(follower.read("last").version == version);
    // Handing everything over again changes nothing.
    for (std::uint32_t s = 0; s < 2; ++s) catch_up(primary, follower, shard_id{s}, 0);
    CHECK(everything(follower) == model);
    REQUIRE(follower.stop().ok());
  }
  running_engine again{options_on(files, "follower")};
  CHECK(everything(again) == model);
  CHECK(again.read("last").version == version);
}

TEST_CASE("a frame whose predecessors are missing is refused and says where the copy ends",
          "[storage][follow]") {
  faulty_file_system files;
  running_engine primary{options_on(files, "primary")};
  running_engine follower{options_on(files, "follower")};
  const auto first = primary.put("a", "1", durability::sync);
  primary.put("a", "2", durability::sync);
  const auto cursor = primary->read_log(first.shard, first.version);
  auto frame = cursor->next(lsn_max);
  REQUIRE(frame.ok());
  REQUIRE(*frame);
  CHECK(follower->apply_frame(first.shard, **frame).code() == op_code::version_mismatch);
  CHECK(follower.get("a") == "(not_found)");
}

TEST_CASE("an empty copy starts from a checkpoint and goes on with the log above it",
          "[storage][follow]") {
  faulty_file_system files;
  running_engine primary{options_on(files, "primary")};
  for (int i = 0; i < 500; ++i) primary.put("key" + std::to_string(i), std::to_string(i));
  for (std::uint32_t s = 0; s < 2; ++s) REQUIRE(primary->checkpoint(shard_id{s}).ok());
  const lsn_t from[] = {primary->stats(shard_id{0}).checkpoint_lsn,
                        primary->stats(shard_id{1}).checkpoint_lsn};
  for (int i = 0; i < 100; ++i) primary.put("key" + std::to_string(i * 7), "new", durability::sync);
  const auto model = everything(primary);
  {
    running_engine follower{options_on(files, "follower")};
    for (std::uint32_t s = 0; s < 2; ++s) {
      const auto status =
          follower->install_checkpoint(shard_id{s}, primary->newest_checkpoint(shard_id{s}));
      INFO(status.to_string());
      REQUIRE(status.ok());
      catch_up(primary, follower, shard_id{s}, from[s]);
    }
    CHECK(everything(follower) == model);
    CHECK(
        follower->install_checkpoint(shard_id{0}, primary->newest_checkpoint(shard_id{0})).code() ==
        op_code::invalid_argument); // not empty any more
    REQUIRE(follower.stop().ok());
  }
  running_engine again{options_on(files, "follower")};
  CHECK(everything(again) == model);
}
