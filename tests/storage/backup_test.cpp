#include "tests/storage/backup_fixture.hpp"

#include "storage/data_folder.hpp"

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <algorithm>
#include <ranges>
#include <set>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

/// A moment of the source, and what it held.
struct moment {
  std::uint64_t us = 0;
  plain_contents contents;
};

std::vector<std::string> problems(backup_store& store) {
  auto verified = verify_backups(store, "");
  if (!verified.ok()) return {verified.status().to_string()};
  return verified->problems;
}

std::uint64_t seed_of(std::uint64_t i) {
  return Catch::getSeed() * 1'000 + i;
}

} // namespace

TEST_CASE("every recorded moment is restored key by key, from a chain of backups",
          "[storage][backup]") {
  const auto seed = seed_of(GENERATE(range(0u, 4u)));
  const auto streams = GENERATE(1u, 3u);
  CAPTURE(seed, streams);
  faulty_file_system files, archive;
  const auto store = open_backup_folder(archive, "backups");
  backup_source source{files, seed, streams};
  std::mt19937_64 random{seed};
  std::vector<moment> moments;
  std::map<std::string, moment> taken;
  const auto record = [&] { moments.push_back({source.time->now_us(), source.contents()}); };

  for (int step = 0; step < 60; ++step) {
    source.write(8);
    record();
    source.time->advance(1'000'000);
    const auto dice = random() % 12;
    if (dice < 3) {
      REQUIRE((*source.db)->checkpoint(shard_id{static_cast<std::uint32_t>(random() % 4)}).ok());
    } else if (dice < 5) {
      auto contents = source.contents();
      const auto us = source.time->now_us();
      const auto made = source.back_up(*store);
      taken[made.name] = {us, std::move(contents)};
    } else if (dice == 5) {
      source.stop();
      source.start();
    } else if (dice == 6) {
      source.crash();
      source.start();
    }
  }
  const auto last = source.back_up(*store).name;
  taken[last] = {source.time->now_us(), source.contents()};
  CHECK(contents_of(**source.db) == source.contents());

  const auto all = list_backups(*store);
  REQUIRE(all.ok());
  int number = 0;
  for (const auto& backup : *all) {
    CAPTURE(backup.name);
    REQUIRE(backup.status.ok());
    // Nothing was let go before it was copied, so the chain has no gap.
    CHECK(backup.manifest.follows == (&backup == all->data() ? "" : (&backup - 1)->name));
    const auto& expected = taken.at(backup.name);
    const auto got = restored(*store, files, "by-name" + std::to_string(number++),
                              {.name = backup.name}, expected.us);
    INFO(got.status().to_string());
    REQUIRE(got.ok());
    CHECK(*got == expected.contents);
  }
  int within = 0;
  for (const auto& m : moments) {
    CAPTURE(m.us);
    const bool covered = std::ranges::any_of(*all, [&](const listed_backup& b) {
      return b.from_us <= m.us && m.us <= b.manifest.taken_us;
    });
    const auto got =
        restored(*store, files, "by-time" + std::to_string(number++), {.to_us = m.us}, m.us);
    if (!covered) {
      CHECK(got.code() == op_code::invalid_argument);
      continue;
    }
    ++within;
    INFO(got.status().to_string());
    REQUIRE(got.ok());
    CHECK(*got == m.contents);
  }
  CHECK(within > 0);
  const auto verified = verify_backups(*store, "");
  REQUIRE(verified.ok());
  CHECK(verified->problems.empty());
  CHECK(verified->backups == all->size());
}

TEST_CASE("a restored universe goes on, under versions that nobody has seen", "[storage][backup]") {
  faulty_file_system files;
  const auto store = open_backup_folder(files, "backups");
  backup_source source{files, seed_of(0)};
  source.write(50);
  source.back_up(*store);
  // Whatever the source hands out after the backup ...
  std::map<std::uint32_t, lsn_t> highest;
  for (int i = 0; i < 200; ++i) {
    const auto key = "key" + std::to_string(i);
    auto& last = highest[(*source.db)->shard_of(key).value];
    last = std::max(last, source.db->put(key, "later", durability::sync).version);
  }
  REQUIRE(restore_backup(*store, files, "restored").ok());
  auto options = small_options("restored");
  options.files = &files;
  plain_contents before;
  {
    running_engine db{options};
    for (int i = 0; i < 200; ++i) {
      const auto key = "key" + std::to_string(i);
      CHECK(db.put(key, "other", durability::sync).version > highest[db->shard_of(key).value]);
    }
    before = contents_of(*db);
  }
  files.crash(crash_policy::drop_all);
  running_engine db{options};
  CHECK(contents_of(*db) == before);
  // ... and it can be backed up beside the universe that it came from.
  const auto again = db->back_up(*store);
  INFO(again.status().to_string());
  REQUIRE(again.ok());
  CHECK(again->follows.empty());
  CHECK(again->anew.find("another generation") != std::string::npos);
  CHECK(problems(*store) == std::vector<std::string>{});
  REQUIRE(restore_backup(*store, files, "restored-again").ok());
  options.folder = "restored-again";
  running_engine once_more{options};
  CHECK(contents_of(*once_more) == before);
}

TEST_CASE("a shard alone is restored to an LSN", "[storage][backup]") {
  faulty_file_system files;
  const auto store = open_backup_folder(files, "backups");
  backup_source source{files, seed_of(1)};
  const shard_id shard = (*source.db)->shard_of("counter");
  source.write(20);
  std::vector<std::pair<lsn_t, std::string>> versions;
  for (int i = 0; i < 30; ++i) {
    const auto value = std::to_string(i);
    versions.emplace_back(source.db->put("counter", value, durability::sync).version, value);
    source.write(2);
    if (i == 10) {
      source.back_up(*store);
      REQUIRE((*source.db)->checkpoint(shard).ok());
    }
    if (i == 20) source.back_up(*store);
  }
  source.back_up(*store);
  int restored_ones = 0;
  for (const auto& [lsn, value] : versions) {
    const auto folder = "at" + std::to_string(lsn);
    REQUIRE(restore_backup(*store, files, folder, {.shard = shard, .to_lsn = lsn}).ok());
    auto options = small_options(folder);
    options.files = &files;
    running_engine db{options};
    CHECK(db.get("counter") == value);
    CHECK(db.read("counter").version == lsn);
    for (const auto& [key, r] : contents_of(*db)) CHECK(db->shard_of(key) == shard);
    ++restored_ones;
  }
  CHECK(restored_ones == 30);
  const auto beyond = restore_backup(*store, files, "beyond",
                                     {.shard = shard, .to_lsn = versions.back().first + 1'000});
  CHECK(beyond.code() == op_code::invalid_argument);
}

TEST_CASE("a backup of what has not changed stores next to nothing", "[storage][backup]") {
  faulty_file_system files;
  const auto store = open_backup_folder(files, "backups");
  backup_source source{files, seed_of(2)};
  source.write(300);
  for (std::uint32_t i = 0; i < 4; ++i) REQUIRE((*source.db)->checkpoint(shard_id{i}).ok());
  const auto first = source.back_up(*store);
  const auto second = source.back_up(*store);
  CHECK(second.new_bytes < 2'000);
  CHECK(first.new_bytes > 5 * second.new_bytes);
  CHECK(second.follows == first.name);
  REQUIRE(source.db->put("small", "change", durability::sync).code == op_code::ok);
  const auto third = source.back_up(*store);
  CHECK(third.new_bytes < first.new_bytes / 2);
  CHECK(std::ranges::equal(third.shards, first.shards, {}, &backup_shard::checkpoint,
                           &backup_shard::checkpoint));
}

TEST_CASE("log that was let go before it was copied is a gap in time, not in the backup",
          "[storage][backup]") {
  faulty_file_system files;
  const auto store = open_backup_folder(files, "backups");
  backup_source source{files, seed_of(3)};
  source.write(50);
  const auto first = source.back_up(*store);
  source.stop(); // a start that knows of no backups lets old log go
  source.hold_log = false;
  source.start();
  for (int round = 0; round < 6; ++round) {
    source.write(60);
    for (std::uint32_t i = 0; i < 4; ++i) REQUIRE((*source.db)->checkpoint(shard_id{i}).ok());
  }
  const auto between = source.time->now_us() - 3'000'000;
  const auto second = source.back_up(*store);
  CHECK(second.follows.empty());
  CHECK(second.anew.find("had been let go by the log before a backup had") != std::string::npos);
  const auto all = list_backups(*store);
  REQUIRE(all.ok());
  REQUIRE(all->size() == 2);
  CHECK(all->back().from_us > between);
  CHECK(restore_backup(*store, files, "between", {.to_us = between}).code() ==
        op_code::invalid_argument);
  CHECK(problems(*store) == std::vector<std::string>{});
  const auto got = restored(*store, files, "second", {}, source.time->now_us());
  REQUIRE(got.ok());
  CHECK(*got == source.contents());
}

TEST_CASE("log stays until a backup has it, while there is room", "[storage][backup]") {
  faulty_file_system files;
  const auto store = open_backup_folder(files, "backups");
  backup_source source{files, seed_of(4)};
  source.write(50);
  source.back_up(*store);
  for (int round = 0; round < 6; ++round) {
    source.write(60);
    for (std::uint32_t i = 0; i < 4; ++i) REQUIRE((*source.db)->checkpoint(shard_id{i}).ok());
  }
  CHECK(!source.back_up(*store).follows.empty());
  // What is copied is let go again.
  const auto held = (*source.db)->stats_of_log().closed_bytes;
  source.write(10);
  for (std::uint32_t i = 0; i < 4; ++i) REQUIRE((*source.db)->checkpoint(shard_id{i}).ok());
  CHECK((*source.db)->stats_of_log().closed_bytes < held);
}

TEST_CASE("a chain of backups goes on after a restart as long as no log was let go",
          "[storage][backup]") {
  const bool crash = GENERATE(false, true);
  const bool holds = GENERATE(false, true);
  CAPTURE(crash, holds);
  faulty_file_system files;
  const auto store = open_backup_folder(files, "backups");
  backup_source source{files, seed_of(11)};
  source.hold_log = holds;
  source.write(80);
  auto last = source.back_up(*store).name;
  const auto restart = [&] {
    crash ? source.crash() : source.stop();
    source.start();
  };
  const auto checkpoint_all = [&] {
    for (std::uint32_t i = 0; i < 4; ++i) REQUIRE((*source.db)->checkpoint(shard_id{i}).ok());
  };
  // Nothing to be copied of the segments that were let go: of one that a crash ended not even an
  // end mark.
  restart();
  checkpoint_all();
  source.write(5);
  auto made = source.back_up(*store);
  INFO(made.anew);
  CHECK(made.follows == last);
  CHECK(made.anew.empty());
  last = made.name;
  // Writes that nobody copied before their checkpoint was there.
  source.write(20);
  restart();
  checkpoint_all();
  made = source.back_up(*store);
  CHECK(made.follows == (holds ? last : ""));
  CHECK((made.anew.find("before a backup had") == std::string::npos) == holds);
  CHECK(problems(*store) == std::vector<std::string>{});
}

TEST_CASE("a backup behind a log that had failed begins a chain anew and says so",
          "[storage][backup][fault]") {
  faulty_file_system files, archive;
  const auto store = open_backup_folder(archive, "backups");
  backup_source source{files, seed_of(12)};
  source.write(50);
  source.back_up(*store);
  // Until the stream of "k" meets it: one alone may be another stream's, or the segment maker's.
  files.inject({.operation = file_operation::sync, .path_part = ".wal", .times = 1'000});
  auto& db = *source.db;
  while (db.put("k", "not on disk", durability::sync).code == op_code::ok) {
  }
  files.clear_faults();
  while (db.put("k", "again", durability::sync).code != op_code::ok) {
  }
  const auto made = source.back_up(*store);
  CHECK(made.follows.empty());
  CHECK(made.anew.find("never got to the log, which had failed") != std::string::npos);
  CHECK(problems(*store) == std::vector<std::string>{});
  const auto got = restored(*store, files, "restored", {}, source.time->now_us());
  REQUIRE(got.ok());
  CHECK(got->at("k").value == "again");
  CHECK(source.back_up(*store).follows == made.name);
}

TEST_CASE("a backup that is cut short leaves those before it, and the next one goes on",
          "[storage][backup][crash]") {
  const auto policy =
      GENERATE(crash_policy::drop_all, crash_policy::keep_all, crash_policy::random);
  const auto seed = seed_of(5);
  CAPTURE(seed);
  faulty_file_system files, archive;
  const auto store = open_backup_folder(archive, "backups");
  backup_source source{files, seed};
  source.write(40);
  for (std::uint64_t changes = 0;; changes += 3) {
    CAPTURE(changes);
    archive.power_off_after(changes);
    const auto made = (*source.db)->back_up(*store);
    archive.crash(policy, seed + changes);
    if (made.ok()) break;
    const auto all = list_backups(*store);
    if (changes != 0 && all.ok())
      for (const auto& backup : *all) CHECK(backup.status.ok());
    source.write(1);
  }
  // Again, over a repository with a backup, whose contents must stay.
  const auto first = load_backup(*store, "");
  REQUIRE(first.ok());
  const moment then{source.time->now_us(), source.contents()};
  int number = 0;
  for (std::uint64_t changes = 0;; changes += 2) {
    CAPTURE(changes);
    source.write(2);
    if (changes % 6 == 0) REQUIRE((*source.db)->checkpoint(shard_id{number % 4u}).ok());
    // One that was cut short when all of it was there may have stayed.
    const auto newest = load_backup(*store, "")->name;
    archive.power_off_after(changes);
    const auto made = (*source.db)->back_up(*store);
    archive.crash(policy, seed + changes);
    REQUIRE(verify_backups(*store, "").ok());
    CHECK(problems(*store) == std::vector<std::string>{});
    const auto old =
        restored(*store, files, "old" + std::to_string(number++), {.name = first->name}, then.us);
    REQUIRE(old.ok());
    CHECK(*old == then.contents);
    if (!made.ok()) continue;
    INFO(made->anew);
    CHECK(made->follows == newest);
    const auto got = restored(*store, files, "new", {}, source.time->now_us());
    REQUIRE(got.ok());
    CHECK(*got == source.contents());
    break;
  }
}

TEST_CASE("removing backups keeps what the others need, wherever it is cut short",
          "[storage][backup][crash]") {
  faulty_file_system files, archive;
  const auto store = open_backup_folder(archive, "backups");
  backup_source source{files, seed_of(6)};
  std::map<std::string, moment> taken;
  for (int i = 0; i < 5; ++i) {
    source.write(30);
    REQUIRE((*source.db)->checkpoint(shard_id{static_cast<std::uint32_t>(i) % 4}).ok());
    const auto us = source.time->now_us();
    auto contents = source.contents();
    taken[source.back_up(*store).name] = {us, std::move(contents)};
  }
  std::uint64_t all_bytes = archive.memory().used_bytes();
  int number = 0;
  for (std::uint64_t changes = 0;; ++changes) {
    archive.power_off_after(changes);
    const auto pruned = prune_backups(*store, 2);
    archive.crash(crash_policy::random, seed_of(changes));
    const auto verified = verify_backups(*store, "");
    REQUIRE(verified.ok());
    CHECK(verified->problems.empty());
    CHECK(verified->backups >= 2);
    if (!pruned.ok()) continue;
    break;
  }
  const auto left = list_backups(*store);
  REQUIRE(left->size() == 2);
  CHECK(archive.memory().used_bytes() < all_bytes);
  for (const auto& backup : *left) {
    const auto& expected = taken.at(backup.name);
    const auto got = restored(*store, files, "left" + std::to_string(number++),
                              {.name = backup.name}, expected.us);
    REQUIRE(got.ok());
    CHECK(*got == expected.contents);
  }
  CHECK(remove_backups(*store, {"nobody"}).code() == op_code::not_found);
  REQUIRE(remove_backups(*store, {left->front().name, left->back().name}).ok());
  const auto objects = store->list("objects");
  REQUIRE(objects.ok());
  CHECK(objects->empty());
}

TEST_CASE("a restore that is cut short leaves a folder that is refused, with the reason",
          "[storage][backup][crash]") {
  const auto policy =
      GENERATE(crash_policy::drop_all, crash_policy::keep_all, crash_policy::random);
  faulty_file_system files;
  const auto store = open_backup_folder(files, "backups");
  backup_source source{files, seed_of(7)};
  source.write(40);
  source.back_up(*store);
  for (std::uint64_t changes = 0;; ++changes) {
    CAPTURE(changes);
    faulty_file_system target;
    const std::string folder = "restored";
    target.power_off_after(changes);
    const auto done = restore_backup(*store, target, folder, {.threads = 1});
    target.crash(policy, seed_of(changes));
    auto opened = data_folder::open(target, folder, 0);
    if (done.ok()) {
      REQUIRE(opened.ok());
      CHECK_FALSE((*opened)->created());
      break;
    }
    // Nothing that looks like a universe of ours, empty or not, unless all of it is there.
    if (opened.ok() && !(*opened)->created()) {
      opened = op_code::unavailable;
      auto options = small_options(folder);
      options.files = &target;
      options.time = source.time;
      running_engine db{options};
      CHECK(contents_of(*db) == source.contents());
    } else if (!opened.ok()) {
      CHECK(opened.code() == op_code::corruption);
      CHECK(opened.status().message().find("restore") != std::string::npos);
      CHECK_FALSE(restore_backup(*store, target, folder).ok());
    } else {
      CHECK(target.memory().used_bytes() == 0);
    }
  }
}

TEST_CASE("a restore takes only a new or an empty folder", "[storage][backup]") {
  faulty_file_system files;
  const auto store = open_backup_folder(files, "backups");
  backup_source source{files, seed_of(8)};
  source.write(5);
  source.back_up(*store);
  CHECK(restore_backup(*store, files, "data").code() == op_code::invalid_argument);
  CHECK(restore_backup(*store, files, "backups").code() == op_code::invalid_argument);
  REQUIRE(restore_backup(*store, files, "deep/in/folders").ok());
  CHECK(restore_backup(*store, files, "deep/in/folders").code() == op_code::invalid_argument);
  CHECK(restore_backup(*store, files, "x", {.name = "nobody"}).code() == op_code::not_found);
  const auto nothing = open_backup_folder(files, "nothing");
  CHECK(restore_backup(*nothing, files, "x").code() == op_code::not_found);
  CHECK_FALSE(*files.exists("x"));
}

TEST_CASE("a repository belongs to one universe, and to no other files", "[storage][backup]") {
  faulty_file_system files, others;
  const auto store = open_backup_folder(files, "backups");
  backup_source source{files, seed_of(9)};
  source.write(5);
  source.back_up(*store);
  backup_source other{others, seed_of(10)};
  CHECK((*other.db)->back_up(*store).code() == op_code::invalid_argument);
  const auto home = open_backup_folder(files, "data");
  CHECK((*source.db)->back_up(*home).code() == op_code::invalid_argument);
  {
    const auto lock = store->lock();
    REQUIRE(lock.ok());
    CHECK((*source.db)->back_up(*store).code() == op_code::unavailable);
  }
  auto options = small_options("");
  running_engine in_memory{options};
  CHECK(in_memory->back_up(*store).code() == op_code::not_supported);
}

TEST_CASE("a backup under load holds what was acknowledged before it, and whole transactions",
          "[storage][backup]") {
  faulty_file_system files;
  const auto store = open_backup_folder(files, "backups");
  auto options = small_options("data");
  options.files = &files;
  options.wal_streams = 3;
  options.segment_bytes = 64 * 1024;
  running_engine db{options};
  // Each transaction writes its number to keys in several shards; each thread its count to a key.
  const std::vector<std::string> keys{"a", "b", "c", "d", "e", "f"};
  std::atomic<bool> enough{false};
  std::atomic<std::uint64_t> acknowledged{0}, counted{0};
  for (const auto& key : keys) db.put(key, "0");
  db.put("counter", "0");
  std::jthread transactions{[&] {
    value_arena arena;
    for (std::uint64_t n = 1; !enough && n < 5'000; ++n) {
      const auto value = std::to_string(n) + std::string(200, 'x');
      std::vector<operation> operations;
      for (const auto& key : keys)
        operations.push_back({.kind = op_kind::put, .key = key, .value = value});
      std::vector<op_reply> replies(keys.size());
      arena.clear();
      if (db->execute_atomic(operations, replies, arena) == op_code::ok) acknowledged = n;
    }
  }};
  std::jthread counter{[&] {
    value_arena arena;
    const operation op{.kind = op_kind::increment, .key = "counter"};
    for (int n = 0; !enough && n < 50'000; ++n) {
      op_reply reply;
      arena.clear();
      db->execute({&op, 1}, {&reply, 1}, arena);
      if (reply.code == op_code::ok) counted = static_cast<std::uint64_t>(reply.number);
    }
  }};
  struct floor {
    std::uint64_t transaction, count;
  };
  std::vector<std::pair<std::string, floor>> taken;
  for (int i = 0; i < 5; ++i) {
    for (std::uint32_t s = 0; s < 4; ++s) REQUIRE(db->checkpoint(shard_id{s}).ok());
    const floor at{acknowledged, counted};
    const auto made = db->back_up(*store, {.log_every_bytes = 1});
    if (!made.ok()) enough = true;
    INFO(made.status().to_string());
    REQUIRE(made.ok());
    taken.emplace_back(made->name, at);
  }
  enough = true;
  transactions.join();
  counter.join();
  CHECK(problems(*store) == std::vector<std::string>{});
  const auto whole = [&](running_engine& restored) {
    const auto first = restored.get(keys[0]);
    for (const auto& key : keys) CHECK(restored.get(key) == first);
    return first;
  };
  std::uint64_t first_us = ~std::uint64_t{0}, last_us = 0;
  for (const auto& [name, at] : taken) {
    REQUIRE(restore_backup(*store, files, name, {.name = name}).ok());
    auto opened = small_options(name);
    opened.files = &files;
    running_engine restored{opened};
    CHECK(std::stoull(whole(restored)) >= at.transaction);
    CHECK(std::stoull(restored.get("counter")) >= at.count);
    const auto m = load_backup(*store, name);
    first_us = std::min(first_us, m->taken_us);
    last_us = std::max(last_us, m->taken_us);
  }
  std::uint64_t before = 0;
  for (int i = 0; i <= 8; ++i) {
    const auto us = first_us + (last_us - first_us) * static_cast<std::uint64_t>(i) / 8;
    const auto folder = "at" + std::to_string(i);
    CAPTURE(us);
    const auto done = restore_backup(*store, files, folder, {.to_us = us});
    INFO(done.status().to_string());
    REQUIRE(done.ok());
    CHECK(done->newest_us <= us);
    auto opened = small_options(folder);
    opened.files = &files;
    running_engine restored{opened};
    const auto n = std::stoull(whole(restored));
    CHECK(n >= before);
    before = n;
  }
}
