#include "storage/engine.hpp"

#include "tests/support/engine_fixture.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <map>
#include <random>
#include <thread>

using namespace warp;
using namespace warp::storage;
using warp::testing::crash_policy;
using warp::testing::faulty_file_system;
using warp::testing::running_engine;

namespace {

engine_options options_on(faulty_file_system& files, std::uint32_t shards = 4,
                          std::uint32_t streams = 1) {
  auto options = warp::testing::small_options("data");
  options.files = &files;
  options.shard_count = shards;
  options.wal_streams = streams;
  return options;
}

using contents = std::map<std::string, std::string>;

contents everything(running_engine& db) {
  const auto all = db.everything();
  return {all.begin(), all.end()};
}

} // namespace

TEST_CASE("after a clean stop everything is there again and versions go on",
          "[storage][recovery]") {
  faulty_file_system files;
  contents before;
  lsn_t version = 0;
  {
    running_engine db{options_on(files)};
    for (int i = 0; i < 1'000; ++i)
      db.put("key" + std::to_string(i % 400), std::to_string(i), durability::async);
    for (int i = 0; i < 100; ++i) db.erase("key" + std::to_string(i));
    version = db.put("last", "one").version;
    before = everything(db);
    REQUIRE(db.stop().ok());
  }
  running_engine db{options_on(files)};
  CHECK(db->recovery().clean);
  CHECK(everything(db) == before);
  CHECK(db.put("last", "two").version == version + 1);
}

TEST_CASE("after a crash every synced write is there and no version is used twice",
          "[storage][recovery][crash]") {
  const auto policy =
      GENERATE(crash_policy::drop_all, crash_policy::keep_all, crash_policy::random);
  const auto streams = GENERATE(1u, 4u);
  faulty_file_system files;
  contents model;
  lsn_t highest = 0;
  for (std::uint64_t round = 0; round < 5; ++round) {
    CAPTURE(round);
    {
      running_engine db{options_on(files, 4, streams)};
      CHECK(everything(db) == model);
      for (int i = 0; i < 50; ++i) {
        const auto key = "key" + std::to_string(i % 20);
        const auto value = std::to_string(round) + "/" + std::to_string(i);
        if (i % 7 == 3) {
          db.erase(key, durability::sync);
          model.erase(key);
        } else {
          const auto reply = db.put(key, value, durability::sync);
          REQUIRE(reply.code == op_code::ok);
          model[key] = value;
        }
      }
      if (round == 2)
        for (std::uint32_t s = 0; s < 4; ++s) CHECK(db->checkpoint(shard_id{s}).ok());
      const auto reply = db.put("version", "v", durability::sync);
      CHECK(reply.version > highest);
      highest = reply.version;
      model["version"] = "v";
      files.power_off_after(0);
    }
    files.crash(policy, round);
  }
}

TEST_CASE("of asynchronous writes a crash takes a suffix per shard and nothing that was announced "
          "as durable",
          "[storage][recovery][crash]") {
  const auto seed = GENERATE(range(0u, 12u));
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  faulty_file_system files;
  std::map<std::uint32_t, std::vector<std::pair<std::string, lsn_t>>>
      written; // per shard, in order
  std::vector<lsn_t> durable(4);
  {
    auto options = options_on(files, 4, 1 + seed % 2 * 3);
    options.flush_interval = std::chrono::milliseconds{1};
    running_engine db{options};
    files.power_off_after(5 + random() % 40);
    for (int i = 0; i < 3'000; ++i) {
      const auto key = "key" + std::to_string(i);
      const auto reply = db.put(key, "v", durability::async);
      if (reply.code != op_code::ok) continue;
      written[reply.shard.value].emplace_back(key, reply.version);
    }
    for (std::uint32_t s = 0; s < 4; ++s) durable[s] = db->stats(shard_id{s}).durable_lsn;
  }
  files.crash(crash_policy::random, seed);
  running_engine db{options_on(files)};
  for (const auto& [s, keys] : written) {
    bool lost = false;
    for (const auto& [key, version] : keys) {
      const bool there = db.get(key) == "v";
      CAPTURE(s, key, version, durable[s]);
      if (!there) {
        lost = true;
        CHECK(version > durable[s]);
      } else {
        CHECK_FALSE(lost);
      }
    }
  }
}

TEST_CASE(
    "a transaction over several shards, cut at every byte of its log, is there whole or not at all",
    "[storage][recovery][transaction]") {
  const auto streams = GENERATE(1u, 2u);
  faulty_file_system files;
  std::map<std::string, std::string> keys; // by shard: one key for each
  {
    auto options = options_on(files, 4, streams);
    options.segment_bytes = 64 * 1024;
    running_engine db{options};
    for (int i = 0; keys.size() < 4; ++i) {
      const auto key = "k" + std::to_string(i);
      keys.emplace(std::to_string(db->shard_of(key).value), key);
    }
    for (const auto& [shard, key] : keys) db.put(key, "before", durability::sync);
    std::vector<operation> ops;
    for (const auto& [shard, key] : keys)
      ops.push_back(
          {.kind = op_kind::put, .level = durability::sync, .key = key, .value = "after"});
    std::vector<op_reply> replies(ops.size());
    value_arena arena;
    REQUIRE(db->execute_atomic(ops, replies, arena) == op_code::ok);
    REQUIRE(db->wait_durable(replies, std::chrono::steady_clock::now() +
                                          std::chrono::seconds{30}) == op_code::ok);
  }
  const auto names = *files.memory().list("data/wal");
  std::size_t whole = 0, none = 0;
  for (const auto& name : names) {
    const auto path = "data/wal/" + name;
    const auto intact = files.memory().bytes(path);
    const auto end = intact.find_last_not_of('\0') + 1;
    const auto begin = std::max<std::size_t>(80, end > 2'000 ? end - 2'000 : 0);
    for (auto cut = begin; cut <= end; ++cut) {
      auto copy = files.memory().crashed_copy(crash_policy::keep_all);
      auto bytes = intact;
      std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(cut), bytes.end(), '\0');
      copy->set_bytes(path, bytes);
      auto options = options_on(files, 4, 1);
      options.segment_bytes = 64 * 1024;
      options.files = copy.get();
      options.recovery_threads = 1;
      auto opened = engine::open(options);
      CAPTURE(name, cut, opened.status().to_string());
      if (!opened.ok()) {
        // Damage below what a later frame says was synced is refused, not papered over.
        REQUIRE(opened.code() == op_code::corruption);
        continue;
      }
      std::size_t after = 0;
      for (const auto& [shard, key] : keys) {
        const operation get{.kind = op_kind::get, .key = key};
        op_reply reply;
        value_arena arena;
        (*opened)->execute({&get, 1}, {&reply, 1}, arena);
        after += reply.code == op_code::ok && reply.value == "after";
      }
      REQUIRE((after == 0 || after == keys.size()));
      ++(after == 0 ? none : whole);
    }
  }
  CHECK(whole > 0);
  CHECK(none > 0);
}

TEST_CASE("many threads write the same keys: what replay rebuilds is what was last read",
          "[storage][recovery][threads]") {
  faulty_file_system files;
  contents last;
  const auto streams = GENERATE(1u, 3u);
  {
    running_engine db{options_on(files, 8, streams)};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        std::mt19937_64 random{static_cast<std::uint64_t>(t)};
        value_arena arena;
        for (int i = 0; i < 300; ++i) {
          std::vector<std::string> keys, values;
          for (int n = 0; n < 8; ++n) {
            keys.push_back("key" + std::to_string(random() % 64));
            values.push_back(std::to_string(t) + ":" + std::to_string(i) + ":" + std::to_string(n));
          }
          std::vector<operation> ops;
          for (std::size_t n = 0; n < 8; ++n) {
            if (random() % 5 == 0)
              ops.push_back({.kind = op_kind::erase, .key = keys[n]});
            else
              ops.push_back({.kind = op_kind::put, .key = keys[n], .value = values[n]});
          }
          std::vector<op_reply> replies(ops.size());
          arena.clear();
          if (i % 3 == 0)
            db->execute_atomic(ops, replies, arena);
          else
            db->execute(ops, replies, arena);
        }
      });
    std::thread checkpoints([&] {
      for (int i = 0; i < 6; ++i)
        for (std::uint32_t s = 0; s < 8; ++s) static_cast<void>(db->checkpoint(shard_id{s}));
    });
    for (auto& t : threads) t.join();
    checkpoints.join();
    last = everything(db);
    for (std::uint32_t s = 0; s < 8; ++s) db->request_sync(shard_id{s});
    REQUIRE(db.stop().ok());
  }
  running_engine db{options_on(files, 8, 2)}; // the number of streams may change at any start
  CHECK(everything(db) == last);
}

TEST_CASE("a checkpoint taken during writes and the log above it make exactly what was there",
          "[storage][recovery][checkpoint]") {
  faulty_file_system files;
  contents model;
  {
    running_engine db{options_on(files)};
    std::atomic<bool> done{false};
    std::thread writer([&] {
      for (int i = 0; i < 6'000; ++i) {
        const auto key = "key" + std::to_string(i * 7919 % 1'000);
        if (i % 11 == 0) {
          db.erase(key);
          model.erase(key);
        } else {
          db.put(key, std::to_string(i));
          model[key] = std::to_string(i);
        }
      }
      done = true;
    });
    std::uint64_t rounds = 0;
    while (!done) {
      CHECK(db->checkpoint(shard_id{static_cast<std::uint32_t>(rounds % 4)}).ok());
      ++rounds;
    }
    writer.join();
    db.put("end", "synced", durability::sync);
    model["end"] = "synced";
    for (std::uint32_t s = 0; s < 4; ++s) CHECK(db->checkpoint(shard_id{s}).ok());
  }
  running_engine db{options_on(files)};
  CHECK(db->recovery().checkpoint_records > 0);
  CHECK(everything(db) == model);
}

TEST_CASE("unlogged writes during a checkpoint are no gap in the log",
          "[storage][recovery][checkpoint]") {
  faulty_file_system files;
  for (int life = 0; life < 3; ++life) {
    running_engine db{options_on(files, 1)};
    db.put("logged" + std::to_string(life), "1", durability::sync);
    if (life > 0) continue;
    bool once = false; // between the checkpoint's start LSN and its end LSN
    files.set_observer([&](testing::file_operation operation, const std::string& path) {
      if (operation != testing::file_operation::write || path.find("checkpoint") == path.npos ||
          std::exchange(once, true))
        return;
      for (int i = 0; i < 10; ++i) db.put("cached", "1", durability::memory);
    });
    CHECK(db->checkpoint(shard_id{0}).ok());
    CHECK(once);
    files.set_observer({});
  }
  running_engine db{options_on(files, 1)};
  for (int life = 0; life < 3; ++life) CHECK(db.get("logged" + std::to_string(life)) == "1");
}

TEST_CASE("a logged change of the expiry brings the value along that is in no log",
          "[storage][recovery]") {
  constexpr std::uint64_t later = 9'000'000'000'000;
  const bool in_transaction = GENERATE(false, true);
  const bool behind_checkpoint = GENERATE(false, true);
  CAPTURE(in_transaction, behind_checkpoint);
  faulty_file_system files;
  const std::string large(100'000, 'x');
  const auto expire = [&](running_engine& db, std::string_view key, std::uint64_t at,
                          durability level) {
    const operation op{.kind = op_kind::expire, .level = level, .key = key, .expires_at_ms = at};
    if (!in_transaction) {
      REQUIRE(db.run(op).code == op_code::ok);
      return;
    }
    op_reply reply;
    value_arena arena;
    REQUIRE(db->execute_atomic({&op, 1}, {&reply, 1}, arena) == op_code::ok);
    REQUIRE(reply.code == op_code::ok);
    REQUIRE(db->wait_durable({&reply, 1}, std::chrono::steady_clock::now() +
                                              std::chrono::seconds{30}) == op_code::ok);
  };
  {
    running_engine db{options_on(files)};
    for (const auto* key : {"small", "large", "kept", "twice"})
      db.put(key, "old", durability::sync);
    db.put("small", "new", durability::memory);
    db.put("large", large, durability::memory);
    db.put("fresh", "new", durability::memory);
    db.hash_set("hash", {{"a", "1"}}, durability::memory);
    if (behind_checkpoint)
      for (std::uint32_t s = 0; s < 2; ++s) REQUIRE(db->checkpoint(shard_id{s}).ok());
    for (const auto* key : {"small", "large", "fresh", "hash", "kept"})
      expire(db, key, later, durability::sync);
    expire(db, "kept", 0, durability::memory); // at level memory it is not promised
    expire(db, "twice", later, durability::memory);
    expire(db, "twice", later + 1, durability::sync);
    files.power_off_after(0);
  }
  files.crash(crash_policy::drop_all);
  running_engine db{options_on(files)};
  CHECK(db.get("small") == "new");
  CHECK(db.get("large") == large);
  CHECK(db.get("fresh") == "new");
  CHECK(db.get("kept") == "old");
  CHECK(db.get("twice") == "old");
  CHECK(db.hash_all("hash") == "{a=1}");
  for (const auto* key : {"small", "large", "fresh", "hash", "kept"})
    CHECK(db.run({.kind = op_kind::exists, .key = key}).expires_at_ms == later);
  CHECK(db.run({.kind = op_kind::exists, .key = "twice"}).expires_at_ms == later + 1);
}

TEST_CASE("a damaged checkpoint falls back to the one before it and a longer log",
          "[storage][recovery][damage]") {
  faulty_file_system files;
  contents model;
  {
    running_engine db{options_on(files, 1)};
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 200; ++i) {
        const auto key = "key" + std::to_string(i + round * 100);
        db.put(key, std::to_string(round), durability::sync);
        model[key] = std::to_string(round);
      }
      REQUIRE(db->checkpoint(shard_id{0}).ok());
    }
    REQUIRE(db.stop().ok());
  }
  const auto newest = files.memory().list("data/checkpoint")->back();
  auto bytes = files.memory().bytes("data/checkpoint/" + newest);
  bytes[bytes.size() / 2] ^= 1;
  files.memory().set_bytes("data/checkpoint/" + newest, bytes);
  running_engine db{options_on(files, 1)};
  CHECK(db->recovery().warnings.size() == 1);
  CHECK(everything(db) == model);
}

TEST_CASE("a missing manifest beside log files stops the start", "[storage][recovery][damage]") {
  faulty_file_system files;
  {
    running_engine db{options_on(files)};
    db.put("k", "v", durability::sync);
    REQUIRE(db.stop().ok());
  }
  REQUIRE(files.memory().remove("data/MANIFEST").ok());
  const auto opened = engine::open(options_on(files));
  CHECK(opened.code() == op_code::corruption);
  CHECK(opened.status().message().find("anifest") != std::string::npos);
}

TEST_CASE("a failed sync is final for writes, reads go on, and a restart brings back what was "
          "acknowledged",
          "[storage][recovery][fault]") {
  faulty_file_system files;
  {
    running_engine db{options_on(files)};
    REQUIRE(db.put("before", "v", durability::sync).code == op_code::ok);
    files.inject({.operation = warp::testing::file_operation::sync, .path_part = "wal"});
    CHECK(db.put("during", "v", durability::sync).code == op_code::outcome_unknown);
    CHECK(db.put("after", "v", durability::sync).code == op_code::io_error);
    CHECK(db.get("before") == "v");
    CHECK_FALSE(db.stop().ok());
    files.clear_faults();
  }
  running_engine db{options_on(files)};
  CHECK(db.get("before") == "v");
  CHECK(db.get("after") == "(not_found)");
  CHECK(db.put("after", "v", durability::sync).code == op_code::ok);
}

TEST_CASE("log segments that checkpoints have made superfluous are recycled",
          "[storage][recovery][checkpoint]") {
  faulty_file_system files;
  auto options = options_on(files);
  options.segment_bytes = 64 * 1024;
  options.wal_max_bytes = 512 * 1024;
  running_engine db{options};
  const std::string value(1'000, 'x');
  for (int i = 0; i < 3'000; ++i) {
    const auto level =
        i % 20 == 19 ? durability::sync : durability::async; // a round for every 20 KB
    REQUIRE(db.put("key" + std::to_string(i % 100), value, level).code == op_code::ok);
    if (i % 100 == 0)
      for (const auto s : db->due_checkpoints()) REQUIRE(db->checkpoint(s).ok());
  }
  // 3 MB went through a log that may keep 512 KiB, plus what one turn of the loop writes and a few
  // spares.
  CHECK(db->stats_of_stream(0).segment_bytes < 1024 * 1024);
  CHECK(db->stats_of_stream(0).segments_recycled > 0);
}
