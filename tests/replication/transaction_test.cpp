// Transactions of replicated shards: on what is pending, in one record, through changes of primary.

#include "messages/packed_fields.hpp"
#include "storage/transaction.hpp"
#include "storage/watch.hpp"
#include "tests/replication/host_world.hpp"
#include "tests/replication/lone_node.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace warp;
using namespace warp::cluster::replication;
using storage::durable_state;
using storage::op_reply;
using storage::transaction;
using storage::transaction_end;
using warp::testing::host_world;
using warp::testing::lone_node;

namespace {

operation put(std::string_view key, std::string_view value) {
  return {.kind = op_kind::put, .key = key, .value = value};
}
operation erase(std::string_view key) {
  return {.kind = op_kind::erase, .key = key};
}

std::string text_of(transaction& t, std::string_view key) {
  const auto* r = t.find(key);
  return r ? std::string{r->value()} : "-";
}
void apply(transaction& t, const operation& op) {
  op_reply reply;
  t.apply(op, reply);
}

op_code transact(lone_node& node, std::vector<std::string_view> keys,
                 const std::function<transaction_end(transaction&)>& body,
                 std::vector<storage::durable_target>& waits) {
  return node.engine().transact(keys, {}, body, waits);
}

std::string seen(lone_node& node, std::string_view key) {
  storage::value_arena arena;
  const operation op{.kind = op_kind::get, .key = key};
  op_reply reply;
  node.engine().execute({&op, 1}, {&reply, 1}, arena);
  return reply.code == op_code::ok ? std::string{reply.value} : "-";
}

} // namespace

TEST_CASE("a transaction sees what is pending, is one record, and is there or not as a whole",
          "[replication][transaction]") {
  lone_node node{1};
  std::vector<storage::durable_target> waits;
  lsn_t version = 0;
  CHECK(transact(
            node, {"a", "b", "h"},
            [&](transaction& t) {
              apply(t, put("a", "1"));
              apply(t, put("b", "2"));
              apply(t, erase("b"));
              apply(t, put("b", "3"));
              CHECK(text_of(t, "b") == "3");
              version = t.find("a")->version();
              CHECK(t.find("b")->version() == version);
              return transaction_end::commit;
            },
            waits) == op_code::ok);
  REQUIRE(waits.size() == 1);
  CHECK(node.engine().durable(waits[0].shard, waits[0].lsn) == durable_state::pending);
  CHECK(seen(node, "b") == "3");
  // The next one stands on it, and what it reads has to wait, too.
  CHECK(transact(
            node, {"a"},
            [&](transaction& t) {
              CHECK(text_of(t, "a") == "1");
              return transaction_end::abort;
            },
            waits) == op_code::ok);
  CHECK(waits.size() == 1);
  node.settle();
  CHECK(node.engine().durable(waits[0].shard, waits[0].lsn) == durable_state::durable);
  CHECK(seen(node, "a") == "1");
  CHECK(seen(node, "b") == "3");
  node.hosts().look_at(shard_id{0}, [&](const auto& host) {
    CHECK(host.copy().pending() == 0);
    CHECK(host.machine().log().last().lsn == version);
  });
}

TEST_CASE("what a transaction takes back has never been, nor what fails",
          "[replication][transaction]") {
  lone_node node{2};
  std::vector<storage::durable_target> waits;
  CHECK(transact(
            node, {"a"},
            [&](transaction& t) {
              apply(t, put("a", "1"));
              return transaction_end::abort;
            },
            waits) == op_code::ok);
  CHECK(waits.empty());
  CHECK(seen(node, "a") == "-");
  // A key of another shard.
  std::string other;
  for (int i = 0; other.empty(); ++i)
    if (const auto key = "x" + std::to_string(i);
        node.engine().shard_of(key) != node.engine().shard_of("a"))
      other = key;
  CHECK(transact(
            node, {"a"},
            [&](transaction& t) {
              apply(t, put("a", "1"));
              apply(t, put(other, "1"));
              return transaction_end::commit;
            },
            waits) == op_code::wrong_shard);
  CHECK(transact(
            node, {"a", other}, [](transaction&) { return transaction_end::commit; }, waits) ==
        op_code::invalid_argument);
  CHECK(seen(node, "a") == "-");
}

TEST_CASE("a mark tells of pending changes, and of a key that came and went",
          "[replication][transaction]") {
  lone_node node{1};
  const auto changed = [&](const storage::key_mark& mark) {
    bool answer = false;
    std::vector<storage::durable_target> waits;
    REQUIRE(transact(
                node, {mark.key()},
                [&](transaction& t) {
                  answer = t.has_changed(mark);
                  return transaction_end::abort;
                },
                waits) == op_code::ok);
    return answer;
  };
  const auto run = [&](const operation& op) {
    storage::value_arena arena;
    op_reply reply;
    node.engine().execute({&op, 1}, {&reply, 1}, arena);
    CHECK(reply.code == op_code::ok);
  };
  auto absent = node.engine().mark("a");
  REQUIRE(absent.ok());
  CHECK_FALSE(changed(*absent));
  run(put("a", "1"));
  CHECK(changed(*absent));
  auto there = node.engine().mark("a");
  REQUIRE(there.ok());
  CHECK_FALSE(changed(*there));
  node.settle(); // that it is committed changes nothing
  CHECK_FALSE(changed(*there));
  run(erase("a"));
  CHECK(changed(*there));
  CHECK(changed(*absent)); // it came and went
  auto gone = node.engine().mark("a");
  REQUIRE(gone.ok());
  node.settle();
  CHECK_FALSE(changed(*gone));
}

TEST_CASE("all keys of a shard are gone at once, pending ones too, and what comes behind stays",
          "[replication][transaction]") {
  lone_node node{2};
  storage::value_arena arena;
  std::vector<op_reply> replies(10);
  std::vector<std::string> keys;
  std::vector<operation> ops;
  for (int i = 0; i < 10; ++i) keys.push_back("k" + std::to_string(i));
  for (const auto& key : keys) ops.push_back(put(key, "v"));
  node.engine().execute(std::span{ops}.first(5), std::span{replies}.first(5), arena);
  node.settle();
  node.engine().execute(std::span{ops}.last(5), std::span{replies}.last(5), arena); // pending
  std::vector<storage::durable_target> waits;
  CHECK(node.engine().transact(
            {}, {.all_shards = true},
            [](transaction& t) {
              t.clear(durability::unspecified);
              return transaction_end::commit;
            },
            waits) == op_code::ok);
  CHECK(waits.size() == 2);
  for (const auto& key : keys) CHECK(seen(node, key) == "-");
  const operation again = put("k1", "new");
  op_reply reply;
  node.engine().execute({&again, 1}, {&reply, 1}, arena);
  CHECK(seen(node, "k1") == "new");
  CHECK(seen(node, "k2") == "-");
  node.settle();
  for (const auto& key : keys) CHECK(seen(node, key) == (key == "k1" ? "new" : "-"));
  storage::scan_page page;
  REQUIRE(node.engine().scan(0, "", 100, page).ok());
  CHECK(page.entries.size() == 1);
}

TEST_CASE("an atomic batch of one shard is one record, conditions and retries included",
          "[replication][transaction]") {
  lone_node node{1};
  storage::value_arena arena;
  std::vector<operation> ops{put("a", "1"),
                             {.kind = op_kind::increment, .key = "n", .delta = 5},
                             {.kind = op_kind::increment, .key = "n", .delta = 5},
                             {.kind = op_kind::get, .key = "n"}};
  for (std::size_t i = 0; i < 3; ++i) ops[i].request = {9, i + 1, 1};
  std::vector<op_reply> replies(4);
  CHECK(node.engine().execute_atomic(ops, replies, arena) == op_code::ok);
  CHECK(replies[2].number == 10);
  CHECK(replies[3].value == "10");
  CHECK(replies[0].version == replies[2].version);
  for (const auto& r : replies) CHECK(r.durable_at == replies[0].durable_at);
  CHECK(replies[0].durable_at != 0);
  std::vector<op_reply> again(4);
  CHECK(node.engine().execute_atomic(ops, again, arena) == op_code::ok);
  CHECK(again[2].number == 10);
  node.settle();
  CHECK(node.engine().execute_atomic(ops, again, arena) == op_code::ok);
  CHECK(again[1].number == 5);
  CHECK(seen(node, "n") == "10");

  std::vector<operation> fails{put("a", "2"), put("b", "2")};
  fails[1].condition = write_condition::if_present;
  std::vector<op_reply> refused(2);
  CHECK(node.engine().execute_atomic(fails, refused, arena) == op_code::not_found);
  CHECK(refused[0].code == op_code::unavailable);
  CHECK(seen(node, "a") == "1");
}

TEST_CASE("random transactions and operations through crashes and cuts leave what a model has",
          "[replication][transaction]") {
  // Fixed seeds: what they do is checked exactly.
  const unsigned seed = GENERATE(1u, 2u, 3u, 4u, 5u);
  CAPTURE(seed);
  std::mt19937 random{seed};
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  host_world world;
  REQUIRE(world.heal());
  using table = std::map<std::string, std::string>;
  table model; // what is acknowledged
  unsigned done = 0, unknown = 0;
  for (int step = 0; step < 400; ++step) {
    const auto who = world.primary();
    if (!who) {
      world.pass(200 * milliseconds);
      continue;
    }
    auto& host = world.host(*who);
    table after = model; // of an operation whose outcome may stay unknown
    const auto what = below(100);
    if (what < 80) {
      std::vector<std::string> keys;
      std::vector<std::string_view> named;
      const bool clears = below(25) == 0;
      if (!clears)
        for (unsigned i = 0; i <= below(4); ++i) keys.push_back("k" + std::to_string(below(8)));
      for (const auto& key : keys) named.emplace_back(key);
      const bool aborts = below(6) == 0;
      std::uint64_t ticket = 0;
      const auto code = host.transact(
          named, clears ? storage::write_limits::scope::clear : storage::write_limits::scope::keys,
          [&](transaction& t) {
            if (clears) {
              t.clear(durability::unspecified);
              after.clear();
              return transaction_end::commit;
            }
            table mine = model;
            for (unsigned i = 0; i < 2 * named.size(); ++i) {
              const auto key = named[below(static_cast<unsigned>(named.size()))];
              const std::string name{key};
              CHECK(text_of(t, key) == (mine.contains(name) ? mine.at(name) : "-"));
              const auto value =
                  std::string(below(10) == 0 ? 20'000 : 5, 'a') + std::to_string(random() % 1'000);
              switch (below(3)) {
              case 0:
                apply(t, erase(key));
                mine.erase(name);
                break;
              default:
                apply(t, put(key, value));
                mine[name] = value;
              }
            }
            if (aborts) return transaction_end::abort;
            after = mine;
            return transaction_end::commit;
          },
          ticket);
      if (code != op_code::ok) {
        CHECK(code == op_code::unavailable);
        world.pass(200 * milliseconds);
        continue;
      }
      const bool cut = below(12) == 0; // the primary, with this one on its way
      if (cut) world.cut_off(*who);
      world.settle();
      auto state = ticket == 0 ? durable_state::durable : host.tickets().state(ticket);
      if (cut) {
        world.pass(4 * seconds);
        if (ticket != 0) CHECK(host.tickets().state(ticket) == durable_state::pending);
        world.connect(*who);
        REQUIRE(world.heal());
        world.pass(1 * seconds);
        if (ticket != 0) state = host.tickets().state(ticket);
        CHECK((ticket == 0 || state == durable_state::failed));
      }
      if (ticket == 0) continue;
      if (state == durable_state::durable) {
        model = after;
        ++done;
        continue;
      }
      ++unknown;
      const auto now = world.table(*world.primary()); // done as a whole, or not at all
      CHECK((now == model || now == after));
      model = now;
    } else if (what < 86) {
      const auto key = "k" + std::to_string(below(8)), value = std::to_string(random());
      if (world.run(*who, put(key, value)).code == op_code::ok)
        model[key] = value;
      else {
        REQUIRE(world.heal());
        model = world.table(*world.primary());
      }
    } else if (what < 90) {
      const auto node = below(3);
      world.crash(node);
      world.start(node);
      REQUIRE(world.heal());
      world.pass(1 * seconds);
      CHECK(world.table(*world.primary()) == model);
    } else if (what < 93) {
      REQUIRE(world.engine(*who).checkpoint(shard_id{0}).ok());
    } else {
      world.pass(100 * milliseconds);
    }
  }
  CHECK(done > 50);
  REQUIRE(world.heal());
  world.pass(1 * seconds);
  for (std::size_t i = 0; i < 3; ++i) CHECK(world.table(i) == model);
  CHECK(world.halted.empty());
}

TEST_CASE("a watch of a replicated shard tells of what is committed, on any copy, and of all of it",
          "[replication][watch]") {
  host_world world;
  REQUIRE(world.heal());
  world.pass(1 * seconds);
  watch_options all;
  all.prefix = true;
  all.start = watch_start::now;
  const std::size_t node = GENERATE(0u, 1u); // the primary, and a follower
  auto& db = world.engine(node);
  auto made = db.watch_changes(all, [] {});
  REQUIRE(made.ok());
  std::vector<storage::watch_change_ptr> changes;
  const auto told = [&] {
    for (int i = 0; i < 20; ++i) db.run_watches(std::chrono::milliseconds{0});
    static_cast<void>((*made)->take(changes, 1'000, 1u << 20));
    std::string text;
    for (const auto& c : changes)
      if (const auto e = c->view(); e.is_change())
        text += std::string{e.key} + "=" + std::string{e.value} + " ";
    return text;
  };
  CHECK(told().empty());
  world.cut_off(2);
  const auto call = world.ask(0, put("a", "1"));
  world.settle();
  CHECK_FALSE(call->answer.has_value());
  CHECK(told().empty()); // it may be taken back
  world.connect(2);
  world.pass(500 * milliseconds);
  CHECK(call->answer.has_value());
  CHECK(told() == "a=1 ");
  std::uint64_t ticket = 0;
  const std::string_view keys[] = {"b", "c"};
  CHECK(world.host(0).transact(
            keys, storage::write_limits::scope::keys,
            [](transaction& t) {
              apply(t, put("b", "2"));
              apply(t, put("c", "3"));
              return transaction_end::commit;
            },
            ticket) == op_code::ok);
  world.settle();
  world.pass(500 * milliseconds);
  CHECK(told() == "a=1 b=2 c=3 ");
  // Read back from the log, across a change of primary, with nothing lost.
  auto from = (*made)->start();
  made->reset();
  world.host(0).handle(event::move_requested{node_id{1}, false});
  world.pass(2 * seconds);
  REQUIRE(world.heal());
  CHECK(world.insist(put("d", "4")).code == op_code::ok);
  world.pass(1 * seconds);
  all.start = watch_start::after;
  all.token = from;
  made = db.watch_changes(all, [] {});
  REQUIRE(made.ok());
  changes.clear();
  CHECK(told() == "a=1 b=2 c=3 d=4 ");
  for (const auto& c : changes) CHECK(c->kind != watch_kind::lost);
}
