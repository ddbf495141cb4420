#include "storage/engine.hpp"

#include "tests/support/engine_fixture.hpp"
#include "tests/support/temp_folder.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <map>
#include <random>
#include <set>
#include <thread>

using namespace warp;
using namespace warp::storage;
using warp::testing::running_engine;
using warp::testing::small_options;
using warp::testing::temp_folder;

namespace {

class manual_clock final : public clock {
public:
  [[nodiscard]] std::uint64_t now_us() const noexcept override { return now.load(); }
  std::atomic<std::uint64_t> now{1'700'000'000'000'000};
};

} // namespace

TEST_CASE("what was put is got, at every durability level a single node gives",
          "[storage][engine]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  const auto level =
      GENERATE(durability::unspecified, durability::memory, durability::async, durability::sync);
  const auto put = db.put("key", "value", level);
  CHECK(put.code == op_code::ok);
  CHECK(put.version > 0);
  const auto got = db.read("key");
  CHECK(got.code == op_code::ok);
  CHECK(got.value == "value");
  CHECK(got.version == put.version);
}

TEST_CASE("a durability level that one node cannot give is refused", "[storage][engine]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  CHECK(db.put("k", "v", durability::replicated).code == op_code::no_replicas);
  CHECK(db.put("k", "v", durability::durable).code == op_code::no_replicas);
  CHECK(db.get("k") == "(not_found)");
}

TEST_CASE("keys and values hold any bytes, from the shortest to the longest", "[storage][engine]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  std::string key(key_size_max, '\0');
  key[7] = '\xff';
  std::string value(1 << 20, '\0');
  std::mt19937_64 random{42};
  for (auto& c : value) c = static_cast<char>(random());
  {
    running_engine db{options};
    CHECK(db.put(key, "", durability::sync).code == op_code::ok);
    CHECK(db.put(std::string(1, '\0'), value, durability::sync).code == op_code::ok);
    CHECK(db.get(key).empty());
    CHECK(db.get(std::string(1, '\0')) == value);
    CHECK(db.put("", "x").code == op_code::invalid_argument);
    CHECK(db.put(key + "x", "x").code == op_code::invalid_argument);
    CHECK(db.put("big", std::string(options.value_bytes_max + 1, 'x')).code ==
          op_code::invalid_argument);
  }
  running_engine again{options};
  CHECK(again.get(key).empty());
  CHECK(again.get(std::string(1, '\0')) == value);
}

TEST_CASE("conditions of a put decide whether it is done", "[storage][engine]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  const auto put_if = [&](write_condition condition, lsn_t version = 0) {
    return db.run({.kind = op_kind::put,
                   .condition = condition,
                   .key = "k",
                   .value = "v",
                   .expected_version = version});
  };
  CHECK(put_if(write_condition::if_present).code == op_code::not_found);
  CHECK(put_if(write_condition::if_version, 99).code == op_code::version_mismatch);
  const auto first = put_if(write_condition::if_version, 0);
  CHECK(first.code == op_code::ok);
  CHECK(put_if(write_condition::if_absent).code == op_code::already_exists);
  const auto second = put_if(write_condition::if_version, first.version);
  CHECK(second.code == op_code::ok);
  CHECK(second.version > first.version);
  const auto stale = put_if(write_condition::if_version, first.version);
  CHECK(stale.code == op_code::version_mismatch);
  CHECK(stale.version == second.version);
}

TEST_CASE("increments count from zero and refuse what is no number", "[storage][engine]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  CHECK(db.increment("n", 5).number == 5);
  CHECK(db.increment("n", -7).number == -2);
  CHECK(db.get("n") == "-2");
  db.put("text", "seven");
  CHECK(db.increment("text", 1).code == op_code::wrong_type);
  db.put("max", "9223372036854775807");
  CHECK(db.increment("max", 1).code == op_code::wrong_type);
  CHECK(db.get("max") == "9223372036854775807");
}

TEST_CASE("an expired key is gone for readers at once and for good after a sweep",
          "[storage][engine][expiry]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  auto time = std::make_shared<manual_clock>();
  options.time = time;
  {
    running_engine db{options};
    const auto now = time->now_ms();
    db.run({.kind = op_kind::put, .key = "short", .value = "v", .expires_at_ms = now + 1'000});
    db.run({.kind = op_kind::put, .key = "long", .value = "v", .expires_at_ms = now + 100'000});
    db.put("for ever", "v");
    CHECK(db.read("short").expires_at_ms == now + 1'000);
    time->now += 1'000'000;
    CHECK(db.get("short") == "(not_found)");
    CHECK(db.get("long") == "v");
    CHECK(db->stats(db->shard_of("short")).table.keys > 0);
    std::size_t swept = 0;
    for (std::uint32_t s = 0; s < db->shard_count(); ++s)
      swept += db->sweep_expired(shard_id{s}, 1'000);
    CHECK(swept == 1);
    CHECK(db.everything().size() == 2);
    // Taking the expiry away keeps a key for ever.
    CHECK(db.run({.kind = op_kind::expire, .key = "long", .expires_at_ms = 0}).code == op_code::ok);
    CHECK(db.stop().ok());
  }
  time->now += 1'000'000'000;
  running_engine again{options};
  CHECK(again.get("short") == "(not_found)");
  CHECK(again.get("long") == "v");
}

TEST_CASE("a batch executes each operation and keeps the order on a key", "[storage][engine]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  std::vector<std::string> keys;
  for (int i = 0; i < 1'000; ++i) keys.push_back("key" + std::to_string(i % 300));
  std::vector<operation> ops;
  std::vector<std::string> values;
  for (int i = 0; i < 1'000; ++i) values.push_back(std::to_string(i));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ops.push_back({.kind = op_kind::put, .key = keys[i], .value = values[i]});
    ops.push_back({.kind = op_kind::get, .key = keys[i]});
  }
  std::vector<op_reply> replies(ops.size());
  value_arena arena;
  db->execute(ops, replies, arena);
  for (std::size_t i = 0; i < ops.size(); i += 2) {
    REQUIRE(replies[i].code == op_code::ok);
    REQUIRE(replies[i + 1].value == values[i / 2]);
    REQUIRE(replies[i + 1].version == replies[i].version);
  }
}

TEST_CASE("a request id makes a retry have one effect, also after a restart and over a checkpoint",
          "[storage][engine][retry]") {
  temp_folder folder;
  const auto options = small_options(folder.path());
  const operation increment{.kind = op_kind::increment,
                            .level = durability::sync,
                            .key = "n",
                            .delta = 1,
                            .request = {7, 1, 1}};
  lsn_t version = 0;
  {
    running_engine db{options};
    const auto first = db.run(increment);
    const auto retry = db.run(increment);
    CHECK(first.number == 1);
    CHECK(retry.code == op_code::ok);
    CHECK(retry.number == 1);
    CHECK(retry.version == first.version);
    version = first.version;
    CHECK(db.get("n") == "1");
  }
  {
    running_engine db{options};
    CHECK(db.run(increment).number == 1);
    CHECK(db->checkpoint(db->shard_of("n")).ok());
    CHECK(db.stop().ok());
  }
  running_engine db{options};
  const auto retry = db.run(increment);
  CHECK(retry.number == 1);
  CHECK(retry.version == version);
  CHECK(db.get("n") == "1");
  // The client has moved on: what it no longer waits for is forgotten.
  CHECK(db.run({.kind = op_kind::increment, .key = "n", .request = {7, 5, 5}}).number == 2);
  CHECK(db.run(increment).code == op_code::outcome_unknown);
}

TEST_CASE("an atomic batch is done as a whole or not at all", "[storage][engine][transaction]") {
  temp_folder folder;
  const auto options = small_options(folder.path());
  {
    running_engine db{options};
    value_arena arena;
    std::vector<operation> ops;
    std::vector<std::string> keys;
    for (int i = 0; i < 50; ++i) keys.push_back("account" + std::to_string(i));
    for (const auto& key : keys)
      ops.push_back({.kind = op_kind::put, .level = durability::sync, .key = key, .value = "100"});
    std::vector<op_reply> replies(ops.size());
    REQUIRE(db->execute_atomic(ops, replies, arena) == op_code::ok);

    const std::vector<operation> move{
        {.kind = op_kind::increment, .level = durability::sync, .key = keys[0], .delta = -30},
        {.kind = op_kind::increment, .level = durability::sync, .key = keys[1], .delta = 30},
        {.kind = op_kind::get, .key = keys[0]}};
    replies.resize(3);
    REQUIRE(db->execute_atomic(move, replies, arena) == op_code::ok);
    CHECK(replies[2].value == "70"); // a read inside sees the write before it
    CHECK(db->wait_durable(replies, std::chrono::steady_clock::now() + std::chrono::seconds{30}) ==
          op_code::ok);

    const std::vector<operation> failing{{.kind = op_kind::increment, .key = keys[2], .delta = -30},
                                         {.kind = op_kind::put,
                                          .condition = write_condition::if_absent,
                                          .key = keys[3],
                                          .value = "x"}};
    replies.resize(2);
    CHECK(db->execute_atomic(failing, replies, arena) == op_code::already_exists);
    CHECK(replies[0].code == op_code::unavailable);
    CHECK(replies[1].code == op_code::already_exists);
    CHECK(db.get(keys[2]) == "100");
  }
  running_engine again{options};
  CHECK(again.get("account0") == "70");
  CHECK(again.get("account1") == "130");
  CHECK(again.get("account2") == "100");
}

TEST_CASE("an atomic batch that is retried by its request ids has one effect",
          "[storage][engine][transaction][retry]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  value_arena arena;
  const std::vector<operation> ops{
      {.kind = op_kind::put,
       .condition = write_condition::if_absent,
       .key = "once",
       .value = "1",
       .request = {9, 1, 1}},
      {.kind = op_kind::increment, .key = "count", .delta = 1, .request = {9, 2, 1}},
      {.kind = op_kind::erase, .key = "nothing", .request = {9, 3, 1}}};
  std::vector<op_reply> replies(3);
  REQUIRE(db->execute_atomic(ops, replies, arena) == op_code::ok);
  CHECK(replies[2].code == op_code::not_found);
  db.put("nothing", "something");
  REQUIRE(db->execute_atomic(ops, replies, arena) == op_code::ok);
  CHECK(replies[1].number == 1);
  CHECK(replies[2].code == op_code::not_found);
  CHECK(db.get("count") == "1");
  CHECK(db.get("nothing") == "something");
}

TEST_CASE("a scan returns every key once the writes rest, whatever the page size",
          "[storage][engine][scan]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  std::set<std::string> expected;
  for (int i = 0; i < 5'000; ++i) {
    const auto key = (i % 3 == 0 ? "a:" : "b:") + std::to_string(i);
    db.put(key, "v", durability::memory);
    if (i % 3 == 0) expected.insert(key);
  }
  const auto limit = GENERATE(std::size_t{1}, std::size_t{7}, std::size_t{1'000});
  std::set<std::string> found;
  scan_page page;
  do {
    REQUIRE(db->scan(page.next_cursor, "a:", limit, page).ok());
    for (const auto& e : page.entries) found.emplace(e.key);
  } while (page.next_cursor != 0);
  CHECK(found == expected);
}

TEST_CASE("a scan misses no key that is there all the time, while others come and go",
          "[storage][engine][scan]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  for (int i = 0; i < 2'000; ++i) db.put("stays" + std::to_string(i), "v", durability::memory);
  std::set<std::string> found;
  scan_page page;
  int round = 0;
  do {
    REQUIRE(db->scan(page.next_cursor, "stays", 20, page).ok());
    for (const auto& e : page.entries) found.emplace(e.key);
    for (int i = 0; i < 50; ++i)
      db.put("comes" + std::to_string(round * 50 + i), "v", durability::memory); // splits
    for (int i = 0; i < 25; ++i)
      db.erase("comes" + std::to_string(round * 50 + i), durability::memory);
    ++round;
  } while (page.next_cursor != 0);
  CHECK(found.size() == 2'000);
}

TEST_CASE("a universe in memory only keeps nothing and says so", "[storage][engine]") {
  running_engine db{{.shard_count = 4}};
  CHECK(db.put("k", "v").code == op_code::ok);
  CHECK(db.get("k") == "v");
  CHECK(db.put("k", "v", durability::sync).code == op_code::no_replicas);
  CHECK(db->checkpoint(shard_id{0}).code() == op_code::not_supported);
}

TEST_CASE("options that contradict each other or the folder are refused with the reason",
          "[storage][engine]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  options.shard_count = 3;
  CHECK(engine::open(options).code() == op_code::invalid_argument);
  options = small_options(folder.path());
  options.segment_bytes = 1'000;
  CHECK(engine::open(options).code() == op_code::invalid_argument);
  options = small_options(folder.path());
  {
    running_engine db{options};
    const auto second = engine::open(options);
    CHECK(second.code() == op_code::unavailable); // the folder is in use
    CHECK(second.status().message().find(std::to_string(getpid())) != std::string::npos);
  }
  options.shard_count = 8;
  CHECK(engine::open(options).code() == op_code::invalid_argument);
}
