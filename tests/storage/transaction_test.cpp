// Transactions that compute on what they read: engine::transact().

#include "storage/transaction.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/temp_folder.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <map>
#include <random>
#include <thread>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;
using namespace std::chrono_literals;

namespace {

using key_list = std::vector<std::string_view>;

op_reply put(transaction& t, std::string_view key, std::string_view value,
             durability level = durability::unspecified) {
  op_reply reply;
  t.apply({.kind = op_kind::put, .level = level, .key = key, .value = value}, reply);
  return reply;
}

op_reply erase(transaction& t, std::string_view key) {
  op_reply reply;
  t.apply({.kind = op_kind::erase, .key = key}, reply);
  return reply;
}

std::string value_of(transaction& t, std::string_view key) {
  const auto* r = t.find(key);
  return r ? std::string{r->value()} : "(none)";
}

op_code transact(running_engine& db, const key_list& keys, const transaction_body& body,
                 transaction_options options = {}) {
  std::vector<durable_target> waits;
  return db->transact(keys, options, body, waits);
}

/// Keys of different shards.
key_list keys_apart(running_engine& db, std::vector<std::string>& names, std::size_t count) {
  std::vector<bool> taken(db->shard_count());
  for (int i = 0; names.size() < count; ++i) {
    auto name = "key" + std::to_string(i);
    const auto at = db->shard_of(name).value;
    if (taken[at]) continue;
    taken[at] = true;
    names.push_back(std::move(name));
  }
  return {names.begin(), names.end()};
}

} // namespace

TEST_CASE("a transaction sees what it writes, and others see all of it or nothing",
          "[storage][transaction]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  std::vector<std::string> names;
  const auto keys = keys_apart(db, names, 3);
  REQUIRE(db.put(keys[0], "one").code == op_code::ok);
  SECTION("committed") {
    REQUIRE(transact(db, keys, [&](transaction& t) {
              const auto* first = t.find(keys[0]);
              REQUIRE(first);
              const auto seen = first->value();
              CHECK(erase(t, keys[0]).code == op_code::ok);
              CHECK(value_of(t, keys[0]) == "(none)");
              CHECK(put(t, keys[1], seen).code == op_code::ok);
              CHECK(put(t, keys[0], "two").code == op_code::ok);
              CHECK(put(t, keys[0], "three").code == op_code::ok);
              CHECK(value_of(t, keys[0]) == "three");
              op_reply sum;
              t.apply({.kind = op_kind::increment, .key = keys[2], .delta = 5}, sum);
              t.apply({.kind = op_kind::increment, .key = keys[2], .delta = 5}, sum);
              CHECK(sum.number == 10);
              CHECK(seen == "one"); // it lasts, whatever was done to the key
              return transaction_end::commit;
            }) == op_code::ok);
    CHECK(db.get(keys[0]) == "three");
    CHECK(db.get(keys[1]) == "one");
    CHECK(db.get(keys[2]) == "10");
  }
  SECTION("aborted") {
    REQUIRE(transact(db, keys, [&](transaction& t) {
              put(t, keys[0], "two");
              erase(t, keys[0]);
              put(t, keys[1], "new");
              return transaction_end::abort;
            }) == op_code::ok);
    CHECK(db.get(keys[0]) == "one");
    CHECK(db.get(keys[1]) == "(not_found)");
  }
  SECTION("a body that finds no memory") {
    CHECK(transact(db, keys, [&](transaction& t) -> transaction_end {
            put(t, keys[0], "two");
            throw std::bad_alloc{};
          }) == op_code::no_space);
    CHECK(db.get(keys[0]) == "one");
    CHECK(db.put(keys[0], "free").code == op_code::ok);
  }
  const auto before = db.everything();
  REQUIRE(db.stop().ok());
  running_engine again{small_options(folder.path())};
  CHECK(again.everything() == before);
}

TEST_CASE("conditions that do not hold are answers, and the rest of a transaction is done",
          "[storage][transaction]") {
  running_engine db{small_options("")};
  REQUIRE(transact(db, {"a"}, [&](transaction& t) {
            CHECK(erase(t, "a").code == op_code::not_found);
            op_reply reply;
            t.apply({.kind = op_kind::put,
                     .condition = write_condition::if_present,
                     .key = "a",
                     .value = "x"},
                    reply);
            CHECK(reply.code == op_code::not_found);
            CHECK(put(t, "a", "y").code == op_code::ok);
            t.apply({.kind = op_kind::increment, .key = "a"}, reply);
            CHECK(reply.code == op_code::wrong_type);
            return transaction_end::commit;
          }) == op_code::ok);
  CHECK(db.get("a") == "y");
}

TEST_CASE("a key of a shard that was not named, and what makes no sense, ends in a refusal",
          "[storage][transaction]") {
  running_engine db{small_options("")};
  std::vector<std::string> names;
  const auto keys = keys_apart(db, names, 2);
  const auto ends_in = [&](op_code expected, const std::function<void(transaction&)>& what) {
    CHECK(transact(db, {keys[0]}, [&](transaction& t) {
            CHECK(put(t, keys[0], "x").code == op_code::ok);
            what(t);
            CHECK(t.failure() == expected);
            CHECK(put(t, keys[0], "z").code == expected);
            return transaction_end::commit;
          }) == expected);
    CHECK(db.get(keys[0]) == "(not_found)");
  };
  ends_in(op_code::wrong_shard, [&](transaction& t) { put(t, keys[1], "y"); });
  ends_in(op_code::wrong_shard, [&](transaction& t) { CHECK(!t.find(keys[1])); });
  ends_in(op_code::invalid_argument, [&](transaction& t) { put(t, "", "y"); });
  ends_in(op_code::invalid_argument, [&](transaction& t) {
    op_reply reply;
    t.apply({.kind = op_kind::erase, .key = keys[0], .request = {.client = 1, .number = 1}}, reply);
  });
  ends_in(op_code::no_replicas,
          [&](transaction& t) { put(t, keys[0], "y", durability::replicated); });
  // With all shards locked there is none that was not named.
  REQUIRE(transact(db, {},
                   [&](transaction& t) {
                     for (const auto key : keys) put(t, key, "all");
                     return transaction_end::commit;
                   },
                   {.all_shards = true}) == op_code::ok);
  CHECK(db.get(keys[1]) == "all");
}

TEST_CASE("a transaction at level sync waits for what it wrote and for what it saw",
          "[storage][transaction]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  options.default_level = durability::sync;
  running_engine db{options};
  std::vector<std::string> names;
  const auto keys = keys_apart(db, names, 3);
  const auto seen = db.put(keys[0], "x").version;
  std::vector<durable_target> waits;
  const auto wait_of = [&](std::string_view key) -> lsn_t {
    for (const auto& w : waits)
      if (w.shard == db->shard_of(key)) return w.lsn;
    return 0;
  };
  lsn_t written = 0;
  const auto body = [&](transaction_end end) {
    return [&, end](transaction& t) {
      static_cast<void>(t.find(keys[0]));
      written = put(t, keys[1], "y").version;
      static_cast<void>(t.find(keys[1]));
      return end;
    };
  };
  REQUIRE(db->transact(keys, {}, body(transaction_end::commit), waits) == op_code::ok);
  CHECK(wait_of(keys[0]) == seen);
  CHECK(wait_of(keys[1]) == written);
  CHECK(wait_of(keys[2]) == 0);
  const auto before = written;
  REQUIRE(db->transact(keys, {}, body(transaction_end::abort), waits) == op_code::ok);
  CHECK(wait_of(keys[0]) == seen);
  CHECK(wait_of(keys[1]) == 0); // only its own write was seen there
  CHECK(written > before);
  const auto removed = [&] {
    lsn_t at = 0;
    REQUIRE(db.erase(keys[0]).code == op_code::ok);
    REQUIRE(db->transact(
                {keys.data(), 1}, {},
                [&](transaction& t) {
                  CHECK(!t.find(keys[0]));
                  return transaction_end::commit;
                },
                waits) == op_code::ok);
    at = wait_of(keys[0]);
    return at;
  }();
  CHECK(removed > seen);
}

TEST_CASE("large values are moved from key to key and logged whole", "[storage][transaction]") {
  temp_folder folder;
  std::string large(100'000, 'a');
  for (std::size_t i = 0; i < large.size(); i += 7) large[i] = static_cast<char>('a' + i % 23);
  std::vector<std::string> names;
  {
    running_engine db{small_options(folder.path())};
    const auto keys = keys_apart(db, names, 2);
    REQUIRE(db.put(keys[0], large).code == op_code::ok);
    REQUIRE(transact(db, keys, [&](transaction& t) {
              const auto* r = t.find(keys[0]);
              const large_value same{.plain = blob_ref::share(r->large()), .packed = {}};
              op_reply reply;
              t.apply({.kind = op_kind::put, .key = keys[1], .value = r->value()}, reply, &same);
              CHECK(reply.code == op_code::ok);
              CHECK(put(t, keys[0], std::string{r->value()} + "more").code == op_code::ok);
              return transaction_end::commit;
            }) == op_code::ok);
    CHECK(db.get(keys[1]) == large);
    REQUIRE(db.stop().ok());
  }
  running_engine again{small_options(folder.path())};
  CHECK(again.get(names[0]) == large + "more");
  CHECK(again.get(names[1]) == large);
}

TEST_CASE("without room in the log a transaction is taken back, waits and begins anew",
          "[storage][transaction]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  options.wal_streams = 2;
  options.log_buffer_bytes = 256 * 1024;
  const bool in_time = GENERATE(true, false);
  if (!in_time) options.write_stall_max = 1ms;
  auto opened = engine::open(options);
  REQUIRE(opened.ok());
  auto& db = **opened;
  const auto key_in = [&](std::uint32_t shard) {
    for (int i = 0;; ++i)
      if (auto name = "key" + std::to_string(i); db.shard_of(name).value == shard) return name;
  };
  const auto roomy = key_in(0), crowded = key_in(3);
  value_arena arena;
  op_reply reply;
  const operation first{.kind = op_kind::put, .key = roomy, .value = "before"};
  db.execute({&first, 1}, {&reply, 1}, arena);
  // Nobody drives the logs: one batch fills the buffer of the other stream.
  const std::string value(1'000, 'v');
  const std::vector<operation> fill(300, {.kind = op_kind::put, .key = crowded, .value = value});
  std::vector<op_reply> replies(fill.size());
  REQUIRE(db.execute_atomic(fill, replies, arena) == op_code::ok);

  std::atomic<bool> refused{false}, over{false};
  std::thread driver{[&] {
    refused.wait(false);
    while (in_time && !over)
      for (std::uint32_t s = 0; s < 2; ++s) db.run_stream(s, 1ms);
  }};
  int runs = 0;
  std::vector<std::string> seen;
  std::vector<durable_target> waits;
  const std::vector<std::string_view> keys{roomy, crowded};
  const auto code = db.transact(
      keys, {},
      [&](transaction& t) {
        ++runs;
        seen.push_back(value_of(t, roomy));
        put(t, roomy, "after" + std::to_string(runs));
        if (put(t, crowded, "too").code == op_code::overloaded) {
          refused = true;
          refused.notify_all();
        }
        return transaction_end::commit;
      },
      waits);
  over = true;
  driver.join();
  CHECK(seen == std::vector<std::string>(static_cast<std::size_t>(runs), "before"));
  const operation look{.kind = op_kind::get, .key = roomy};
  arena.clear();
  db.execute({&look, 1}, {&reply, 1}, arena);
  if (in_time) {
    CHECK(code == op_code::ok);
    CHECK(runs >= 2);
    CHECK(reply.value == "after" + std::to_string(runs));
  } else {
    CHECK(code == op_code::overloaded);
    CHECK(reply.value == "before");
  }
}

TEST_CASE("of transactions that move between keys no reader ever sees half",
          "[storage][transaction][threads]") {
  temp_folder folder;
  auto options = small_options(GENERATE(true, false) ? folder.path() : "");
  running_engine db{options};
  constexpr int accounts = 6, writers = 3;
  constexpr std::int64_t total = 6'000;
  std::vector<std::string> names;
  for (int i = 0; i < accounts; ++i) {
    names.push_back("account" + std::to_string(i));
    REQUIRE(db.put(names.back(), std::to_string(total / accounts)).code == op_code::ok);
  }
  const key_list all{names.begin(), names.end()};
  std::atomic<int> working{writers};
  std::atomic<std::int64_t> sums_seen{0};
  const auto sum_of = [](transaction& t, const key_list& keys) {
    std::int64_t sum = 0;
    for (const auto key : keys) sum += std::stoll(value_of(t, key));
    return sum;
  };
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w)
    threads.emplace_back([&, w] {
      std::mt19937 random{static_cast<unsigned>(w)};
      std::vector<durable_target> waits;
      for (int i = 0; i < 2'000; ++i) {
        const auto from = all[random() % accounts], to = all[random() % accounts];
        const auto amount = static_cast<std::int64_t>(random() % 100);
        const bool gives_up = random() % 4 == 0;
        const key_list both{from, to};
        const auto code = db->transact(
            both, {},
            [&](transaction& t) {
              const auto take = [&](std::string_view key, std::int64_t by) {
                put(t, key, std::to_string(std::stoll(value_of(t, key)) + by));
              };
              take(from, -amount);
              take(to, amount);
              return gives_up ? transaction_end::abort : transaction_end::commit;
            },
            waits);
        if (code != op_code::ok) std::abort();
      }
      --working;
    });
  threads.emplace_back([&] { // by transactions, and by atomic batches
    std::vector<durable_target> waits;
    value_arena arena;
    std::vector<operation> gets;
    for (const auto key : all) gets.push_back({.kind = op_kind::get, .key = key});
    std::vector<op_reply> replies(gets.size());
    do {
      std::int64_t sum = 0;
      static_cast<void>(db->transact(
          all, {},
          [&](transaction& t) {
            sum = sum_of(t, all);
            return transaction_end::commit;
          },
          waits));
      if (sum != total) std::abort();
      arena.clear();
      sum = 0;
      static_cast<void>(db->execute_atomic(gets, replies, arena));
      for (const auto& reply : replies) sum += std::stoll(std::string{reply.value});
      if (sum != total) std::abort();
      ++sums_seen;
    } while (working != 0);
  });
  threads.emplace_back([&] { // without a lock: never what was taken back, never a torn value
    value_arena arena;
    while (working != 0)
      for (const auto key : all) {
        arena.clear();
        op_reply reply;
        const operation get{.kind = op_kind::get, .key = key};
        db->execute({&get, 1}, {&reply, 1}, arena);
        if (reply.code != op_code::ok || reply.value.empty()) std::abort();
      }
  });
  for (auto& t : threads) t.join();
  CHECK(sums_seen > 0);
  REQUIRE(transact(db, all, [&](transaction& t) {
            CHECK(sum_of(t, all) == total);
            return transaction_end::commit;
          }) == op_code::ok);
}

namespace {

std::map<std::string, std::string> contents(running_engine& db) {
  std::map<std::string, std::string> all;
  for (auto& [key, value] : db.everything()) all[key] = value;
  return all;
}

} // namespace

TEST_CASE("a clear removes everything before it and nothing behind it, now and after a start",
          "[storage][transaction][clear]") {
  temp_folder folder;
  const bool with_checkpoint = GENERATE(true, false);
  const std::map<std::string, std::string> left{{"again", "2"}, {"key7", "new"}, {"later", "3"}};
  {
    running_engine db{small_options(folder.path())};
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < 3'000; ++i)
        REQUIRE(db.put("key" + std::to_string(i), "old").code == op_code::ok);
      if (with_checkpoint && round == 0)
        for (std::uint32_t s = 0; s < db->shard_count(); ++s)
          REQUIRE(db->checkpoint(shard_id{s}).ok());
      const bool commits = round == 1;
      REQUIRE(transact(db, {},
                       [&](transaction& t) {
                         put(t, "again", "1");
                         erase(t, "key5");
                         CHECK(t.key_count() == 3'000);
                         t.clear(durability::unspecified);
                         CHECK(t.key_count() == 0);
                         CHECK(!t.find("key6"));
                         put(t, "again", "2");
                         for (int i = 0; i < 100; ++i) put(t, "key" + std::to_string(i), "gone");
                         CHECK(t.key_count() == 101);
                         t.clear(durability::unspecified);
                         CHECK(erase(t, "key7").code == op_code::not_found);
                         put(t, "key7", "new");
                         put(t, "again", "2");
                         scan_page page;
                         t.scan(0, {}, 100, page, 100'000);
                         CHECK(page.entries.size() == 2);
                         return commits ? transaction_end::commit : transaction_end::abort;
                       },
                       {.all_shards = true}) == op_code::ok);
      if (!commits) {
        const auto all = contents(db);
        CHECK(all.size() == 3'000);
        CHECK(all.at("key7") == "old");
        CHECK(db->stats(db->shard_of("key7")).table.keys != 0);
      }
    }
    REQUIRE(db.put("later", "3").code == op_code::ok);
    CHECK(contents(db) == left);
    std::uint64_t keys = 0, bytes = 0;
    for (std::uint32_t s = 0; s < db->shard_count(); ++s) {
      keys += db->stats(shard_id{s}).table.keys;
      bytes += db->stats(shard_id{s}).table.value_bytes;
    }
    CHECK(keys == 3);
    CHECK(bytes == 5);
    REQUIRE(db.stop().ok());
  }
  running_engine again{small_options(folder.path())};
  CHECK(contents(again) == left);
}

TEST_CASE("keys whose memory is freed behind a clear are counted until it is back",
          "[storage][transaction][clear]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  for (int i = 0; i < 3'000; ++i)
    REQUIRE(db.put("key" + std::to_string(i), std::string(200, 'v')).code == op_code::ok);
  REQUIRE(transact(db, {},
                   [](transaction& t) {
                     t.clear(durability::unspecified, transaction::freeing::behind);
                     return transaction_end::commit;
                   },
                   {.all_shards = true}) == op_code::ok);
  for (std::uint64_t last = 3'000; last != 0;) {
    const auto now = db->keys_being_freed();
    REQUIRE(now <= last);
    last = now;
    std::this_thread::yield();
  }
  CHECK(contents(db).empty());
}

TEST_CASE("a clear among readers and writers is a moment for all of them",
          "[storage][transaction][clear][threads]") {
  running_engine db{small_options("")};
  constexpr int keys = 500;
  std::vector<std::string> names;
  for (int i = 0; i < keys; ++i) names.push_back("name" + std::to_string(i));
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  threads.emplace_back([&] { // all keys or none, by transactions
    std::vector<durable_target> waits;
    while (!over) {
      std::uint64_t count = 0;
      static_cast<void>(db->transact(
          {}, {.all_shards = true},
          [&](transaction& t) {
            count = t.key_count();
            return transaction_end::abort;
          },
          waits));
      if (count != 0 && count != keys) std::abort();
    }
  });
  threads.emplace_back([&] { // without locks: never a torn value
    value_arena arena;
    while (!over)
      for (const auto& name : names) {
        arena.clear();
        op_reply reply;
        const operation get{.kind = op_kind::get, .key = name};
        db->execute({&get, 1}, {&reply, 1}, arena);
        if (reply.code == op_code::ok ? reply.value != name : reply.code != op_code::not_found)
          std::abort();
      }
  });
  for (int round = 0; round < 200; ++round) {
    REQUIRE(transact(db, {},
                     [&](transaction& t) {
                       for (const auto& name : names) put(t, name, name);
                       return transaction_end::commit;
                     },
                     {.all_shards = true}) == op_code::ok);
    REQUIRE(transact(db, {},
                     [&](transaction& t) {
                       t.clear(durability::unspecified);
                       return round % 3 == 0 ? transaction_end::abort : transaction_end::commit;
                     },
                     {.all_shards = true}) == op_code::ok);
  }
  over = true;
  for (auto& t : threads) t.join();
}

TEST_CASE("a mark notices every change of its key, also one that left no trace, and no other",
          "[storage][transaction][mark]") {
  temp_folder folder;
  running_engine db{small_options(GENERATE(true, false) ? folder.path() : "")};
  const std::vector<std::string> fillers{"other0", "other1", "other2", "other3", "other4"};
  const auto changed = [&](const std::function<void()>& what) {
    auto mark = db->mark("key");
    REQUIRE(mark);
    what();
    for (const auto& other : fillers) {
      REQUIRE(db.put(other, "x").code == op_code::ok);
      REQUIRE(db.erase(other).code == op_code::ok);
    }
    bool verdict = false;
    REQUIRE(transact(db, {"key"}, [&](transaction& t) {
              verdict = t.has_changed(*mark);
              return transaction_end::commit;
            }) == op_code::ok);
    return verdict;
  };
  const auto put_it = [&] { REQUIRE(db.put("key", "v").code == op_code::ok); };
  const auto erase_it = [&] { db.erase("key"); };
  const auto clear_all = [&] {
    REQUIRE(transact(db, {},
                     [&](transaction& t) {
                       t.clear(durability::unspecified);
                       return transaction_end::commit;
                     },
                     {.all_shards = true}) == op_code::ok);
  };
  // Absent.
  CHECK(!changed([] {}));
  CHECK(!changed(erase_it));
  CHECK(!changed(clear_all));
  CHECK(changed([&] { put_it(), erase_it(); }));
  CHECK(changed([&] { put_it(), clear_all(); }));
  CHECK(changed([&] {
    REQUIRE(transact(db, {"key"}, [&](transaction& t) {
              put(t, "key", "v");
              erase(t, "key");
              return transaction_end::commit;
            }) == op_code::ok);
  }));
  CHECK(changed([&] {
    REQUIRE(db.run({.kind = op_kind::put, .key = "key", .value = "v", .expires_at_ms = 1}).code ==
            op_code::ok);
  }));
  CHECK(!changed([] {})); // expired, and still there
  CHECK(!changed([&] {
    for (std::uint32_t s = 0; s < db->shard_count(); ++s) db->sweep_expired(shard_id{s});
  }));
  CHECK(changed([&] {
    REQUIRE(db.run({.kind = op_kind::put, .key = "key", .value = "v", .expires_at_ms = 1}).code ==
            op_code::ok);
    for (std::uint32_t s = 0; s < db->shard_count(); ++s) db->sweep_expired(shard_id{s});
  }));
  CHECK(changed(put_it));
  // Present.
  CHECK(!changed([] {}));
  CHECK(changed(put_it));
  CHECK(changed([&] { erase_it(), put_it(); }));
  CHECK(changed([&] { clear_all(), put_it(); }));
  CHECK(changed([&] {
    REQUIRE(db.run({.kind = op_kind::expire, .key = "key", .expires_at_ms = 1}).code ==
            op_code::ok);
  }));
}
