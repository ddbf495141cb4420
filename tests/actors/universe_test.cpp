#include "actors/universe.hpp"

#include "storage/engine.hpp"
#include "tests/actors/universe_fixture.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <set>

using namespace warp;
using namespace warp::testing;
using namespace std::chrono_literals;

namespace {

/// Wall-clock time that stands still until the test moves it.
struct manual_clock final : storage::clock {
  [[nodiscard]] std::uint64_t now_us() const noexcept override { return us; }
  std::uint64_t us = 1'700'000'000'000'000;
};

} // namespace

TEST_CASE_METHOD(universe_fixture, "what is put is got, with its version, until it is erased",
                 "[actors][universe]") {
  auto u = open();
  auto version = u->put("key", "value");
  REQUIRE(version);
  auto got = u->get("key");
  REQUIRE(got);
  CHECK(got->value == "value");
  CHECK(got->version == *version);
  CHECK(got->expires_at_ms == 0);
  CHECK(u->exists("key")->version == *version);
  CHECK(u->erase("key").ok());
  CHECK(u->get("key").code() == op_code::not_found);
  CHECK(u->exists("key").code() == op_code::not_found);
  CHECK(u->erase("key").code() == op_code::not_found);
}

TEST_CASE_METHOD(universe_fixture, "conditions decide whether a put is done",
                 "[actors][universe]") {
  auto u = open();
  CHECK(u->put("k", "1", {.condition = write_condition::if_present}).code() == op_code::not_found);
  auto first = u->put("k", "1", {.condition = write_condition::if_absent});
  REQUIRE(first);
  CHECK(u->put("k", "2", {.condition = write_condition::if_absent}).code() ==
        op_code::already_exists);

  auto lost = u->compare_and_set("k", "2", *first + 1);
  REQUIRE(lost);
  CHECK_FALSE(lost->stored);
  CHECK(lost->version == *first);
  auto won = u->compare_and_set("k", "2", *first);
  REQUIRE(won);
  CHECK(won->stored);
  CHECK(won->version > *first);
  CHECK(u->get("k")->value == "2");
  auto created = u->compare_and_set("new", "x", 0);
  CHECK(created->stored);
}

TEST_CASE_METHOD(universe_fixture, "a counter counts, and a text is no number",
                 "[actors][universe]") {
  auto u = open();
  CHECK(*u->increment("n") == 1);
  CHECK(*u->increment("n", -43) == -42);
  CHECK(u->put("text", "abc").ok());
  auto wrong = u->increment("text");
  CHECK(wrong.code() == op_code::wrong_type);
  CHECK_FALSE(wrong.status().message().empty());
}

TEST_CASE_METHOD(universe_fixture, "a hash has fields, and is no text", "[actors][universe]") {
  auto u = open();
  const std::array fields{key_value{"a", "1"}, key_value{"b", "2"}};
  CHECK(*u->hash_set("h", fields) == 2);
  CHECK(*u->hash_set("h", fields) == 0);
  CHECK(*u->hash_increment("h", "a", 41) == 42);
  CHECK(*u->hash_get("h", "a") == "42");
  CHECK(*u->hash_get("h", "none") == std::nullopt);
  CHECK(u->hash_get("none", "a").code() == op_code::not_found);
  const auto all = u->hash_all("h");
  REQUIRE(all.ok());
  CHECK(all->fields == std::vector<std::pair<std::string, std::string>>{{"a", "42"}, {"b", "2"}});
  CHECK(all->version != 0);
  const std::array<std::string_view, 2> names{"a", "none"};
  CHECK(*u->hash_erase("h", names) == 1);
  const auto text = u->get("h");
  CHECK(text.code() == op_code::wrong_type);
  CHECK_FALSE(text.status().message().empty());
  const auto found = u->scan(0, "h");
  REQUIRE(found->items.size() == 1);
  CHECK(found->items[0].type == value_type::hash);
  CHECK(u->erase("h").ok());
}

TEST_CASE_METHOD(universe_fixture, "a time to live ends a key", "[actors][universe]") {
  auto clock = std::make_shared<manual_clock>();
  time = clock;
  auto u = open();
  CHECK(u->put("k", "v", {.ttl = 10s}).ok());
  CHECK(u->put("stays", "v").ok());
  CHECK(**u->ttl("k") == 10s);
  CHECK_FALSE(u->ttl("stays")->has_value());
  clock->us += 4'000'000;
  CHECK(**u->ttl("k") == 6s);
  CHECK(u->put("k", "w", {.keep_expiry = true}).ok());
  CHECK(**u->ttl("k") == 6s);
  CHECK(u->expire("stays", 1s).ok());
  CHECK(u->expire("k", std::nullopt).ok());
  clock->us += 60'000'000;
  CHECK(u->get("k")->value == "w");
  CHECK(u->get("stays").code() == op_code::not_found);
  CHECK(u->ttl("stays").code() == op_code::not_found);
  CHECK(u->expire("stays", 1s).code() == op_code::not_found);
  CHECK(u->put("k", "v", {.ttl = 0s}).code() == op_code::invalid_argument);
  CHECK(u->put("k", "v", {.ttl = 1s, .keep_expiry = true}).code() == op_code::invalid_argument);
}

TEST_CASE_METHOD(universe_fixture, "multi calls answer each key on its own", "[actors][universe]") {
  auto u = open();
  const std::string large(100'000, 'L'); // beyond what records hold inline
  const std::vector<key_value> pairs{{"a", "1"}, {"", "no key"}, {"c", large}};
  auto put = u->multi_put(pairs);
  REQUIRE(put.size() == 3);
  CHECK(put[0].ok());
  CHECK(put[1].code() == op_code::invalid_argument);
  CHECK(put[2].ok());
  const std::vector<std::string_view> keys{"c", "absent", "a"};
  auto got = u->multi_get(keys);
  REQUIRE(got.size() == 3);
  CHECK(got[0]->value == large);
  CHECK(got[1].code() == op_code::not_found);
  CHECK(got[2]->value == "1");
  CHECK(u->multi_get({}).empty());
}

TEST_CASE_METHOD(universe_fixture, "a batch is done as a whole or not at all",
                 "[actors][universe]") {
  auto u = open();
  CHECK(u->put("from", "10").ok());
  std::vector<operation> transfer{
      {.kind = op_kind::increment, .key = "from", .delta = -3},
      {.kind = op_kind::increment, .key = "to", .delta = 3},
      {.kind = op_kind::get, .key = "from"},
  };
  auto done = u->batch(transfer);
  REQUIRE(done);
  CHECK((*done)[0].number == 7);
  CHECK((*done)[1].number == 3);
  CHECK((*done)[2].value == "7");

  transfer.push_back(
      {.kind = op_kind::put, .condition = write_condition::if_absent, .key = "from", .value = "?"});
  auto refused = u->batch(transfer);
  CHECK(refused.code() == op_code::already_exists);
  CHECK(refused.status().message().find("operation 3") != std::string::npos);
  CHECK(u->get("from")->value == "7");
  CHECK(u->get("to")->value == "3");
  CHECK(u->batch({})->empty());
}

TEST_CASE_METHOD(universe_fixture, "a scan meets every key with the prefix", "[actors][universe]") {
  auto u = open();
  for (int i = 0; i < 500; ++i) {
    CHECK(u->put("user:" + std::to_string(i), "u").ok());
    CHECK(u->put("other:" + std::to_string(i), "o").ok());
  }
  std::set<std::string> seen;
  std::uint64_t cursor = 0;
  do {
    auto page = u->scan(cursor, "user:", 50);
    REQUIRE(page);
    for (auto& item : page->items) {
      CHECK(item.value == "u");
      seen.insert(item.key);
    }
    cursor = page->next_cursor;
  } while (cursor != 0);
  CHECK(seen.size() == 500);
}

TEST_CASE_METHOD(universe_fixture, "a second open sees everything that a clean stop left",
                 "[actors][universe]") {
  std::map<std::string, std::string> expected;
  const bool checkpoint = GENERATE(false, true);
  {
    auto u = open();
    for (int i = 0; i < 1'000; ++i) {
      auto key = "key-" + std::to_string(i), value = std::string(i % 97, 'v') + std::to_string(i);
      REQUIRE(u->put(key, value).ok()); // async: not on disk when put returns
      expected[key] = value;
    }
    REQUIRE(u->stop({.checkpoint = checkpoint}).ok());
    CHECK(u->put("late", "x").code() == op_code::shutting_down);
    CHECK(u->get("key-1")->value == expected["key-1"]); // reads go on to the end
  }
  auto u = open();
  auto& report = u->engine().recovery();
  CHECK(report.clean);
  CHECK((report.log_records == 0) == checkpoint);
  for (auto& [key, value] : expected) CHECK(u->get(key)->value == value);
  CHECK(u->get("late").code() == op_code::not_found);
}

TEST_CASE_METHOD(universe_fixture, "a sync put is on disk when it returns, whatever happens then",
                 "[actors][universe]") {
  std::unique_ptr<memory_file_system> after_crash;
  {
    auto u = open();
    for (int i = 0; i < 50; ++i)
      REQUIRE(u->put("k" + std::to_string(i), "v", {.level = durability::sync}).ok());
    after_crash = files.crashed_copy(crash_policy::drop_all);
  }
  auto options = small_options("data");
  options.files = after_crash.get();
  auto u = universe::open({.engine = options});
  REQUIRE(u);
  for (int i = 0; i < 50; ++i) CHECK((*u)->get("k" + std::to_string(i))->value == "v");
  CHECK_FALSE((*u)->engine().recovery().clean);
}

TEST_CASE("a universe in memory only works and refuses what it can't keep", "[actors][universe]") {
  auto opened = universe::open({.engine = {.shard_count = 4}});
  REQUIRE(opened);
  auto& u = **opened;
  CHECK(u.put("k", "v").ok());
  CHECK(u.get("k")->value == "v");
  CHECK(u.put("k", "v", {.level = durability::sync}).code() == op_code::no_replicas);
  CHECK(u.checkpoint().code() == op_code::not_supported);
  CHECK(u.stop({.checkpoint = true}).ok());
}

TEST_CASE_METHOD(universe_fixture, "a folder that can't be opened says why and starts nothing",
                 "[actors][universe]") {
  auto first = open();
  universe_options options{.engine = small_options("data")};
  options.engine.files = &files;
  auto second = universe::open(options);
  CHECK(second.code() == op_code::unavailable);
  CHECK_FALSE(second.status().message().empty());
  options.engine.shard_count = 3;
  CHECK(universe::open(options).code() == op_code::invalid_argument);
}

TEST_CASE_METHOD(universe_fixture, "checkpoints are written on request and seen in the next start",
                 "[actors][universe]") {
  auto u = open();
  for (int i = 0; i < 100; ++i) CHECK(u->put("k" + std::to_string(i), "v").ok());
  CHECK(u->checkpoint().ok());
  CHECK(u->checkpoint(shard_id{0}).ok());
  CHECK(u->checkpoint(shard_id{4}).code() == op_code::invalid_argument);
  CHECK(u->stop().ok());
  CHECK(u->checkpoint().code() == op_code::shutting_down);
  u.reset();
  u = open();
  CHECK(u->engine().recovery().checkpoint_records == 100);
}

TEST_CASE_METHOD(universe_fixture, "the load summary ranks the shards and adds up",
                 "[actors][universe]") {
  auto u = open();
  CHECK(u->analyze_load().shards.size() == 4);
  CHECK(u->analyze_load().shards[0].operations_share == 0);
  for (int i = 0; i < 30; ++i) CHECK(u->put("{hot}" + std::to_string(i), "value").ok());
  for (int i = 0; i < 10; ++i) CHECK(u->get("{hot}1").ok());
  auto load = u->analyze_load();
  CHECK(load.keys == 30);
  CHECK(load.writes == 30);
  CHECK(load.reads == 10);
  CHECK(load.shards[0].shard == u->engine().shard_of("{hot}"));
  CHECK(load.shards[0].operations_share == 1.0);
  CHECK(load.shards[0].keys == 30);
}
