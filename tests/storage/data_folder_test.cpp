#include "storage/data_folder.hpp"

#include "tests/storage/checkpoint_fixture.hpp"
#include "tests/support/crash_states.hpp"
#include "tests/support/recording_file_system.hpp"
#include "tests/support/temp_folder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <random>
#include <thread>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

checkpoint_info info_of(std::uint32_t shard, std::uint64_t sequence) {
  checkpoint_info info;
  info.shard = shard_id{shard};
  info.sequence = sequence;
  info.start_lsn = 10 * sequence;
  info.end_lsn = info.start_lsn + 5;
  info.reserved_lsn = info.start_lsn + 100;
  info.records = 1;
  return info;
}

std::unique_ptr<data_folder> open_folder(file_system& files, std::uint32_t shards = 0) {
  auto folder = data_folder::open(files, "data", shards);
  INFO(folder.status().to_string());
  REQUIRE(folder.ok());
  return std::move(*folder);
}

/// A checkpoint as the engine makes one: its file, then its entry.
op_status save_checkpoint(file_system& files, data_folder& folder, std::uint32_t shard,
                          std::uint32_t kept) {
  const auto sequence = folder.next_sequence(shard_id{shard});
  auto writer = checkpoint_writer::create(files, folder.checkpoint_path(shard_id{shard}, sequence),
                                          test_header());
  if (!writer.ok()) return writer.status();
  (*writer)->add("k", "v", {});
  if (auto totals = (*writer)->finish(test_end()); !totals.ok()) return totals.status();
  return folder.publish(info_of(shard, sequence), kept);
}

std::vector<std::string> names_in(file_system& files, const std::string& folder) {
  auto names = files.list(folder);
  REQUIRE(names.ok());
  return *names;
}

} // namespace

TEST_CASE("an absent folder becomes a new universe", "[storage][data_folder]") {
  faulty_file_system files;
  universe_id universe;
  {
    auto folder = data_folder::open(files, "some/where/data", 0);
    REQUIRE(folder.ok());
    CHECK((*folder)->created());
    CHECK((*folder)->shard_count() == 64);
    CHECK((*folder)->generation() != 0);
    REQUIRE((*folder)->start().ok());
    CHECK((*folder)->start_number() == 1);
    universe = (*folder)->universe();
    CHECK(universe != universe_id{});
  }
  files.crash(crash_policy::drop_all);
  auto folder = data_folder::open(files, "some/where/data", 64);
  REQUIRE(folder.ok());
  CHECK(!(*folder)->created());
  CHECK((*folder)->universe() == universe);
  CHECK((*folder)->start_number() == 1);
  REQUIRE((*folder)->start().ok());
  CHECK((*folder)->start_number() == 2);
}

TEST_CASE(
    "a folder that a killed start has made is durable once the next start has a universe in it",
    "[storage][data_folder][crash]") {
  recording_file_system files;
  REQUIRE(data_folder::open(files, "some/where/data", 4).ok()); // and no further
  {
    auto folder = data_folder::open(files, "some/where/data", 4);
    REQUIRE(folder.ok());
    REQUIRE((*folder)->start().ok());
  }
  const auto trace = files.take_trace();
  crash_states crash{trace};
  while (crash.next_point()) {
  }
  std::mt19937_64 random{1};
  recording_file_system left{
      crash.disk(crash.choices(random).front())}; // nothing but what is synced
  auto folder = data_folder::open(left, "some/where/data", 4);
  REQUIRE(folder.ok());
  CHECK(!(*folder)->created());
}

TEST_CASE("an empty folder becomes a new universe, even on a disk of its own",
          "[storage][data_folder]") {
  faulty_file_system files;
  REQUIRE(files.create_folder("data/lost+found").ok());
  auto folder = open_folder(files, 8);
  CHECK(folder->created());
  CHECK(folder->shard_count() == 8);
  CHECK(folder->start().ok());
}

TEST_CASE("two universes have different ids", "[storage][data_folder]") {
  CHECK(make_universe_id() != make_universe_id());
  CHECK(make_generation() != make_generation());
  const auto id = make_universe_id();
  CHECK(parse_universe_id(to_string(id)) == id);
  CHECK(!parse_universe_id("0123"));
  CHECK(!parse_universe_id(std::string(32, 'G')));
}

TEST_CASE("somebody else's folder is refused and left as it was", "[storage][data_folder]") {
  faulty_file_system files;
  REQUIRE(files.create_folder("data").ok());
  files.memory().set_bytes("data/photo.jpg", "x");
  const auto changes = files.changes();
  auto folder = data_folder::open(files, "data", 0);
  REQUIRE(folder.code() == op_code::invalid_argument);
  CHECK(folder.status().message().find(
            "data is not a WarpEngine data folder: it holds 'photo.jpg'") == 0);
  CHECK(files.changes() == changes);
  CHECK(names_in(files, "data") == std::vector<std::string>{"photo.jpg"});
}

TEST_CASE("a missing manifest beside data stops the start", "[storage][data_folder][damage]") {
  faulty_file_system files;
  {
    auto folder = open_folder(files);
    REQUIRE(folder->start().ok());
    REQUIRE(save_checkpoint(files, *folder, 3, 3).ok());
  }
  REQUIRE(files.remove("data/MANIFEST").ok());
  SECTION("checkpoints") {}
  SECTION("log segments") {
    REQUIRE(files.remove("data/checkpoint/00003-0000000001").ok());
    files.memory().set_bytes("data/wal/0000000001-0001-000000000001.wal", "x");
  }
  SECTION("and something else") {
    files.memory().set_bytes("data/notes.txt", "x");
  }
  auto folder = data_folder::open(files, "data", 0);
  CHECK(folder.code() == op_code::corruption);
  CHECK(folder.status().message().find("MANIFEST is missing beside") != std::string::npos);
}

TEST_CASE("a missing log folder stops the start", "[storage][data_folder][damage]") {
  faulty_file_system files;
  REQUIRE(files.create_folder("data").ok());
  manifest m;
  m.checkpoints.resize(4);
  REQUIRE(save_manifest(files, "data", m).ok());
  CHECK(data_folder::open(files, "data", 0).code() == op_code::corruption);
}

TEST_CASE("the shard count of a universe is fixed", "[storage][data_folder]") {
  faulty_file_system files;
  REQUIRE(open_folder(files, 16)->start().ok());
  const auto folder = data_folder::open(files, "data", 32);
  CHECK(folder.code() == op_code::invalid_argument);
  CHECK(folder.status().message().find("has 16 shards, not 32") != std::string::npos);
  CHECK(open_folder(files, 16)->shard_count() == 16);
  CHECK(open_folder(files, 0)->shard_count() == 16);
  CHECK(data_folder::open(files, "data", 48).code() == op_code::invalid_argument);
}

TEST_CASE("a folder belongs to one process at a time", "[storage][data_folder]") {
  faulty_file_system files;
  auto folder = open_folder(files);
  CHECK(data_folder::open(files, "data", 0).code() == op_code::unavailable);
  folder.reset();
  CHECK(data_folder::open(files, "data", 0).ok());
}

TEST_CASE("checkpoint file names are parsed as they are written and no other way",
          "[storage][data_folder]") {
  CHECK(checkpoint_file_name({shard_id{12}, 7}) == "00012-0000000007");
  for (const auto shard : {0u, 12u, 16'383u})
    for (const std::uint64_t sequence :
         {std::uint64_t{1}, std::uint64_t{9'999'999'999}, ~std::uint64_t{0}}) {
      const checkpoint_name name{shard_id{shard}, sequence};
      CHECK(parse_checkpoint_file_name(checkpoint_file_name(name)) == name);
    }
  for (const auto* other :
       {"", "-", "00012-", "-0000000007", "12-7", "00012-0000000000", "16384-0000000001",
        "00012-0000000007.tmp", "00012_0000000007", "0001a-0000000007", "00012-+000000007"})
    CHECK(!parse_checkpoint_file_name(other));
}

TEST_CASE("publishing keeps the newest checkpoints and removes the others",
          "[storage][data_folder]") {
  faulty_file_system files;
  {
    auto folder = open_folder(files);
    REQUIRE(folder->start().ok());
    for (int i = 0; i < 5; ++i) REQUIRE(save_checkpoint(files, *folder, 3, 3).ok());
    REQUIRE(save_checkpoint(files, *folder, 4, 3).ok());
    CHECK(folder->publish(info_of(3, 5), 3) == op_code::invalid_argument); // twice
  }
  files.crash(crash_policy::drop_all);
  auto folder = open_folder(files);
  const auto checkpoints = folder->checkpoints(shard_id{3});
  REQUIRE(checkpoints.size() == 3);
  CHECK(checkpoints[0] == info_of(3, 5));
  CHECK(checkpoints[2] == info_of(3, 3));
  REQUIRE(folder->start().ok());
  CHECK(names_in(files, "data/checkpoint") ==
        std::vector<std::string>{"00003-0000000003", "00003-0000000004", "00003-0000000005",
                                 "00004-0000000001"});
  CHECK(folder->next_sequence(shard_id{3}) == 6);
  CHECK(folder->next_sequence(shard_id{3}) == 7);
}

TEST_CASE("a start removes what an interrupted one left", "[storage][data_folder]") {
  faulty_file_system files;
  {
    auto folder = open_folder(files);
    REQUIRE(folder->start().ok());
    REQUIRE(save_checkpoint(files, *folder, 0, 3).ok());
  }
  files.memory().set_bytes("data/MANIFEST.tmp", "x");
  files.memory().set_bytes("data/checkpoint/00001-0000000004.tmp", "x");
  files.memory().set_bytes("data/checkpoint/00001-0000000004.part", "x");
  files.memory().set_bytes("data/checkpoint/00000-0000000009", "never got into the manifest");
  files.memory().set_bytes("data/checkpoint/00000-0000000002.damaged", "kept for inspection");
  files.memory().set_bytes("data/checkpoint/notes", "not ours");
  auto folder = open_folder(files);
  CHECK(names_in(files, "data/checkpoint").size() == 6); // opening alone changes nothing
  REQUIRE(folder->start().ok());
  CHECK(names_in(files, "data/checkpoint") ==
        std::vector<std::string>{"00000-0000000001", "00000-0000000002.damaged", "notes"});
  CHECK(folder->next_sequence(shard_id{0}) == 10); // no name is used twice
}

TEST_CASE("a damaged checkpoint is put aside", "[storage][data_folder]") {
  faulty_file_system files;
  auto folder = open_folder(files);
  REQUIRE(folder->start().ok());
  for (int i = 0; i < 2; ++i) REQUIRE(save_checkpoint(files, *folder, 0, 3).ok());
  REQUIRE(folder->put_aside(shard_id{0}, 2).ok());
  CHECK(folder->checkpoints(shard_id{0}) == std::vector{info_of(0, 1)});
  CHECK(names_in(files, "data/checkpoint") ==
        std::vector<std::string>{"00000-0000000001", "00000-0000000002.damaged"});
  CHECK(folder->next_sequence(shard_id{0}) == 3);
}

TEST_CASE("a failed save leaves the checkpoints as they were", "[storage][data_folder]") {
  faulty_file_system files;
  auto folder = open_folder(files);
  REQUIRE(folder->start().ok());
  REQUIRE(save_checkpoint(files, *folder, 0, 1).ok());
  files.inject({.operation = file_operation::rename, .path_part = "MANIFEST"});
  CHECK(save_checkpoint(files, *folder, 0, 1) == op_code::io_error);
  CHECK(folder->checkpoints(shard_id{0}) == std::vector{info_of(0, 1)});
  CHECK(names_in(files, "data/checkpoint").size() == 2);
  files.clear_faults();
  REQUIRE(save_checkpoint(files, *folder, 0, 1).ok());
  CHECK(folder->checkpoints(shard_id{0}) == std::vector{info_of(0, 3)});
}

TEST_CASE("a crash at any step leaves a folder that opens with what was published",
          "[storage][data_folder][crash]") {
  // A new universe, two starts, three checkpoints of which one is kept: power goes at every step.
  for (std::uint64_t step = 0;; ++step) {
    bool done = false;
    for (const auto policy :
         {crash_policy::drop_all, crash_policy::keep_all, crash_policy::random}) {
      CAPTURE(step, static_cast<int>(policy));
      faulty_file_system machine;
      machine.power_off_after(step);
      std::uint64_t published = 0, starts = 0;
      const auto live = [&] {
        for (int process = 0; process < 2; ++process) {
          auto folder = data_folder::open(machine, "data", 2);
          if (!folder.ok() || !(*folder)->start().ok()) return false;
          ++starts;
          for (int i = 0; i < 2; ++i) {
            if (!save_checkpoint(machine, **folder, 1, 1).ok()) return false;
            ++published;
          }
        }
        return true;
      };
      done = live();
      machine.crash(policy, step);

      auto folder = open_folder(machine, 2);
      REQUIRE(folder->start().ok());
      REQUIRE(folder->start_number() > starts);
      const auto checkpoints = folder->checkpoints(shard_id{1});
      REQUIRE(checkpoints.size() <= 1);
      // What was published is there, or a later one.
      REQUIRE(checkpoints.size() >= (published ? 1 : 0));
      for (const auto& info : checkpoints) {
        REQUIRE(info.sequence >= published);
        REQUIRE(read_checkpoint(machine, folder->checkpoint_path(shard_id{1}, info.sequence)).ok());
      }
      REQUIRE(names_in(machine, "data/checkpoint").size() == checkpoints.size());
    }
    if (done) break;
  }
}

TEST_CASE("shards publish at the same time", "[storage][data_folder]") {
  faulty_file_system files;
  {
    auto folder = open_folder(files, 4);
    REQUIRE(folder->start().ok());
    std::atomic<int> failures = 0;
    std::vector<std::thread> threads;
    for (std::uint32_t shard = 0; shard < 4; ++shard)
      threads.emplace_back([&, shard] {
        for (int i = 0; i < 20; ++i) {
          if (!save_checkpoint(files, *folder, shard, 2).ok()) ++failures;
          static_cast<void>(folder->checkpoints(shard_id{(shard + 1) % 4}));
        }
      });
    for (auto& thread : threads) thread.join();
    CHECK(failures == 0);
  }
  auto folder = open_folder(files);
  for (std::uint32_t shard = 0; shard < 4; ++shard)
    CHECK(folder->checkpoints(shard_id{shard}) ==
          std::vector{info_of(shard, 20), info_of(shard, 19)});
}

TEST_CASE("a data folder lives on a real disk as well", "[storage][data_folder]") {
  warp::testing::temp_folder disk;
  const auto path = disk / "new/data";
  auto& files = posix_file_system();
  for (std::uint64_t start = 1; start <= 2; ++start) {
    auto folder = data_folder::open(files, path, 4);
    REQUIRE(folder.ok());
    CHECK((*folder)->created() == (start == 1));
    REQUIRE((*folder)->start().ok());
    CHECK((*folder)->start_number() == start);
    CHECK(data_folder::open(files, path, 4).code() == op_code::unavailable);
    for (int i = 0; i < 2; ++i) REQUIRE(save_checkpoint(files, **folder, 2, 1).ok());
    const auto newest = (*folder)->checkpoints(shard_id{2}).at(0).sequence;
    CHECK(newest == 2 * start);
    CHECK(read_checkpoint(files, (*folder)->checkpoint_path(shard_id{2}, newest)).ok());
    CHECK(names_in(files, path + "/checkpoint").size() == 1);
  }
}
