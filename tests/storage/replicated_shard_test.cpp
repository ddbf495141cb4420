#include "storage/replicated_shard.hpp"

#include "messages/packed_fields.hpp"
#include "storage/engine.hpp"
#include "storage/log_cursor.hpp"
#include "storage/log_record.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace warp;
using namespace warp::storage;
using warp::testing::crash_policy;
using warp::testing::faulty_file_system;

namespace {

struct standing_clock final : storage::clock {
  [[nodiscard]] std::uint64_t now_us() const noexcept override { return at_us; }
  std::uint64_t at_us = 1'800'000'000'000'000;
};

op_status apply(replicated_shard& copy, const applied_place& to, std::string_view body) {
  const committed_record one{to.lsn, body};
  return copy.apply({&one, 1}, to);
}

op_status append(replicated_shard& copy, lsn_t lsn, epoch_t epoch, std::string_view body) {
  const copied_record one{lsn, epoch, body};
  return copy.append({&one, 1});
}

/// One replicated shard, its log driven by hand.
class one_copy {
public:
  explicit one_copy(faulty_file_system& files, std::uint64_t segment_bytes = 64 * 1024)
      : files_(files) {
    auto opened = engine::open({.folder = "data",
                                .shard_count = 1,
                                .wal_streams = 1,
                                .segment_bytes = segment_bytes,
                                .flush_interval = std::chrono::milliseconds{1},
                                .replicated = true,
                                .recovery_threads = 1,
                                .time = clock,
                                .files = &files});
    INFO(opened.status().to_string());
    REQUIRE(opened.ok());
    db = std::move(*opened);
    copy = db->replicate(shard_id{0});
  }

  /// Executes and logs, as a primary does.
  op_reply write(lsn_t lsn, const operation& op) {
    op_reply reply;
    write_effect effect;
    if (op.request && copy->answer_retry(op, reply, effect)) return reply;
    copy->execute(op, lsn, copy->now_ms(), arena, reply, effect);
    if (!effect.body.empty()) {
      REQUIRE(append(*copy, lsn, 1, effect.body).ok());
      bodies[lsn] = effect.body;
    }
    return reply;
  }
  op_reply put(lsn_t lsn, std::string_view key, std::string_view value) {
    return write(lsn, {.kind = op_kind::put, .key = key, .value = value});
  }
  void commit(lsn_t lsn) {
    for (auto at = bodies.begin(); at != bodies.end() && at->first <= lsn; at = bodies.erase(at))
      REQUIRE(apply(*copy, {at->first, 1, at->first}, at->second).ok());
    copy->note_commit(lsn);
  }
  void sync() {
    copy->request_sync();
    db->run_stream(0, std::chrono::milliseconds{0});
  }
  std::string seen(std::string_view key) {
    op_reply reply;
    write_effect effect;
    copy->execute({.kind = op_kind::get, .key = key}, 0, copy->now_ms(), arena, reply, effect);
    depends_on = effect.depends_on;
    return reply.code == op_code::ok
               ? std::string{reply.value} + "@" + std::to_string(reply.version) + "/" +
                     std::to_string(reply.expires_at_ms)
               : std::string{to_string(reply.code)};
  }
  /// What is committed.
  std::map<std::string, std::string> table() {
    std::map<std::string, std::string> all;
    scan_page page;
    do {
      REQUIRE(db->scan(page.next_cursor, "", 100, page).ok());
      for (const auto& e : page.entries)
        all[std::string{e.key}] =
            (e.type == value_type::hash ? testing::text_of(e.fields()) : std::string{e.value}) +
            "@" + std::to_string(e.version) + "/" + std::to_string(e.expires_at_ms);
    } while (page.next_cursor != 0);
    return all;
  }

  std::shared_ptr<standing_clock> clock = std::make_shared<standing_clock>();
  std::unique_ptr<engine> db;
  std::unique_ptr<replicated_shard> copy;
  value_arena arena;
  std::map<lsn_t, std::string> bodies; ///< logged, not applied
  lsn_t depends_on = 0;

private:
  faulty_file_system& files_;
};

} // namespace

TEST_CASE("what is pending is seen by operations and not in the table", "[storage][replicated]") {
  faulty_file_system files;
  one_copy c{files};
  CHECK(c.put(1, "a", "1").version == 1);
  CHECK(c.seen("a") == "1@1/0");
  CHECK(c.depends_on == 1);
  CHECK(c.table().empty());
  c.commit(1);
  CHECK(c.table() == std::map<std::string, std::string>{{"a", "1@1/0"}});
  CHECK(c.seen("a") == "1@1/0");
  CHECK(c.depends_on == 0);
  CHECK(c.copy->pending() == 0);
}

TEST_CASE("the newest of several pending puts counts, whether anybody has looked at them or not",
          "[storage][replicated]") {
  faulty_file_system files;
  one_copy c{files};
  const auto put = [&](lsn_t lsn, std::string_view value, std::uint64_t expires_at_ms) {
    return c.write(
        lsn, {.kind = op_kind::put, .key = "a", .value = value, .expires_at_ms = expires_at_ms});
  };
  const auto soon = c.copy->now_ms() + 1'000;
  SECTION("one without an expiry takes that of the one before it away") {
    put(1, "old", soon);
    put(2, "new", 0);
    c.clock->at_us += 2'000'000;
    CHECK_FALSE(c.copy->has_expired("a", c.copy->now_ms()));
    CHECK(c.seen("a") == "new@2/0");
    c.commit(1);
    CHECK(c.seen("a") == "new@2/0");
  }
  SECTION("one with an expiry expires") {
    put(1, "old", 0);
    put(2, "new", soon);
    CHECK_FALSE(c.copy->has_expired("a", c.copy->now_ms()));
    c.clock->at_us += 2'000'000;
    CHECK(c.copy->has_expired("a", c.copy->now_ms()));
  }
  SECTION("an erase, a clear and an undo remove what waits") {
    put(1, "old", 0);
    SECTION("erase") {
      c.write(2, {.kind = op_kind::erase, .key = "a"});
      CHECK(c.seen("a") == "not_found");
    }
    SECTION("clear") {
      write_effect effect;
      REQUIRE(c.copy->transact(
                  2, c.copy->now_ms(), {.to = write_limits::scope::clear},
                  [](transaction& t) {
                    t.clear(durability::unspecified);
                    return transaction_end::commit;
                  },
                  effect) == op_code::ok);
      REQUIRE_FALSE(effect.body.empty());
      CHECK(c.seen("a") == "not_found");
    }
    SECTION("undo") {
      c.copy->undo();
      CHECK(c.seen("a") == "not_found");
    }
  }
}

TEST_CASE("a failed compare and a missing key tell which pending record they depend on",
          "[storage][replicated]") {
  faulty_file_system files;
  one_copy c{files};
  c.put(1, "a", "1");
  c.commit(1);
  op_reply reply;
  write_effect effect;
  const operation compare{.kind = op_kind::put,
                          .condition = write_condition::if_version,
                          .key = "a",
                          .value = "x",
                          .expected_version = 7};
  c.copy->execute(compare, 2, c.copy->now_ms(), c.arena, reply, effect);
  CHECK(reply.code == op_code::version_mismatch);
  CHECK(reply.version == 1);
  CHECK(effect.body.empty());
  CHECK(effect.depends_on == 0);
  c.put(2, "a", "2");
  c.copy->execute(compare, 3, c.copy->now_ms(), c.arena, reply, effect);
  CHECK(reply.version == 2);
  CHECK(effect.depends_on == 2);
  c.write(3, {.kind = op_kind::erase, .key = "a"});
  CHECK(c.seen("a") == "not_found");
  CHECK(c.depends_on == 3);
}

TEST_CASE("undo restores value, expiry, version and request ids exactly", "[storage][replicated]") {
  faulty_file_system files;
  one_copy c{files};
  const std::uint64_t later = c.clock->now_ms() + 60'000;
  c.write(1, {.kind = op_kind::put, .key = "a", .value = "1", .expires_at_ms = later});
  field_packer some, more;
  some.add_pair("f", "1");
  more.add_pair("g", "2");
  c.write(2, {.kind = op_kind::hash_set, .key = "h", .value = some.packed()});
  c.write(3, {.kind = op_kind::increment, .key = "n", .delta = 5, .request = {9, 1, 1}});
  c.put(4, "big", std::string(100'000, 'b'));
  c.commit(4);
  const auto before = c.table();
  REQUIRE(before.at("h") == "{f=1}@2/0");

  c.put(5, "a", "2");
  c.write(6, {.kind = op_kind::expire, .key = "a"});
  c.write(7, {.kind = op_kind::hash_set, .key = "h", .value = more.packed()});
  CHECK(c.write(8, {.kind = op_kind::increment, .key = "n", .delta = 1, .request = {9, 2, 1}})
            .number == 6);
  c.write(9, {.kind = op_kind::erase, .key = "big"});
  c.put(10, "new", "x");
  CHECK(c.table() == before);
  CHECK(c.seen("a") == "2@6/0");
  c.copy->undo();
  CHECK(c.copy->pending() == 0);
  CHECK(c.table() == before);
  CHECK(c.seen("a") == "1@1/" + std::to_string(later));
  CHECK(c.seen("new") == "not_found");
  // The first request is known, the second was never made.
  op_reply reply;
  write_effect effect;
  CHECK(c.copy->answer_retry(
      {.kind = op_kind::increment, .key = "n", .delta = 5, .request = {9, 1, 1}}, reply, effect));
  CHECK(reply.version == 3);
  CHECK(effect.depends_on == 0);
  CHECK_FALSE(c.copy->answer_retry(
      {.kind = op_kind::increment, .key = "n", .delta = 1, .request = {9, 2, 1}}, reply, effect));
}

TEST_CASE("a retry of a pending write depends on it, and is answered as it was",
          "[storage][replicated]") {
  faulty_file_system files;
  one_copy c{files};
  const operation add{.kind = op_kind::increment, .key = "n", .delta = 3, .request = {7, 1, 1}};
  c.write(1, add);
  op_reply reply;
  write_effect effect;
  REQUIRE(c.copy->answer_retry(add, reply, effect));
  CHECK(effect.depends_on == 1);
  CHECK(reply.number == 3);
  c.commit(1);
  REQUIRE(c.copy->answer_retry(add, reply, effect));
  CHECK(effect.depends_on == 0);
  CHECK(reply.number == 3);
  CHECK(reply.version == 1);
}

TEST_CASE("a change of part of a hash is pending as that part, and commits to the whole",
          "[storage][replicated]") {
  faulty_file_system files;
  one_copy c{files};
  lsn_t lsn = 0;
  std::map<std::string, std::string> model;
  for (int i = 0; i < 400; ++i) {
    const auto name = "field" + std::to_string(i % 150);
    field_packer packer;
    if (i % 7 == 3) {
      packer.add_name(name);
      const auto reply =
          c.write(lsn + 1, {.kind = op_kind::hash_erase, .key = "h", .value = packer.packed()});
      if (c.bodies.contains(lsn + 1)) ++lsn;
      CHECK(reply.number == static_cast<std::int64_t>(model.erase(name)));
    } else {
      packer.add_pair(name, std::to_string(i));
      c.write(++lsn, {.kind = op_kind::hash_set, .key = "h", .value = packer.packed()});
      model[name] = std::to_string(i);
    }
    if (i % 11 == 0 && lsn > 3) c.commit(lsn - 3);
  }
  c.commit(lsn);
  std::string all = "{";
  for (const auto& [name, value] : model) all += (all.size() == 1 ? "" : ", ") + name + "=" + value;
  CHECK(c.table().at("h") == all + "}@" + std::to_string(lsn) + "/0");
}

TEST_CASE("what has expired is there until its removal is pending, and gone when that commits",
          "[storage][replicated]") {
  faulty_file_system files;
  one_copy c{files};
  c.write(
      1,
      {.kind = op_kind::put, .key = "a", .value = "1", .expires_at_ms = c.clock->now_ms() + 1'000});
  c.put(2, "b", "1");
  c.commit(2);
  CHECK_FALSE(c.copy->has_expired("a", c.copy->now_ms()));
  CHECK(c.copy->find_expired(10, 100'000).empty());
  c.clock->at_us += 2'000'000;
  REQUIRE(c.copy->has_expired("a", c.copy->now_ms()));
  CHECK_FALSE(c.copy->has_expired("b", c.copy->now_ms()));
  CHECK(c.copy->find_expired(10, 100'000) == std::vector<std::string>{"a"});
  write_effect effect;
  c.copy->expire("a", 3, effect);
  REQUIRE(append(*c.copy, 3, 1, effect.body).ok());
  CHECK_FALSE(c.copy->has_expired("a", c.copy->now_ms()));
  CHECK(c.seen("a") == "not_found");
  CHECK(c.depends_on == 3);
  const auto keys = [&] { return c.db->stats(shard_id{0}).table.keys; }; // a scan hides it
  CHECK(keys() == 2);
  REQUIRE(apply(*c.copy, {3, 1, 0}, effect.body).ok());
  CHECK(keys() == 1);
}

TEST_CASE(
    "a start puts into the table what is known to be committed, and keeps the rest in the log",
    "[storage][replicated]") {
  faulty_file_system files;
  lsn_t last = 0;
  {
    one_copy c{files};
    c.copy->fence(1);
    for (lsn_t lsn = 1; lsn <= 20; ++lsn) c.put(lsn, "k" + std::to_string(lsn), "v");
    c.commit(12);
    c.put(21, "last", "v"); // the frame that says so
    c.sync();
    REQUIRE(c.copy->durable_lsn() == 21);
    CHECK(c.copy->durable_epoch() == 1);
    last = 21;
  }
  files.crash(crash_policy::drop_all);
  one_copy again{files};
  CHECK(again.copy->found().commit == 12);
  CHECK(again.copy->found().last == last);
  CHECK(again.copy->found().max_epoch == 1);
  CHECK(again.table().size() == 12);
  // The log has all of it.
  const auto cursor = again.db->read_log(shard_id{0}, 12);
  auto frame = cursor->next(last);
  REQUIRE(frame.ok());
  REQUIRE(*frame);
  CHECK((*frame)->header.last == last);
  // LSNs go on where the log ends, whatever the start has reserved, and count as durable only when
  // they are on disk.
  const log_record r{.op = log_op::put, .lsn = 22, .key = "x", .value = "y"};
  REQUIRE(append(*again.copy, 22, 1, body_of(r)).ok());
  CHECK(again.copy->durable_lsn() < 22);
  again.sync();
  CHECK(again.copy->durable_lsn() == 22);
}

TEST_CASE("a commit point that nothing follows gets to disk when it is asked for",
          "[storage][replicated]") {
  faulty_file_system files;
  {
    one_copy c{files};
    c.put(1, "a", "1");
    c.sync();
    c.commit(1);
    c.copy->note_commit(1, true);
    c.sync();
  }
  files.crash(crash_policy::drop_all);
  one_copy again{files};
  CHECK(again.copy->found().commit == 1);
  CHECK(again.table().size() == 1);
}

TEST_CASE("a tail that was cut off does not come back, and the records in its place do",
          "[storage][replicated]") {
  faulty_file_system files;
  {
    one_copy c{files};
    c.copy->fence(1);
    for (lsn_t lsn = 1; lsn <= 10; ++lsn) c.put(lsn, "old", std::to_string(lsn));
    c.sync();
    c.copy->undo();
    c.bodies.clear();
    c.copy->fence(2);
    c.copy->cut(4);
    CHECK(c.copy->durable_lsn() <= 4);
    const log_record begin{.op = log_op::nothing, .lsn = 100};
    REQUIRE(append(*c.copy, 100, 2, body_of(begin)).ok());
    const log_record r{.op = log_op::put, .lsn = 101, .key = "new", .value = "v"};
    REQUIRE(append(*c.copy, 101, 2, body_of(r)).ok());
    c.copy->note_commit(101);
    c.sync();
    CHECK(c.copy->durable_lsn() == 101);
  }
  files.crash(crash_policy::drop_all);
  one_copy again{files};
  CHECK(again.copy->found().commit == 101);
  CHECK(again.copy->found().max_epoch == 2);
  CHECK(again.table() == std::map<std::string, std::string>{{"old", "4@4/0"}, {"new", "v@101/0"}});
}

TEST_CASE("records of an older epoch behind a fence keep their epoch", "[storage][replicated]") {
  faulty_file_system files;
  one_copy c{files};
  c.copy->fence(9);
  const log_record r{.op = log_op::put, .lsn = 1, .key = "a", .value = "1"};
  REQUIRE(append(*c.copy, 1, 4, body_of(r)).ok());
  c.sync();
  CHECK(c.copy->durable_epoch() == 9);
  const auto cursor = c.db->read_log(shard_id{0}, 0);
  auto frame = cursor->next(1);
  REQUIRE(frame.ok());
  REQUIRE(*frame);
  CHECK((*frame)->header.epoch == 4);
}

TEST_CASE("a checkpoint of a replicated shard holds what is committed and says where that ends",
          "[storage][replicated]") {
  faulty_file_system files;
  {
    one_copy c{files};
    for (lsn_t lsn = 1; lsn <= 10; ++lsn) c.put(lsn, "k" + std::to_string(lsn), "v");
    c.commit(6);
    c.sync();
    REQUIRE(c.db->checkpoint(shard_id{0}).ok());
    CHECK(c.db->stats(shard_id{0}).checkpoint_lsn == 6);
  }
  files.crash(crash_policy::drop_all);
  one_copy again{files};
  CHECK(again.copy->found().applied == applied_place{6, 1, 6});
  CHECK(again.copy->found().commit == 6);
  CHECK(again.copy->found().last == 10);
  CHECK(again.table().size() == 6);
}

TEST_CASE("an installed checkpoint takes the place of table and log, whatever those held",
          "[storage][replicated]") {
  faulty_file_system there, here;
  one_copy from{there};
  for (lsn_t lsn = 1; lsn <= 30; ++lsn) from.put(lsn, "k" + std::to_string(lsn), "theirs");
  from.commit(30);
  from.sync();
  REQUIRE(from.db->checkpoint(shard_id{0}).ok());
  const auto path = from.db->newest_checkpoint(shard_id{0});
  REQUIRE(here.create_folder("in").ok());
  here.memory().set_bytes("in/checkpoint", there.memory().bytes(path));
  // Shorter and longer than what comes.
  const lsn_t own = GENERATE(lsn_t{0}, lsn_t{10}, lsn_t{30}, lsn_t{50});
  CAPTURE(own);
  {
    one_copy c{here};
    for (lsn_t lsn = 1; lsn <= own; ++lsn) c.put(lsn, "mine" + std::to_string(lsn), "v");
    c.sync();
    REQUIRE(c.copy->install("in/checkpoint", {30, 1, 30}).ok());
    CHECK(c.table() == from.table());
    CHECK(c.seen("mine1") == "not_found");
    SECTION("and power goes before the log has heard of it") {}
    SECTION("and the log goes on behind it") {
      c.put(31, "more", "v");
      c.sync();
      CHECK(c.copy->durable_lsn() == 31);
      c.commit(31);
      c.copy->note_commit(31, true);
      c.sync();
    }
  }
  here.crash(crash_policy::drop_all);
  one_copy again{here};
  auto expected = from.table();
  if (again.copy->found().commit == 31) expected["more"] = "v@31/0";
  CHECK(again.table() == expected);
  CHECK(again.copy->found().applied == applied_place{30, 1, 30});
}

TEST_CASE("writes past the replica are refused, and a sweep removes nothing",
          "[storage][replicated]") {
  faulty_file_system files;
  one_copy c{files};
  op_reply reply;
  const operation put{.kind = op_kind::put, .key = "a", .value = "1"};
  c.db->execute({&put, 1}, {&reply, 1}, c.arena);
  CHECK(reply.code == op_code::not_supported);
  CHECK(c.db->execute_atomic({&put, 1}, {&reply, 1}, c.arena) == op_code::not_supported);
  CHECK(c.table().empty());
  CHECK(c.db->sweep_expired(shard_id{0}) == 0);
}

TEST_CASE("a malformed body is no record", "[storage][replicated]") {
  log_record decoded;
  for (const auto& body : {std::string("\x01", 1), std::string(8, '\0'),
                           std::string("\x04\0\0\0\0\0\0\0", 8), std::string(30, '\xff')})
    CHECK_FALSE(decode_body(1, body, decoded));
  const log_record r{.op = log_op::put, .lsn = 1, .key = "a", .value = "1"};
  CHECK_FALSE(decode_body(1, std::string{body_of(r).view()} + "x", decoded));
  CHECK(decode_body(1, body_of(r), decoded));
}

TEST_CASE("records that are logged together come back in their epochs, numbers left out or not",
          "[storage][replicated]") {
  faulty_file_system files;
  {
    one_copy c{files};
    std::vector<shared_bytes> bodies;
    std::vector<copied_record> run;
    for (const lsn_t lsn : {1, 2, 3, 7, 8, 20}) {
      const auto key = std::to_string(lsn);
      bodies.push_back(body_of({.op = log_op::put, .lsn = lsn, .key = key, .value = "v"}));
      run.push_back({lsn, lsn < 3 ? 4u : 5u, bodies.back()});
    }
    run.insert(run.begin() + 3, {4, 5, {}}); // begins an epoch
    REQUIRE(c.copy->append(run).ok());
    c.sync();
    CHECK(c.copy->durable_lsn() == 20);
  }
  one_copy again{files};
  CHECK(again.copy->found().last == 20);
  CHECK(again.copy->found().max_epoch == 5);
  const auto cursor = again.db->read_log(shard_id{0}, 0);
  std::vector<std::pair<lsn_t, epoch_t>> found;
  for (;;) {
    const auto frame = cursor->next(20);
    REQUIRE(frame.ok());
    if (!*frame) break;
    auto bytes = (*frame)->records;
    auto lsn = (*frame)->header.first - 1;
    for (log_record r; !bytes.empty();) {
      REQUIRE(decode_record(bytes, lsn, r));
      CHECK((r.op == log_op::nothing ? lsn == 4 : r.key == std::to_string(lsn)));
      found.emplace_back(lsn, (*frame)->header.epoch);
    }
  }
  CHECK(found == std::vector<std::pair<lsn_t, epoch_t>>{
                     {1, 4}, {2, 4}, {3, 5}, {4, 5}, {7, 5}, {8, 5}, {20, 5}});
}

TEST_CASE("random writes, commits, undos and crashes leave what a model has",
          "[storage][replicated]") {
  // Fixed seeds: what they do is checked exactly.
  const unsigned seed = GENERATE(1u, 2u, 3u, 4u, 5u, 6u);
  CAPTURE(seed);
  std::mt19937 random{seed};
  const auto below = [&](unsigned n) { return static_cast<lsn_t>(random() % n); };
  faulty_file_system files;
  auto c = std::make_unique<one_copy>(files);
  struct change {
    std::string key;
    std::optional<std::string> value;
  };
  std::map<lsn_t, change> logged; ///< all, by LSN
  lsn_t last = 0, committed = 0, told = 0;
  epoch_t epoch = 1;
  const auto table_at = [&](lsn_t lsn) {
    std::map<std::string, std::string> all;
    for (const auto& [at, change] : logged) {
      if (at > lsn) break;
      if (change.value)
        all[change.key] = *change.value + "@" + std::to_string(at) + "/0";
      else
        all.erase(change.key);
    }
    return all;
  };
  for (int step = 0; step < 1'500; ++step) {
    const auto what = below(100);
    if (what < 70) {
      const auto key = "k" + std::to_string(below(12));
      const auto value =
          std::string(below(20) == 0 ? 9'000 : 10, static_cast<char>('a' + below(26)));
      const bool erases = below(5) == 0;
      if (below(2) == 0) { // what nobody looks at waits in another way
        const auto now = table_at(last);
        const auto seen = c->seen(key);
        CHECK(seen == (now.contains(key) ? now.at(key) : "not_found"));
      }
      const auto lsn = last + 1 + below(3);
      c->write(lsn, erases ? operation{.kind = op_kind::erase, .key = key}
                           : operation{.kind = op_kind::put, .key = key, .value = value});
      if (!c->bodies.contains(lsn)) continue;
      logged[lsn] = {key, erases ? std::nullopt : std::optional{value}};
      last = lsn;
    } else if (what < 85) {
      const auto at = logged.upper_bound(committed + below(6));
      if (at == logged.begin() || std::prev(at)->first <= committed) continue;
      committed = std::prev(at)->first;
      c->commit(committed);
    } else if (what < 92) {
      c->sync();
    } else if (what < 95) { // another primary
      c->copy->undo();
      c->bodies.clear();
      c->copy->fence(++epoch);
      c->copy->cut(committed);
      logged.erase(logged.upper_bound(committed), logged.end());
      last = committed;
    } else if (what < 97) {
      c->sync();
      REQUIRE(c->db->checkpoint(shard_id{0}).ok());
      told = committed;
    } else if (what < 99) {
      c->sync(); // of everything: the model knows what is left
      const bool keep = below(2) == 0;
      const bool clean = below(4) == 0;
      if (clean) {
        c->copy->note_commit(committed, true);
        REQUIRE(c->db->close().ok());
        told = committed;
      }
      c.reset();
      files.crash(keep ? crash_policy::keep_all : crash_policy::drop_all, seed);
      c = std::make_unique<one_copy>(files);
      REQUIRE(c->copy->found().last == last);
      const auto commit = c->copy->found().commit;
      CHECK(commit <= committed);
      CHECK(commit >= told);
      CHECK(c->table() == table_at(commit));
      // What lies above is pending again: here it is committed from the log, as far as it was.
      const auto cursor = c->db->read_log(shard_id{0}, commit);
      for (lsn_t at = commit; at < committed;) {
        auto frame = cursor->next(last);
        REQUIRE(frame.ok());
        REQUIRE(*frame);
        auto bytes = (*frame)->records;
        lsn_t lsn = (*frame)->header.first - 1;
        log_record r;
        while (!bytes.empty()) {
          REQUIRE(decode_record(bytes, lsn, r));
          if (lsn <= at || lsn > (*frame)->keep || lsn > committed) continue;
          REQUIRE(apply(*c->copy, {lsn, epoch, lsn}, body_of(r)).ok());
          at = lsn;
        }
      }
      c->copy->note_commit(committed);
      // A restart leaves no primary: what is not committed is another one's to decide.
      c->copy->fence(++epoch);
      c->copy->cut(committed);
      logged.erase(logged.upper_bound(committed), logged.end());
      last = committed;
    }
    REQUIRE(c->table() == table_at(committed));
  }
}
