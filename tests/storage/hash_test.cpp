#include "storage/hash_builder.hpp"

#include "tests/support/engine_fixture.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <map>
#include <random>
#include <string>

using namespace warp;
using namespace warp::storage;
using warp::testing::running_engine;
using warp::testing::text_of;

namespace {

engine_options in_memory() {
  return {.folder = "", .shard_count = 4, .default_level = durability::memory};
}

std::string packed(const running_engine::fields& of) {
  field_packer packer;
  for (const auto& [name, value] : of) packer.add_pair(name, value);
  return std::string{packer.packed()};
}
std::string packed_names(const std::vector<std::string>& names) {
  field_packer packer;
  for (const auto& name : names) packer.add_name(name);
  return std::string{packer.packed()};
}

} // namespace

TEST_CASE("fields of a hash are set, read, counted and erased", "[storage][hash]") {
  running_engine db{in_memory()};
  CHECK(db.hash_set("h", {{"a", "1"}, {"b", "2"}, {"a", "3"}}).number == 2);
  CHECK(db.hash_all("h") == "{a=3, b=2}");
  const auto version = db.run({.kind = op_kind::exists, .key = "h"}).version;
  const auto again = db.hash_set("h", {{"b", "20"}, {"c", ""}});
  CHECK(again.number == 1);
  CHECK(again.version == version + 1);
  CHECK(db.hash_get("h", "b") == "20");
  CHECK(db.hash_get("h", "c") == "");
  CHECK(db.hash_get("h", "d") == "(absent)");
  CHECK(db.hash_get("nothing", "d") == "(not_found)");
  CHECK(db.run({.kind = op_kind::hash_length, .key = "h"}).number == 3);
  CHECK(db.run({.kind = op_kind::hash_length, .key = "nothing"}).code == op_code::not_found);
  CHECK(db.run({.kind = op_kind::exists, .key = "h"}).type == value_type::hash);
  CHECK(db.hash_erase("h", {"x"}).number == 0);
  CHECK(db.run({.kind = op_kind::exists, .key = "h"}).version == again.version);
  CHECK(db.hash_erase("h", {"a", "x", "a", "b"}).number == 2);
  CHECK(db.hash_all("h") == "{c=}");
  CHECK(db.hash_erase("h", {"c"}).number == 1);
  CHECK(db.hash_all("h") == "(not_found)");
  CHECK(db.hash_erase("h", {"c"}).code == op_code::not_found);
}

TEST_CASE("a field is incremented as a number, and only as one", "[storage][hash]") {
  running_engine db{in_memory()};
  CHECK(db.hash_increment("h", "n", 5).number == 5);
  CHECK(db.hash_increment("h", "n", -7).number == -2);
  CHECK(db.hash_get("h", "n") == "-2");
  db.hash_set("h", {{"t", "text"}, {"m", "9223372036854775807"}});
  const auto text = db.hash_increment("h", "t", 1);
  CHECK(text.code == op_code::wrong_type);
  CHECK(text.type == value_type::hash);
  CHECK(text.number == 0);
  const auto full = db.hash_increment("h", "m", 1);
  CHECK(full.code == op_code::wrong_type);
  CHECK(full.number == 9223372036854775807);
  db.put("b", "1");
  const auto bytes = db.hash_increment("b", "m", 1);
  CHECK(bytes.code == op_code::wrong_type);
  CHECK(bytes.type == value_type::bytes);
}

TEST_CASE("what is for one type is refused on the other", "[storage][hash]") {
  running_engine db{in_memory()};
  const bool large = GENERATE(false, true);
  CAPTURE(large);
  db.hash_set("a hash of some length", {{"f", large ? std::string(5'000, 'x') : "1"}});
  const std::string key = "a hash of some length";
  CHECK(db.get(key) == "(wrong_type)");
  CHECK(db.read(key).type == value_type::hash);
  const auto increment = db.increment(key, 1);
  CHECK(increment.code == op_code::wrong_type);
  CHECK(increment.type == value_type::hash);
  db.put("bytes", "text");
  CHECK(db.hash_get("bytes", "f") == "(wrong_type)");
  CHECK(db.hash_all("bytes") == "(wrong_type)");
  CHECK(db.hash_set("bytes", {{"f", "1"}}).code == op_code::wrong_type);
  CHECK(db.hash_erase("bytes", {"f"}).code == op_code::wrong_type);
  CHECK(db.run({.kind = op_kind::hash_length, .key = "bytes"}).code == op_code::wrong_type);
  CHECK(db.get("bytes") == "text");
  // A read of several finds the one that can't be read as one.
  const std::array reads{operation{.key = "bytes"}, operation{.key = key}};
  std::array<op_reply, 2> replies;
  value_arena arena;
  db->execute(reads, replies, arena);
  CHECK(replies[0].value == "text");
  CHECK(replies[1].code == op_code::wrong_type);
  // put replaces either, and erase removes it.
  db.put(key, "now bytes");
  CHECK(db.get(key) == "now bytes");
  const auto whole = packed({{"x", "y"}});
  CHECK(db.run({.kind = op_kind::put, .type = value_type::hash, .key = key, .value = whole}).code ==
        op_code::ok);
  CHECK(db.hash_all(key) == "{x=y}");
  CHECK(db.erase(key).code == op_code::ok);
  CHECK(db.hash_all(key) == "(not_found)");
}

TEST_CASE("packed fields that are malformed change nothing", "[storage][hash]") {
  running_engine db{in_memory()};
  db.hash_set("h", {{"a", "1"}});
  const std::string bad = "\x02\x01"
                          "a";
  for (const auto kind :
       {op_kind::hash_set, op_kind::hash_erase, op_kind::hash_increment, op_kind::hash_get})
    CHECK(db.run({.kind = kind, .key = "h", .value = bad}).code == op_code::invalid_argument);
  CHECK(db.run({.kind = op_kind::put, .type = value_type::hash, .key = "h", .value = bad}).code ==
        op_code::invalid_argument);
  const std::string long_and_bad(100'000, '\x7f');
  CHECK(db.run({.kind = op_kind::put, .type = value_type::hash, .key = "h", .value = long_and_bad})
            .code == op_code::invalid_argument);
  const auto two = packed_names({"a", "b"});
  CHECK(db.run({.kind = op_kind::hash_increment, .key = "h", .value = two}).code ==
        op_code::invalid_argument);
  CHECK(db.hash_all("h") == "{a=1}");
}

TEST_CASE("conditions hold for changes of fields", "[storage][hash]") {
  running_engine db{in_memory()};
  const auto pair = packed({{"a", "1"}}), other = packed({{"a", "2"}, {"b", "2"}});
  operation set{.kind = op_kind::hash_set, .if_field_absent = true, .key = "h", .value = pair};
  CHECK(db.run(set).code == op_code::ok);
  const auto version = db.run({.kind = op_kind::exists, .key = "h"}).version;
  set.value = other;
  const auto refused = db.run(set);
  CHECK(refused.code == op_code::already_exists);
  CHECK(refused.version == version);
  CHECK(db.hash_all("h") == "{a=1}");
  set = {.kind = op_kind::hash_set,
         .condition = write_condition::if_version,
         .key = "h",
         .value = other,
         .expected_version = version};
  CHECK(db.run(set).code == op_code::ok);
  CHECK(db.run(set).code == op_code::version_mismatch);
  CHECK(db.hash_all("h") == "{a=2, b=2}");
}

TEST_CASE("a hash keeps its expiry over changes of fields, and goes as a whole",
          "[storage][hash]") {
  struct manual : storage::clock {
    mutable std::atomic<std::uint64_t> ms{1'000'000};
    std::uint64_t now_us() const noexcept override { return ms * 1'000; }
  };
  auto options = in_memory();
  const auto time = std::make_shared<manual>();
  options.time = time;
  running_engine db{options};
  db.hash_set("h", {{"a", "1"}});
  db.run({.kind = op_kind::expire, .key = "h", .expires_at_ms = 1'000'100});
  db.hash_set("h", {{"b", "2"}});
  CHECK(db.run({.kind = op_kind::exists, .key = "h"}).expires_at_ms == 1'000'100);
  time->ms = 1'000'100;
  CHECK(db.hash_all("h") == "(not_found)");
  CHECK(db.hash_get("h", "a") == "(not_found)");
  // What comes now begins anew.
  CHECK(db.hash_set("h", {{"c", "3"}}).number == 1);
  CHECK(db.hash_all("h") == "{c=3}");
  CHECK(db.run({.kind = op_kind::exists, .key = "h"}).expires_at_ms == 0);
}

TEST_CASE("what a reader has of a large hash stays as it was", "[storage][hash]") {
  running_engine db{in_memory()};
  for (int i = 0; i < 1'000; ++i) db.hash_set("h", {{std::to_string(i), "old"}});
  const auto before = db.run({.kind = op_kind::hash_all, .key = "h"});
  CHECK(before.number == 1'000);
  const auto text = text_of({before.value, before.large.get()});
  for (int i = 0; i < 1'000; i += 2) db.hash_set("h", {{std::to_string(i), "new"}});
  for (int i = 1; i < 1'000; i += 2) db.hash_erase("h", {std::to_string(i)});
  CHECK(text_of({before.value, before.large.get()}) == text);
  CHECK(db.run({.kind = op_kind::hash_length, .key = "h"}).number == 500);
  db.erase("h");
  CHECK(text_of({before.value, before.large.get()}) == text);
}

TEST_CASE("a hash has no more bytes than a value may have", "[storage][hash]") {
  auto options = in_memory();
  options.value_bytes_max = 10'000;
  running_engine db{options};
  CHECK(db.hash_set("h", {{"a", std::string(6'000, 'x')}}).code == op_code::ok);
  CHECK(db.hash_set("h", {{"b", std::string(4'000, 'x')}}).code == op_code::invalid_argument);
  CHECK(db.hash_set("h", {{"a", std::string(8'000, 'x')}}).code == op_code::ok); // in its place
  CHECK(db.hash_set("h", {{"b", std::string(1'900, 'x')}}).code == op_code::ok);
  CHECK(db.hash_set("h", {{"c", std::string(200, 'x')}}).code == op_code::invalid_argument);
  CHECK(db.run({.kind = op_kind::hash_length, .key = "h"}).number == 2);
}

TEST_CASE("memory of hashes is counted, and at the limit they only shrink", "[storage][hash]") {
  auto options = in_memory();
  options.shard_count = 1;
  options.max_memory_bytes = 4u << 20;
  running_engine db{options};
  int written = 0;
  op_code code = op_code::ok;
  for (; code == op_code::ok && written < 100'000; ++written)
    code = db.hash_set("h", {{"field" + std::to_string(written), std::string(100, 'x')}}).code;
  CHECK(code == op_code::no_space);
  CHECK(written > 25'000);
  const auto full = db->stats(shard_id{0}).table;
  CHECK(full.value_bytes > 2'500'000);
  CHECK(full.record_bytes >= full.value_bytes);
  CHECK(db.hash_set("h", {{"field7", std::string(100, 'y')}}).code == op_code::ok);
  CHECK(db.hash_get("h", "field7") == std::string(100, 'y'));
  CHECK(db.hash_erase("h", {"field8"}).number == 1);
  CHECK(db.erase("h").code == op_code::ok);
  const auto empty = db->stats(shard_id{0}).table;
  CHECK(empty.value_bytes == 0);
  CHECK(empty.record_bytes == 0);
}

TEST_CASE("a transaction with changes of fields is done whole or not at all", "[storage][hash]") {
  running_engine db{in_memory()};
  const bool large = GENERATE(false, true);
  CAPTURE(large);
  running_engine::fields first{{"n", "1"}};
  if (large)
    for (int i = 0; i < 500; ++i) first.emplace_back("f" + std::to_string(i), "v");
  db.hash_set("h", first);
  db.put("text", "no number");
  const auto before = db.hash_all("h");
  const auto stats_before = db->stats(db->shard_of("h")).table;
  const auto pairs = packed({{"a", "1"}, {"b", "2"}}), name = packed_names({"n"}),
             gone = packed_names({"f1", "a"});
  std::vector<operation> ops{
      {.kind = op_kind::hash_set, .key = "h", .value = pairs},
      {.kind = op_kind::hash_increment, .key = "h", .value = name, .delta = 41},
      {.kind = op_kind::hash_erase, .key = "h", .value = gone},
      {.kind = op_kind::hash_set, .key = "new", .value = pairs},
      {.kind = op_kind::hash_all, .key = "h"},
      {.kind = op_kind::hash_set, .key = "text", .value = pairs},
  };
  std::vector<op_reply> replies(ops.size());
  value_arena arena;
  CHECK(db->execute_atomic(ops, replies, arena) == op_code::wrong_type);
  CHECK(replies[5].code == op_code::wrong_type);
  CHECK(replies[0].code == op_code::unavailable);
  CHECK(db.hash_all("h") == before);
  CHECK(db.hash_all("new") == "(not_found)");
  const auto stats_after = db->stats(db->shard_of("h")).table;
  CHECK(stats_after.record_bytes == stats_before.record_bytes);
  CHECK(stats_after.value_bytes == stats_before.value_bytes);

  ops.pop_back();
  replies.assign(ops.size(), {});
  REQUIRE(db->execute_atomic(ops, replies, arena) == op_code::ok);
  CHECK(replies[0].number == 2);
  CHECK(replies[1].number == 42);
  CHECK(replies[2].number == (large ? 2 : 1));
  const auto seen = text_of({replies[4].value, replies[4].large.get()});
  CHECK(seen == db.hash_all("h"));
  CHECK(db.hash_get("h", "n") == "42");
  CHECK(db.hash_get("h", "a") == "(absent)");
  CHECK(db.hash_get("h", "b") == "2");
  CHECK(db.hash_all("new") == "{a=1, b=2}");
}
