#include "storage/hash_builder.hpp"
#include "storage/shard.hpp"

#include "tests/support/engine_fixture.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <map>
#include <random>
#include <string>
#include <thread>

using namespace warp;
using namespace warp::storage;
using warp::testing::crash_policy;
using warp::testing::faulty_file_system;
using warp::testing::running_engine;
using warp::testing::text_of;

namespace {

engine_options options_on(faulty_file_system& files) {
  auto options = warp::testing::small_options("data");
  options.files = &files;
  options.shard_count = 2;
  return options;
}

/// What a database should have: of a key a text, or fields.
struct model {
  std::map<std::string, std::string> texts;
  std::map<std::string, std::map<std::string, std::string>> hashes;

  [[nodiscard]] std::map<std::string, std::string> text() const {
    auto all = texts;
    for (const auto& [key, fields] : hashes) {
      auto& text = all[key] = "{";
      for (const auto& [name, value] : fields)
        text += (text.size() == 1 ? "" : ", ") + name + "=" + value;
      text += "}";
    }
    return all;
  }
};

std::map<std::string, std::string> everything(running_engine& db) {
  const auto all = db.everything();
  return {all.begin(), all.end()};
}

/// Random operations on a few keys, small and large hashes and texts, done to both.
class player {
public:
  player(std::uint64_t seed, model& expected) : random_(seed), expected_(expected) {}

  void play(running_engine& db, int count) {
    for (int i = 0; i < count; ++i)
      if (random_() % 8 == 0)
        transaction(db);
      else
        one(db);
  }

private:
  std::string name() { return "f" + std::to_string(random_() % (random_() % 4 == 0 ? 400 : 20)); }
  std::string value() {
    return std::string(random_() % 300 == 0 ? 3'000 : random_() % 30, 'a' + random_() % 26);
  }

  struct prepared {
    operation op;
    std::string key, value;
  };

  /// An operation, done to the model; none that fails.
  prepared next() {
    prepared p;
    p.key = "key" + std::to_string(random_() % 6);
    const bool is_text = expected_.texts.count(p.key) != 0;
    const auto kind = is_text ? random_() % 3 : 3 + random_() % 30;
    if (kind < 2) {
      p.op.kind = op_kind::erase;
      expected_.texts.erase(p.key);
    } else if (kind < 4) {
      p.op.kind = op_kind::put;
      p.value = value();
      expected_.hashes.erase(p.key);
      expected_.texts[p.key] = p.value;
    } else if (kind == 4) {
      p.op.kind = op_kind::put;
      p.op.type = value_type::hash;
      field_packer packer;
      auto& all = expected_.hashes[p.key];
      all.clear();
      for (auto n = 1 + random_() % 200; n != 0; --n) {
        const auto [at, fresh] = all.emplace(name(), value());
        if (fresh) packer.add_pair(at->first, at->second);
      }
      p.value = packer.packed();
    } else if (kind < 22) {
      p.op.kind = op_kind::hash_set;
      field_packer packer;
      auto& all = expected_.hashes[p.key];
      for (auto n = random_() % 3 == 0 ? 1 + random_() % 60 : 1; n != 0; --n) {
        const auto set = name();
        packer.add_pair(set, all[set] = value());
      }
      p.value = packer.packed();
    } else if (kind < 25) {
      p.op.kind = op_kind::hash_increment;
      field_packer packer;
      packer.add_name("number");
      p.op.delta = static_cast<std::int64_t>(random_() % 100) - 50;
      auto& now = expected_.hashes[p.key]["number"];
      now = std::to_string((now.empty() ? 0 : std::stoll(now)) + p.op.delta);
      p.value = packer.packed();
    } else {
      p.op.kind = op_kind::hash_erase;
      field_packer packer;
      auto all = expected_.hashes.find(p.key);
      for (auto n = random_() % 4 == 0 ? 1 + random_() % 200 : 1; n != 0; --n) {
        const auto gone = name();
        packer.add_name(gone);
        if (all != expected_.hashes.end()) all->second.erase(gone);
      }
      p.value = packer.packed();
      if (all != expected_.hashes.end() && all->second.empty()) expected_.hashes.erase(all);
    }
    return p;
  }

  void one(running_engine& db) {
    auto p = next();
    p.op.key = p.key;
    p.op.value = p.value;
    const auto code = db.run(p.op).code;
    if (code != op_code::ok && code != op_code::not_found) FAIL(std::string(to_string(code)));
  }

  void transaction(running_engine& db) {
    std::vector<prepared> all;
    for (auto n = 2 + random_() % 6; n != 0; --n) all.push_back(next());
    std::vector<operation> ops;
    for (auto& p : all) {
      ops.push_back(p.op);
      ops.back().key = p.key;
      ops.back().value = p.value;
    }
    std::vector<op_reply> replies(ops.size());
    value_arena arena;
    REQUIRE(db->execute_atomic(ops, replies, arena) == op_code::ok);
  }

  std::mt19937_64 random_;
  model& expected_;
};

} // namespace

TEST_CASE("hashes are what a map of maps is, over transactions, checkpoints and restarts",
          "[storage][hash][recovery]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  faulty_file_system files;
  model expected;
  player play{seed, expected};
  for (int round = 0; round < 12; ++round) {
    running_engine db{options_on(files)};
    REQUIRE(everything(db) == expected.text());
    std::atomic<bool> stop{false}, made{true};
    std::thread checkpoints{[&] { // while writes go on
      while (!stop)
        for (std::uint32_t s = 0; s < 2; ++s)
          if (!db->checkpoint(shard_id{s}).ok()) made = false;
    }};
    play.play(db, 400);
    stop = true;
    checkpoints.join();
    REQUIRE(made);
    REQUIRE(everything(db) == expected.text());
    if (round % 3 == 2) {
      REQUIRE(db.stop().ok());
    } else {
      for (int i = 0; i < 8; ++i) { // in either shard: nothing before them is left unwritten
        const auto key = "end" + std::to_string(i);
        REQUIRE(db.put(key, "of round", durability::sync).code == op_code::ok);
        expected.texts[key] = "of round";
      }
    }
  }
}

TEST_CASE("after a crash hashes have what was acknowledged at level sync",
          "[storage][hash][recovery]") {
  faulty_file_system files;
  {
    running_engine db{options_on(files)};
    db.hash_set("logged", {{"a", "1"}}, durability::async);
    // What is in no log must not be missing below what is.
    db.hash_set("mixed", {{"a", "1"}, {"b", "2"}}, durability::memory);
    db.hash_set("mixed", {{"b", "3"}}, durability::sync);
    db.hash_set("large", {{"a", std::string(5'000, 'x')}}, durability::sync);
    for (int i = 0; i < 100; ++i)
      db.hash_set("large", {{"f" + std::to_string(i), "v"}}, durability::memory);
    db.hash_increment("large", "n", 7, durability::sync);
    db.hash_set("late", {{"a", "1"}, {"b", "2"}}, durability::sync);
    db.hash_erase("late", {"a"}, durability::memory);
    db.hash_set("logged", {{"c", "3"}}, durability::sync);
    files.power_off_after(0);
  }
  files.crash(crash_policy::drop_all);
  running_engine db{options_on(files)};
  CHECK(db.hash_all("logged") == "{a=1, c=3}");
  CHECK(db.hash_all("mixed") == "{a=1, b=3}");
  CHECK(db.run({.kind = op_kind::hash_length, .key = "large"}).number == 102);
  CHECK(db.hash_get("large", "n") == "7");
  CHECK(db.hash_all("late") == "{a=1, b=2}"); // at level memory it was not promised
}

TEST_CASE("a change of a hash that is in no log is logged whole, also behind a checkpoint",
          "[storage][hash][recovery]") {
  faulty_file_system files;
  {
    running_engine db{options_on(files)};
    db.hash_set("h", {{"a", "1"}}, durability::memory);
    for (std::uint32_t s = 0; s < 2; ++s) REQUIRE(db->checkpoint(shard_id{s}).ok());
    REQUIRE(db.stop().ok());
  }
  const auto log_bytes = [](running_engine& db) { return db->stats(db->shard_of("h")).log_bytes; };
  running_engine db{options_on(files)};
  CHECK(db.hash_all("h") == "{a=1}");
  db.hash_set("h", {{"b", std::string(1'000, 'x')}}, durability::sync);
  const auto whole = log_bytes(db);
  db.hash_set("h", {{"c", "3"}}, durability::sync);
  CHECK(log_bytes(db) - whole < 300); // the change alone from now on
}

TEST_CASE("a retry of a change of fields is answered as the first time, after a restart too",
          "[storage][hash][recovery]") {
  const bool checkpoint = GENERATE(false, true);
  CAPTURE(checkpoint);
  faulty_file_system files;
  field_packer packer;
  packer.add_pair("a", "1");
  packer.add_pair("b", "2");
  const std::string pairs{packer.packed()};
  packer.clear();
  packer.add_name("n");
  const std::string number{packer.packed()};
  packer.clear();
  packer.add_name("a");
  packer.add_name("b");
  packer.add_name("n");
  const std::string names{packer.packed()};
  const std::array ops{
      operation{.kind = op_kind::hash_set, .key = "h", .value = pairs, .request = {7, 1, 1}},
      operation{.kind = op_kind::hash_set, .key = "h", .value = pairs, .request = {7, 2, 1}},
      operation{.kind = op_kind::hash_increment,
                .key = "h",
                .value = number,
                .delta = 5,
                .request = {7, 3, 1}},
      operation{.kind = op_kind::hash_erase, .key = "h", .value = names, .request = {7, 4, 1}},
      operation{.kind = op_kind::hash_increment,
                .key = "h",
                .value = number,
                .delta = 9,
                .request = {7, 5, 1}},
  };
  std::vector<std::pair<std::int64_t, lsn_t>> first;
  {
    running_engine db{options_on(files)};
    for (const auto& op : ops) {
      const auto reply = db.run(op);
      first.emplace_back(reply.number, reply.version);
    }
    CHECK(first[0].first == 2);
    CHECK(first[1].first == 0);
    CHECK(first[2].first == 5);
    CHECK(first[3].first == 3);
    CHECK(first[4].first == 9);
    if (checkpoint)
      for (std::uint32_t s = 0; s < 2; ++s) REQUIRE(db->checkpoint(shard_id{s}).ok());
    REQUIRE(db.stop().ok());
  }
  running_engine db{options_on(files)};
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const auto reply = db.run(ops[i]);
    CHECK(reply.code == op_code::ok);
    CHECK(reply.number == first[i].first);
    CHECK(reply.version == first[i].second);
  }
  CHECK(db.hash_all("h") == "{n=9}");
}

// -- the rules of replay, one by one
// -----------------------------------------------------------------------------------

namespace {

struct replaying {
  engine_options options;
  system_clock time;
  shard s{shard_id{0}, options, time, std::make_shared<table_memory>()};

  void replay(log_op op, lsn_t lsn, std::string_view value, value_type type = value_type::bytes) {
    log_record r{.op = op, .lsn = lsn, .key = "key", .value = value};
    r.meta.type = type;
    s.replay(r, 0);
  }
  /// version and fields, or "text", or nothing
  std::string now() {
    const auto* r = s.find_live(table::hash("key"), "key", 0);
    if (!r) return "nothing";
    const auto text = r->is_hash() ? text_of({r->value(), r->large()}) : std::string{r->value()};
    return std::to_string(r->version()) + " " + text;
  }
};

std::string pair(std::string_view name, std::string_view value) {
  field_packer packer;
  packer.add_pair(name, value);
  return std::string{packer.packed()};
}
std::string name(std::string_view name) {
  field_packer packer;
  packer.add_name(name);
  return std::string{packer.packed()};
}

} // namespace

TEST_CASE("a change of fields is replayed onto a hash of a lower version alone",
          "[storage][hash][recovery]") {
  replaying r;
  SECTION("what is not there stays so: it was erased later, and the checkpoint met that") {
    r.replay(log_op::fields_set, 5, pair("a", "1"));
    CHECK(r.now() == "nothing");
  }
  SECTION("a hash takes newer changes, and none that it has") {
    r.replay(log_op::put, 5, pair("a", "1"), value_type::hash);
    r.replay(log_op::fields_set, 7, pair("b", "2"));
    CHECK(r.now() == "7 {a=1, b=2}");
    r.replay(log_op::fields_set, 6, pair("c", "3"));
    r.replay(log_op::fields_set, 7, pair("c", "3"));
    r.replay(log_op::fields_erased, 7, name("a"));
    CHECK(r.now() == "7 {a=1, b=2}");
    r.replay(log_op::fields_erased, 8, name("a"));
    CHECK(r.now() == "8 {b=2}");
    r.replay(log_op::meta, 9, "", value_type::hash);
    CHECK(r.now() == "9 {b=2}");
    r.replay(log_op::fields_erased, 10, name("b"));
    CHECK(r.now() == "nothing");
  }
  SECTION("bytes are no hash: a put of a hash came and went before the checkpoint") {
    r.replay(log_op::put, 5, "bytes");
    r.replay(log_op::fields_set, 6, pair("b", "2"));
    r.replay(log_op::fields_erased, 7, name("b"));
    CHECK(r.now() == "5 bytes");
    r.replay(log_op::put, 8, pair("a", "1"), value_type::hash);
    CHECK(r.now() == "8 {a=1}");
  }
  SECTION("a checkpoint that was taken during writes is made exact") {
    r.s.restore("key", pair("b", "new"), {.version = 8, .type = value_type::hash});
    r.replay(log_op::put, 5, pair("a", "1"), value_type::hash);
    r.replay(log_op::fields_set, 6, pair("b", "old"));
    r.replay(log_op::fields_erased, 7, name("a"));
    r.replay(log_op::fields_set, 8, pair("b", "new"));
    CHECK(r.now() == "8 {b=new}");
    r.replay(log_op::fields_set, 9, pair("c", "3"));
    CHECK(r.now() == "9 {b=new, c=3}");
  }
}
