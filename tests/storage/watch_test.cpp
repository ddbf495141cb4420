#include "storage/watch.hpp"

#include "storage/log_cursor.hpp"
#include "storage/transaction.hpp"
#include "storage/watch_filter.hpp"
#include "storage/watch_thread.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/faulty_file_system.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/support/watch_taker.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <future>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <thread>

using namespace warp;
using namespace warp::storage;
using warp::testing::crash_policy;
using warp::testing::faulty_file_system;
using warp::testing::file_operation;
using warp::testing::running_engine;
using warp::testing::small_options;
using warp::testing::temp_folder;
using warp::testing::text_of;
using warp::testing::watch_taker;
using texts = std::vector<std::string>;

namespace {

class manual_clock final : public clock {
public:
  [[nodiscard]] std::uint64_t now_us() const noexcept override { return now.load(); }
  std::atomic<std::uint64_t> now{1'700'000'000'000'000};
};

watch_options prefix(std::string key, watch_start start = watch_start::now) {
  watch_options o;
  o.key = std::move(key);
  o.prefix = true;
  o.start = start;
  return o;
}

watch_options after(watch_token token, std::string key, bool is_prefix = true) {
  watch_options o;
  o.key = std::move(key);
  o.prefix = is_prefix;
  o.start = watch_start::after;
  o.token = std::move(token);
  return o;
}

texts without(texts all, const std::set<std::string>& words) {
  std::erase_if(all, [&](const std::string& t) { return words.contains(t); });
  return all;
}

std::size_t count(const texts& all, const std::string& word) {
  return static_cast<std::size_t>(std::count(all.begin(), all.end(), word));
}

/// What somebody who only listens to a watch knows of the keys.
class mirror {
public:
  void apply(const watch_event& e) {
    switch (e.kind) {
    case watch_kind::put: {
      auto& known = keys_[std::string{e.key}];
      if (!e.state) in_order_ = in_order_ && known.version < e.version;
      known = {e.shard, e.version, std::string{e.value}};
      break;
    }
    case watch_kind::erase:
      keys_.erase(std::string{e.key});
      break;
    case watch_kind::expire:
      if (const auto known = keys_.find(std::string{e.key}); known != keys_.end())
        known->second.version = e.version;
      break;
    case watch_kind::lost:
      ++lost;
      std::erase_if(keys_, [&](const auto& known) { return known.second.shard == e.shard; });
      break;
    default:
      break;
    }
  }
  [[nodiscard]] std::map<std::string, std::string> values() const {
    std::map<std::string, std::string> all;
    for (const auto& [key, known] : keys_) all[key] = known.value;
    return all;
  }
  [[nodiscard]] bool in_order() const { return in_order_; }
  std::size_t lost = 0;

private:
  struct known_key {
    shard_id shard;
    lsn_t version = 0;
    std::string value;
  };
  std::map<std::string, known_key> keys_;
  bool in_order_ = true;
};

std::map<std::string, std::string> everything(running_engine& db) {
  const auto all = db.everything();
  return {all.begin(), all.end()};
}

} // namespace

// -- what is told
// ----------------------------------------------------------------------------------------------

TEST_CASE("a watch of a key tells its changes in order, with value, version and expiry",
          "[storage][watch]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  const bool in_memory = GENERATE(false, true);
  if (in_memory) options = {.shard_count = 4};
  running_engine db{options};
  watch_thread pump{*db};
  db.put("a", "before");
  watch_taker taker{*db, {.key = "a"}};
  db.put("b", "other");
  const auto one = db.put("a", "1").version;
  const auto two =
      db.run({.kind = op_kind::put, .key = "a", .value = "2", .expires_at_ms = 9'000'000'000'000})
          .version;
  db.run({.kind = op_kind::expire, .key = "a", .expires_at_ms = 9'000'000'000'001});
  db.erase("a");
  db.increment("a", 5);
  db.put("a", "end");
  const auto told = taker.until([](const watch_event& e) { return e.value == "end"; });
  CHECK(without(told, {"synced"}) ==
        texts{"put a=1", "put a=2", "expire a", "erase a", "put a=5", "put a=end"});
  CHECK(count(told, "synced") == 1);
  std::vector<watch_event> events;
  for (const auto& c : taker.changes)
    if (c->view().is_change()) events.push_back(c->view());
  CHECK(events[0].version == one);
  CHECK(events[0].expires_at_ms == 0);
  CHECK(events[1].version == two);
  CHECK(events[1].expires_at_ms == 9'000'000'000'000);
  CHECK(events[2].expires_at_ms == 9'000'000'000'001);
  CHECK(events[3].version > events[2].version);
  CHECK(events[0].shard == db->shard_of("a"));
  CHECK(taker.token.positions == std::vector<lsn_t>{events.back().version});
}

TEST_CASE("a watch of a prefix tells of all its keys and of no others", "[storage][watch]") {
  running_engine db{{.shard_count = 16}};
  watch_thread pump{*db};
  watch_taker users{*db, prefix("user:")}, all{*db, prefix("")}, tagged{*db, prefix("user:{7}")};
  CHECK(tagged.token.positions.size() == 1); // one shard has them all
  std::set<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    db.put("user:" + std::to_string(i), "v");
    db.put("use:" + std::to_string(i), "v");
    expected.insert("put user:" + std::to_string(i) + "=v");
  }
  db.put("user:{7}:name", "x");
  db.put("user:end", "v");
  expected.insert("put user:{7}:name=x");
  const auto is = [](std::string_view key) {
    return [n = 0, key](const watch_event& e) mutable { return e.key == key && ++n == 1; };
  };
  std::size_t seen = 0;
  const auto told =
      users.until([&](const watch_event& e) { return e.is_change() && ++seen == 52; });
  std::set<std::string> got{told.begin(), told.end()};
  expected.insert("put user:end=v");
  expected.insert("synced");
  CHECK(got == expected);
  CHECK(without(tagged.until(is("user:{7}:name")), {"synced"}) == texts{"put user:{7}:name=x"});
  seen = 0;
  CHECK(all.until([&](const watch_event& e) { return e.is_change() && ++seen == 102; }).size() ==
        103);
}

TEST_CASE("expiry is told as an erase when the record is removed", "[storage][watch][expiry]") {
  auto time = std::make_shared<manual_clock>();
  running_engine db{{.shard_count = 4, .time = time}};
  watch_thread pump{*db};
  watch_taker taker{*db, {.key = "k"}};
  db.run({.kind = op_kind::put, .key = "k", .value = "v", .expires_at_ms = time->now_ms() + 10});
  time->now += 1'000'000;
  db->sweep_expired(db->shard_of("k"), 1'000);
  CHECK(without(taker.until([](const watch_event& e) { return e.kind == watch_kind::erase; }),
                {"synced"}) == texts{"put k=v", "erase k"});
}

TEST_CASE("large values and atomic batches are told as everything else", "[storage][watch]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  watch_thread pump{*db};
  watch_taker taker{*db, prefix("")};
  const std::string big(100'000, 'x');
  const std::vector<operation> batch{
      {.kind = op_kind::put, .key = "{t}a", .value = "1"},
      {.kind = op_kind::put, .key = "{t}big", .value = big},
      {.kind = op_kind::increment, .key = "{t}n", .delta = 3},
      {.kind = op_kind::put, .key = "{t}end", .value = "e"},
  };
  std::vector<op_reply> replies(batch.size());
  value_arena arena;
  REQUIRE(db->execute_atomic(batch, replies, arena) == op_code::ok);
  CHECK(without(taker.until_key("{t}end"), {"synced"}) ==
        texts{"put {t}a=1", "put {t}big=" + big, "put {t}n=3", "put {t}end=e"});
}

TEST_CASE("a change of fields is told as those fields, from the tap and from the log alike",
          "[storage][watch][hash]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  watch_thread pump{*db};
  watch_taker taker{*db, {.key = "h"}};
  const auto first = db.hash_set("h", {{"a", "1"}, {"b", "2"}}).version;
  db.hash_set("h", {{"b", "3"}}, durability::sync);
  db.hash_increment("h", "n", 7);
  db.hash_erase("h", {"a", "none"});
  db.hash_erase("h", {"b", "n"});
  db.put("h", "end", durability::sync);
  const texts changes{"set h b=3", "set h n=7", "unset h a none", "erase h", "put h=end"};
  const auto told =
      without(taker.until([](const watch_event& e) { return e.value == "end"; }), {"synced"});
  REQUIRE(told.size() == 1 + changes.size());
  const auto whole = taker.changes[taker.changes.front()->kind == watch_kind::synced ? 1 : 0];
  CHECK(whole->kind == watch_kind::put);
  CHECK(whole->type == value_type::hash);
  CHECK(warp::testing::text_of(hash_view{whole->view().value, nullptr}) == "{a=1, b=2}");
  CHECK(texts{told.begin() + 1, told.end()} == changes);
  // From the log, after the first one.
  watch_taker later{*db, {.key = "h", .start = watch_start::after, .version = first}};
  CHECK(without(later.until([](const watch_event& e) { return e.value == "end"; }),
                {"synced", "lagged"}) == changes);
}

TEST_CASE("the state of a large hash is told as all of its fields", "[storage][watch][hash]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  watch_thread pump{*db};
  running_engine::fields many;
  for (int i = 0; i < 500; ++i) many.emplace_back("f" + std::to_string(i), "v");
  db.hash_set("{t}h", many);
  watch_options from_state{.key = "{t}", .prefix = GENERATE(false, true)};
  if (!from_state.prefix) from_state.key = "{t}h";
  from_state.start = watch_start::state;
  watch_taker taker{*db, from_state};
  taker.until([](const watch_event& e) { return e.kind == watch_kind::synced; });
  const auto state = std::ranges::find_if(taker.changes, [](const auto& c) { return c->state; });
  REQUIRE(state != taker.changes.end());
  CHECK((*state)->type == value_type::hash);
  CHECK(warp::testing::text_of(hash_view{(*state)->view().value, nullptr}) == db.hash_all("{t}h"));
}

// -- where it starts
// -------------------------------------------------------------------------------------------

TEST_CASE("a watch that asks for the state gets it before the changes", "[storage][watch]") {
  temp_folder folder;
  const auto level = GENERATE(watch_level::applied, watch_level::durable);
  running_engine db{small_options(folder.path())};
  watch_thread pump{*db};
  std::map<std::string, std::string> model;
  for (int i = 0; i < 500; ++i) {
    const auto key = (i % 2 == 0 ? "k" : "x") + std::to_string(i);
    db.put(key, std::to_string(i));
    if (i % 2 == 0) model[key] = std::to_string(i);
  }
  auto options = prefix("k", watch_start::state);
  options.level = level;
  watch_taker taker{*db, options};
  CHECK(taker.token.positions == std::vector<lsn_t>(4, watch_token::unknown));
  mirror seen;
  const auto told = taker.until(watch_kind::synced);
  for (const auto& c : taker.changes) seen.apply(c->view());
  CHECK(seen.values() == model);
  CHECK(count(told, "state end") == 4);
  CHECK(count(told, "lost") == 0);

  watch_taker absent{*db, {.key = "absent", .start = watch_start::state}};
  CHECK(absent.until(watch_kind::synced) == texts{"absent absent", "state end", "synced"});
  watch_taker present{*db, {.key = "k2", .start = watch_start::state}};
  CHECK(present.until(watch_kind::synced) == texts{"state k2=2", "state end", "synced"});
}

TEST_CASE("a watch goes on after a version or a token, from the log, with nothing missing",
          "[storage][watch]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  options.segment_bytes = 64 * 1024; // the log rolls many times
  running_engine db{options};
  watch_thread pump{*db};
  watch_token token;
  {
    watch_taker first{*db, prefix("")};
    db.put("k", "0");
    first.until_key("k");
    token = first.token;
  }
  const auto version = db.read("k").version;
  texts expected;
  const std::string padding(300, 'p');
  for (int i = 1; i <= 2'000; ++i) {
    db.put("k", std::to_string(i));
    db.put("other" + std::to_string(i % 7), padding);
    expected.push_back("put k=" + std::to_string(i));
  }
  const auto is_last = [](const watch_event& e) { return e.key == "k" && e.value == "2000"; };
  watch_taker by_version{*db, {.key = "k", .start = watch_start::after, .version = version}};
  CHECK(without(by_version.until(is_last), {"synced"}) == expected);
  watch_taker by_token{*db, after(token, "")};
  auto told = without(by_token.until(watch_kind::synced), {"synced"});
  CHECK(count(told, "lost") == 0);
  CHECK(told.size() == 4'000);
  std::erase_if(told, [](const std::string& t) { return !t.starts_with("put k="); });
  CHECK(told == expected);
  // And from there on live.
  db.put("k", "live");
  CHECK(by_token.until_key("k") == texts{"put k=live"});
}

TEST_CASE("where the log was released the state is told, and that something was lost",
          "[storage][watch]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  options.segment_bytes = 64 * 1024;
  options.wal_max_bytes = 256 * 1024;
  options.checkpoints_kept = 1;
  running_engine db{options};
  watch_thread pump{*db};
  watch_taker first{*db, prefix("")};
  const auto token = first.token;
  const auto unchanged = db.put("same", "v").version;
  const std::string value(1'000, 'v');
  for (int i = 0; i < 2'000; ++i) db.put("k" + std::to_string(i % 100), value + std::to_string(i));
  db.erase("k7");
  for (std::uint32_t s = 0; s < 4; ++s) REQUIRE(db->checkpoint(shard_id{s}).ok());
  for (int i = 0; i < 500; ++i) db.put("k" + std::to_string(i % 5), value, durability::sync);
  for (std::uint32_t s = 0; s < 4; ++s) REQUIRE(db->checkpoint(shard_id{s}).ok());
  watch_taker again{*db, after(token, "")};
  const auto told = again.until(watch_kind::synced);
  CHECK(count(told, "lost") == 4);
  mirror seen;
  for (const auto& c : again.changes) seen.apply(c->view());
  CHECK(seen.values() == everything(db));
  // A key that is as it was has lost nothing.
  watch_taker same{*db, {.key = "same", .start = watch_start::after, .version = unchanged}};
  CHECK(same.until(watch_kind::synced) == texts{"synced"});
  watch_taker gone{*db, {.key = "k7", .start = watch_start::after, .version = unchanged}};
  CHECK(count(gone.until(watch_kind::synced), "absent k7") == 1);
}

TEST_CASE("a watch goes on over a clean restart, and is told what a crash took back",
          "[storage][watch][crash]") {
  faulty_file_system files;
  auto options = small_options("folder");
  options.files = &files;
  watch_token token;
  lsn_t durable = 0;
  {
    running_engine db{options};
    {
      watch_thread pump{*db};
      watch_taker taker{*db, prefix("{k}")};
      db.put("{k}", "1", durability::sync);
      taker.until_key("{k}");
      token = taker.token;
    }
    db.put("{k}", "2", durability::sync);
    REQUIRE(db.stop().ok());
  }
  {
    running_engine db{options};
    watch_thread pump{*db};
    watch_taker taker{*db, after(token, "{k}")};
    db.put("{k}", "3");
    CHECK(without(taker.until([](const watch_event& e) { return e.is_change() && e.value == "3"; }),
                  {"synced"}) == texts{"put {k}=2", "put {k}=3"});
    durable = db.put("{k}", "4", durability::sync).version;
    taker.until([](const watch_event& e) { return e.value == "4"; });
    token = taker.token;
    CHECK(token.positions == std::vector<lsn_t>{durable});
  }
  files.crash(crash_policy::drop_all);
  SECTION("all that it saw is there: nothing is lost") {
    running_engine db{options};
    watch_thread pump{*db};
    watch_taker taker{*db, after(token, "{k}")};
    CHECK(taker.token == token);
    db.put("{k}", "5");
    CHECK(without(taker.until_key("{k}"), {"synced"}) == texts{"put {k}=5"});
  }
  SECTION("it saw more than the disk has: lost, and the state") {
    ++token.positions[0];
    running_engine db{options};
    watch_thread pump{*db};
    watch_taker taker{*db, after(token, "{k}")};
    CHECK(taker.until(watch_kind::synced) == texts{"lost", "state {k}=4", "state end", "synced"});
    // Also after another crash, when newer history lies above it.
    db.put("{k}", "5", durability::sync);
    files.crash(crash_policy::drop_all);
  }
  SECTION("and by version, two crashes later") {
    for (int i = 0; i < 2; ++i) {
      running_engine db{options};
      db.put("{k}x", "x", durability::sync);
      files.crash(crash_policy::drop_all);
    }
    running_engine db{options};
    watch_thread pump{*db};
    watch_taker taken_back{*db,
                           {.key = "{k}", .start = watch_start::after, .version = durable + 1}};
    CHECK(taken_back.until(watch_kind::synced) ==
          texts{"lost", "state {k}=4", "state end", "synced"});
    watch_taker known{*db, {.key = "{k}", .start = watch_start::after, .version = durable}};
    CHECK(known.until(watch_kind::synced) == texts{"synced"});
  }
}

TEST_CASE("a token of another universe starts from the state", "[storage][watch]") {
  watch_token token;
  {
    running_engine db{{.shard_count = 1}};
    db.put("a", "1");
    watch_taker taker{*db, {.key = "a"}};
    token = taker.token;
  }
  running_engine db{{.shard_count = 1}}; // in memory only: another universe after each start
  watch_thread pump{*db};
  db.put("a", "2");
  watch_taker taker{*db, after(token, "a", false)};
  CHECK(taker.until(watch_kind::synced) == texts{"lost", "state a=2", "state end", "synced"});
  const auto bytes = token.to_bytes();
  CHECK(watch_token::from_bytes(bytes) == token);
  CHECK_FALSE(watch_token::from_bytes(bytes.substr(1)));
  CHECK_FALSE(watch_token::from_bytes(bytes + "x"));
  CHECK_FALSE(watch_token::from_bytes(""));
}

TEST_CASE("what makes no sense is refused", "[storage][watch]") {
  running_engine db{{.shard_count = 4, .watches_max = 1}};
  const auto code = [&](watch_options o) { return db->watch_changes(std::move(o), {}).code(); };
  CHECK(code({.key = ""}) == op_code::invalid_argument);
  CHECK(code({.key = std::string(key_size_max + 1, 'k')}) == op_code::invalid_argument);
  CHECK(code({.key = "p", .prefix = true, .start = watch_start::after}) ==
        op_code::invalid_argument);
  CHECK(code({.key = "k", .level = watch_level::durable}) == op_code::no_replicas);
  watch_taker one{*db, prefix("")};
  CHECK(code({.key = "k"}) == op_code::overloaded);
  CHECK(code(after(one.token, "k", false)) == op_code::invalid_argument);
  one.drop();
  CHECK(code({.key = "k"}) == op_code::ok);
}

// -- durability
// ------------------------------------------------------------------------------------------------

TEST_CASE("a watch at level durable is told of nothing that is not on disk", "[storage][watch]") {
  faulty_file_system files;
  auto options = small_options("folder");
  options.files = &files;
  options.flush_interval = std::chrono::hours{1}; // nothing gets to disk unless it is asked for
  running_engine db{options};
  watch_thread pump{*db};
  watch_taker applied{*db, {.key = "{k}"}};
  watch_taker durable{*db, {.key = "{k}", .level = watch_level::durable}};
  durable.until(watch_kind::synced);
  db.put("{k}", "1");
  applied.until_key("{k}");
  std::vector<watch_change_ptr> none;
  CHECK((*durable).take(none, 10, 10'000));
  CHECK(none.empty());
  CHECK(db->durable(db->shard_of("{k}"), db.read("{k}").version) == durable_state::pending);
  db.put("{k}other", "x", durability::sync);
  CHECK(durable.until_key("{k}") == texts{"put {k}=1"});
  CHECK(db->durable(db->shard_of("{k}"), db.read("{k}").version) == durable_state::durable);
}

TEST_CASE("a durable watch of the state waits for the state to be on disk", "[storage][watch]") {
  faulty_file_system files;
  auto options = small_options("folder");
  options.files = &files;
  options.shard_count = 1;
  options.flush_interval = std::chrono::hours{1};
  running_engine db{options};
  db.put("a", "1", durability::sync);
  std::promise<void> held, go_on;
  std::atomic<bool> hold{true};
  auto may_go = go_on.get_future().share();
  files.set_observer([&](file_operation operation, const std::string& path) {
    if (operation != file_operation::sync || path.find("wal") == std::string::npos) return;
    if (!hold.exchange(false)) return;
    held.set_value();
    may_go.wait();
  });
  db.put("a", "2");
  db.put("b", "2");
  auto o = prefix("", watch_start::state);
  o.level = watch_level::durable;
  watch_taker taker{*db, o};
  {
    watch_thread pump{*db};
    held.get_future().wait(); // it has asked for the disk, and the disk does not answer
  }
  for (int i = 0; i < 5; ++i) db->run_watches(std::chrono::milliseconds{0});
  std::vector<watch_change_ptr> none;
  CHECK((*taker).take(none, 10, 10'000));
  CHECK(none.empty());
  go_on.set_value();
  watch_thread pump{*db};
  mirror seen;
  taker.until(watch_kind::synced);
  for (const auto& c : taker.changes) seen.apply(c->view());
  CHECK(seen.values() == std::map<std::string, std::string>{{"a", "2"}, {"b", "2"}});
  files.set_observer({});
}

// -- who is slow
// -----------------------------------------------------------------------------------------------

TEST_CASE("a watch that nobody takes from holds little, lags, and misses nothing",
          "[storage][watch][slow]") {
  temp_folder folder;
  const auto level = GENERATE(watch_level::applied, watch_level::durable);
  auto options = small_options(folder.path());
  options.watch_buffer_bytes = 16 * 1024;
  running_engine db{options};
  watch_thread pump{*db};
  auto o = prefix("k");
  o.level = level;
  watch_taker slow{*db, o};
  const std::string value(100, 'v');
  for (int i = 0; i < 20'000; ++i)
    db.put("k" + std::to_string(i % 50), value + std::to_string(i),
           i % 100 == 0 ? durability::sync : durability::async);
  db.put("{kx}end", "", durability::sync);
  db.put("k-end", "end", durability::sync);
  CHECK(db->stats_of_watches().queued_bytes <= 3 * 16 * 1024);
  mirror seen;
  const auto told = slow.until(
      [&](const watch_event& e) { return seen.apply(e), e.is_change() && e.value == "end"; });
  // The end is the last change of its shard; the others follow until it is synced again.
  auto rest = slow.until(watch_kind::synced);
  for (const auto& c : slow.changes) seen.apply(c->view());
  CHECK(count(told, "lagged") >= 1);
  CHECK(count(told, "lost") == 0);
  std::size_t puts = 0;
  for (const auto& c : slow.changes) puts += c->view().is_change();
  CHECK(puts == 20'001);
  auto expected = everything(db);
  std::erase_if(expected, [](const auto& kv) { return kv.first[0] != 'k'; });
  CHECK(seen.values() == expected);
  CHECK(db->stats_of_watches().lagged >= 1);
}

TEST_CASE("a watch that nobody takes from holds back no log", "[storage][watch][slow]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  options.shard_count = 2;
  options.segment_bytes = 64 * 1024;
  options.wal_max_bytes = 512 * 1024;
  options.checkpoints_kept = 1;
  options.watch_buffer_bytes = 4'096;
  running_engine db{options};
  watch_thread pump{*db};
  watch_taker slow{*db, prefix("")};
  const std::string value(1'000, 'v');
  std::uint64_t most = 0;
  for (int i = 0; i < 5'000; ++i) {
    db.put("k" + std::to_string(i % 50), value + std::to_string(i));
    if (i % 250 != 0) continue;
    for (std::uint32_t s = 0; s < 2; ++s) REQUIRE(db->checkpoint(shard_id{s}).ok());
    most = std::max(most, db->stats_of_stream(0).segment_bytes);
  }
  CHECK(most < 2 * 512 * 1024); // of 5 MB that were written
  mirror seen;
  const auto expected = everything(db);
  do slow.until([&](const watch_event& e) { return seen.apply(e), true; });
  while (seen.values() != expected);
  CHECK(seen.lost >= 1);
}

TEST_CASE("all watches together hold no more than they may", "[storage][watch][slow]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  options.watch_memory_bytes = 256 * 1024;
  running_engine db{options};
  watch_thread pump{*db};
  std::vector<std::unique_ptr<watch_taker>> takers;
  for (int i = 0; i < 20; ++i) takers.push_back(std::make_unique<watch_taker>(*db, prefix("{k}")));
  const std::string value(1'000, 'v');
  for (int i = 0; i < 600; ++i) db.put("{k}", value);
  db.put("{k}", "end", durability::sync);
  // One after the other: the ones that nobody takes from yet must not stand in the way.
  for (auto& taker : takers) {
    CHECK(db->stats_of_watches().queued_bytes <= 256 * 1024 + 20 * 2'000);
    const auto told = taker->until([](const watch_event& e) { return e.value == "end"; });
    CHECK(count(told, "put {k}=" + value) == 600);
    CHECK(count(told, "lost") == 0);
  }
}

TEST_CASE("in memory only a slow watch is told the state in place of what it missed",
          "[storage][watch][slow]") {
  running_engine db{{.shard_count = 4, .watch_buffer_bytes = 16 * 1024}};
  watch_thread pump{*db};
  watch_taker slow{*db, prefix("k")};
  watch_taker one{*db, {.key = "k1"}};
  for (int i = 0; i < 20'000; ++i) db.put("k" + std::to_string(i % 300), std::to_string(i));
  mirror seen;
  const auto told = slow.until(watch_kind::synced);
  std::size_t lost = 0;
  // Synced may have come before the writes; the state of all four shards comes after them.
  while (everything(db) != seen.values()) {
    slow.until([&](const watch_event&) { return true; });
    mirror again;
    for (const auto& c : slow.changes) again.apply(c->view());
    seen = again;
    lost = again.lost;
  }
  CHECK(lost >= 1);
  CHECK(db->stats_of_watches().lost >= 1);
  const auto last = db.get("k1");
  one.until([&](const watch_event& e) { return e.value == last; });
}

TEST_CASE("writers that are too fast for a tap are not slowed, and the log tells the rest",
          "[storage][watch][slow]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  options.shard_count = 1;
  options.watch_buffer_bytes = 64u << 20;
  running_engine db{options};
  watch_taker taker{*db, prefix("k")};
  // Nobody carries anything meanwhile.
  const std::string value(1'000, 'v');
  texts expected;
  for (int i = 0; i < 5'000; ++i) {
    db.put("k" + std::to_string(i), value);
    expected.push_back("put k" + std::to_string(i) + "=" + value);
  }
  watch_thread pump{*db};
  CHECK(without(taker.until_key("k4999"), {"synced"}) == expected);
  CHECK(db->stats_of_watches().overflows >= 1);
  CHECK(db->stats_of_watches().lost == 0);
  db.put("k", "live");
  CHECK(taker.until_key("k") == texts{"put k=live"});
}

TEST_CASE("an overflowing tap in memory only loses nothing for keys that did not change",
          "[storage][watch][slow]") {
  running_engine db{{.shard_count = 1, .watch_buffer_bytes = 64u << 20}};
  db.put("quiet", "v");
  watch_taker quiet{*db, {.key = "quiet"}}, loud{*db, {.key = "loud"}};
  const std::string value(10'000, 'v');
  for (int i = 0; i < 1'000; ++i) db.put("loud", value + std::to_string(i));
  watch_thread pump{*db};
  const auto told = loud.until([&](const watch_event& e) { return e.value == value + "999"; });
  CHECK(count(told, "lost") == 1);
  CHECK(quiet.until(watch_kind::synced) == texts{"synced"});
  db.put("quiet", "2");
  CHECK(quiet.until_key("quiet") == texts{"put quiet=2"});
}

TEST_CASE("that everything was cleared is told as lost, and what is there then follows",
          "[storage][watch][clear]") {
  temp_folder folder;
  const bool in_memory = GENERATE(false, true);
  running_engine db{small_options(in_memory ? "" : folder.path())};
  for (int i = 0; i < 100; ++i) db.put("k" + std::to_string(i), "old");
  watch_thread pump{*db};
  watch_taker all{*db, prefix("", watch_start::state)}, one{*db, {.key = "k7"}};
  all.until(watch_kind::synced);
  one.until(watch_kind::synced);
  std::vector<durable_target> waits;
  REQUIRE(db->transact(
              {}, {.all_shards = true},
              [](transaction& t) {
                t.clear(durability::unspecified);
                op_reply reply;
                t.apply({.kind = op_kind::put, .key = "k8", .value = "new"}, reply);
                return transaction_end::commit;
              },
              waits) == op_code::ok);
  CHECK(count(one.until(watch_kind::synced), "lost") == 1);
  mirror of_one;
  for (const auto& c : one.changes) of_one.apply(c->view());
  CHECK(of_one.values().empty());
  mirror seen;
  const auto all_told = [&] {
    seen = {};
    for (const auto& c : all.changes) seen.apply(c->view());
    return seen.values() == everything(db);
  };
  while (!all_told()) all.until(watch_kind::synced);
  CHECK(seen.lost >= 1);
  db.put("k9", "live");
  all.until_key("k9");
  CHECK(all_told());
}

TEST_CASE("writes at level memory are told live, and their absence from the log is noticed",
          "[storage][watch][slow]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  options.shard_count = 1;
  running_engine db{options};
  watch_thread pump{*db};
  watch_taker taker{*db, prefix("")};
  const auto token = taker.token;
  db.put("a", "1", durability::memory);
  CHECK(without(taker.until_key("a"), {"synced"}) == texts{"put a=1"});
  db.put("b", "2", durability::sync);
  const auto from_the_middle = GENERATE(false, true);
  if (!from_the_middle) db.put("c", "3", durability::memory); // the last write of all
  watch_taker again{*db, after(token, "")};
  const auto told = again.until(watch_kind::synced);
  CHECK(count(told, "lost") == 1);
  mirror seen;
  for (const auto& c : again.changes) seen.apply(c->view());
  CHECK(seen.values() == everything(db));
}

TEST_CASE("a copy of a shard tells its watches what it takes over", "[storage][watch][follow]") {
  faulty_file_system files;
  auto options = small_options("primary");
  options.files = &files;
  options.shard_count = 1;
  running_engine primary{options};
  primary.put("a", "1", durability::sync);
  primary.put("b", "1", durability::sync);
  options.folder = "copy";
  running_engine copy{options};
  watch_thread pump{*copy};
  watch_taker taker{*copy, prefix("")};
  taker.until(watch_kind::synced);
  REQUIRE(primary->checkpoint(shard_id{0}).ok());
  const auto from = primary->stats(shard_id{0}).checkpoint_lsn;
  REQUIRE(copy->install_checkpoint(shard_id{0}, primary->newest_checkpoint(shard_id{0})).ok());
  auto state = taker.until(watch_kind::synced);
  std::sort(state.begin(), state.end());
  CHECK(state == texts{"lost", "state a=1", "state b=1", "state end", "synced"});

  primary.put("a", "2", durability::sync);
  primary.erase("b", durability::sync);
  primary.put("a", "3", durability::sync);
  const auto cursor = primary->read_log(shard_id{0}, from);
  for (;;) {
    auto frame = cursor->next(primary->stats(shard_id{0}).durable_lsn);
    REQUIRE(frame.ok());
    if (!*frame) break;
    REQUIRE(copy->apply_frame(shard_id{0}, **frame).ok());
    REQUIRE(copy->apply_frame(shard_id{0}, **frame).ok()); // what is repeated is told once
  }
  CHECK(taker.until([](const watch_event& e) { return e.value == "3"; }) ==
        texts{"put a=2", "erase b", "put a=3"});
}

// -- many
// ------------------------------------------------------------------------------------------------------

TEST_CASE("four writers, splits and growth: what a watch tells makes exactly what is there",
          "[storage][watch][threads]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  temp_folder folder;
  const bool in_memory = GENERATE(false, true);
  auto options = small_options(folder.path());
  if (in_memory) options = {.shard_count = 4};
  // Small enough for some watches to lag, and for taps to overflow now and then.
  options.watch_buffer_bytes = 256 * 1024;
  running_engine db{options};
  watch_thread pump{*db};
  watch_taker early{*db, prefix("")};
  std::optional<watch_taker> late;
  std::atomic<bool> half{false};
  std::vector<std::jthread> writers;
  for (unsigned w = 0; w < 4; ++w)
    writers.emplace_back([&, w] {
      std::mt19937_64 random{seed + w};
      value_arena arena;
      for (int i = 0; i < 8'000; ++i) {
        // Keys of all writers and keys of its own, ever more of them.
        const auto own = random() % 4 != 0;
        const auto key = own ? "w" + std::to_string(w) + ":" + std::to_string(i)
                             : "all:" + std::to_string(random() % 100);
        const auto value = std::to_string(random()) + std::string(random() % 60, 'x');
        operation op{.kind = random() % 10 == 0 ? op_kind::erase : op_kind::put,
                     .level = in_memory ? durability::memory : durability::async,
                     .key = key,
                     .value = value};
        if (random() % 500 == 0) op.value = std::string_view{};
        op_reply reply;
        arena.clear();
        db->execute({&op, 1}, {&reply, 1}, arena);
        if (i == 4'000) half = true;
      }
    });
  while (!half) std::this_thread::yield();
  late.emplace(*db, prefix("", watch_start::state));
  writers.clear();
  // Everything was written before this: one more key per shard says that all of it was told.
  std::set<std::string> ends;
  for (int i = 0; ends.size() < db->shard_count(); ++i) {
    const auto key = "end" + std::to_string(i);
    bool fresh = true;
    for (const auto& other : ends) fresh = fresh && db->shard_of(other) != db->shard_of(key);
    if (fresh) ends.insert(key);
  }
  for (const auto& key : ends) db.put(key, "end");
  const auto expected = everything(db);
  for (auto* taker : {&early, &*late}) {
    auto left = ends;
    mirror seen;
    while (!left.empty())
      taker->until([&](const watch_event& e) {
        seen.apply(e);
        if (e.kind == watch_kind::lost) // its state comes
          for (const auto& key : ends)
            if (db->shard_of(key) == e.shard) left.insert(key);
        return e.is_change() && left.erase(std::string{e.key}) != 0 && left.empty();
      });
    if (seen.values() != expected)
      taker->until([&](const watch_event& e) {
        seen.apply(e);
        return e.kind == watch_kind::synced && seen.values() == expected;
      });
    CHECK(seen.values() == expected);
    CHECK(seen.in_order());
    if (!in_memory) CHECK(seen.lost == 0);
  }
}

TEST_CASE("ten thousand watches of other keys are not told and do not let writes through",
          "[storage][watch]") {
  running_engine db{{.shard_count = 16}};
  watch_thread pump{*db};
  std::vector<std::unique_ptr<watch>> idle;
  std::atomic<int> rung{0};
  for (int i = 0; i < 10'000; ++i) {
    auto made = db->watch_changes({.key = "watched" + std::to_string(i)}, [&] { ++rung; });
    REQUIRE(made.ok());
    idle.push_back(std::move(*made));
  }
  CHECK(db->stats_of_watches().watches == 10'000);
  watch_taker taker{*db, {.key = "end"}};
  for (int i = 0; i < 20'000; ++i) db.put("other" + std::to_string(i), "v");
  db.put("watched77", "v");
  db.put("end", "");
  taker.until_key("end");
  std::size_t told = 0;
  std::vector<watch_change_ptr> out;
  for (std::size_t i = 0; i < idle.size(); ++i) {
    out.clear();
    while (out.empty()) { // "synced" is the first for all of them
      idle[i]->take(out, 10, 10'000);
      if (out.empty()) std::this_thread::yield();
    }
    if (i == 77)
      while (out.size() < 2) idle[i]->take(out, 10, 10'000);
    for (const auto& c : out) told += c->view().is_change();
  }
  CHECK(told == 1);
  idle.clear();
  CHECK(db->stats_of_watches().watches == 1);
}

TEST_CASE("a sieve says yes to all it has and no to most others", "[storage][watch]") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random{seed};
  hash_sieve sieve{1'000};
  CHECK_FALSE(hash_sieve{}.may_have(7));
  std::vector<std::uint64_t> in;
  for (int i = 0; i < 1'000; ++i) in.push_back(random());
  for (const auto hash : in) sieve.add(hash);
  CHECK(std::all_of(in.begin(), in.end(), [&](auto hash) { return sieve.may_have(hash); }));
  int wrong = 0;
  for (int i = 0; i < 100'000; ++i) wrong += sieve.may_have(random());
  CHECK(wrong < 10'000);

  const std::vector<std::string> few{"user:", "user:1", "x"};
  const prefix_sieve some{few};
  CHECK(some.may_match("user:77"));
  CHECK(some.may_match("x"));
  CHECK_FALSE(some.may_match("use"));
  CHECK_FALSE(some.may_match(""));
  CHECK(prefix_sieve{std::vector<std::string>{""}}.may_match("anything"));
  std::vector<std::string> lengths;
  for (std::size_t i = 1; i <= prefix_sieve::lengths_max + 1; ++i) lengths.emplace_back(i, 'q');
  CHECK(prefix_sieve{lengths}.may_match("let through"));
}

// -- the end
// ---------------------------------------------------------------------------------------------------

TEST_CASE("a watch may be dropped while it is told, and is told nothing after that",
          "[storage][watch][threads]") {
  temp_folder folder;
  auto options = small_options(folder.path());
  options.watch_buffer_bytes = 4'096;
  running_engine db{options};
  watch_thread pump{*db};
  std::atomic<bool> over{false};
  std::jthread writer{[&] {
    value_arena arena;
    for (int i = 0; !over; ++i) {
      const auto key = "k" + std::to_string(i % 10);
      const operation op{.kind = op_kind::put, .key = key, .value = "v"};
      op_reply reply;
      db->execute({&op, 1}, {&reply, 1}, arena);
    }
  }};
  for (int i = 0; i < 200; ++i) {
    std::atomic<bool> gone{false}, late{false};
    auto made = db->watch_changes(
        i % 2 == 0 ? prefix("k", i % 4 == 0 ? watch_start::state : watch_start::now)
                   : watch_options{.key = "k1"},
        [&] { late = late || gone; });
    REQUIRE(made.ok());
    std::vector<watch_change_ptr> out;
    for (int n = 0; n < i % 7; ++n) (*made)->take(out, 3, 1'000);
    (*made)->cancel();
    gone = true;
    CHECK_FALSE((*made)->take(out, 1, 1));
    made->reset();
    CHECK_FALSE(late);
  }
  over = true;
  writer.join();
  CHECK(db->stats_of_watches().watches == 0);
  CHECK(db->stats_of_watches().queued_bytes == 0);
}

TEST_CASE("a watch ends with the engine, and may outlive it", "[storage][watch]") {
  std::unique_ptr<watch_taker> taker;
  std::vector<watch_change_ptr> out;
  {
    running_engine db{{.shard_count = 2}};
    {
      watch_thread pump{*db};
      taker = std::make_unique<watch_taker>(*db, watch_options{.key = "k"});
      db.put("k", "v");
      taker->until_key("k");
      CHECK((*taker)->take(out, 10, 1'000));
    }
    if (GENERATE(true, false)) CHECK(db.stop().ok());
  }
  CHECK(taker->wait_bell());
  while ((*taker)->take(out, 10, 1'000)) {
  }
  CHECK((*taker)->end() == op_code::shutting_down);
  taker.reset();
}
