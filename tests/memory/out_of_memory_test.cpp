// Memory that the system refuses, call by call: every allocation of a small life fails in turn.

#include "storage/engine.hpp"
#include "storage/segment_maker.hpp"
#include "storage/stream_threads.hpp"
#include "storage/transaction.hpp"
#include "tests/memory/allocation_faults.hpp"
#include "tests/storage/fault_fixture.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/field_model.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdio>
#include <random>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;
using namespace std::chrono_literals;

namespace {

using contents = std::map<std::string, std::string>;
using allocation_faults::armed;

constexpr std::uint32_t shards = 4, streams = 2;

/// The first key that is not the same; empty: all are.
std::string difference(const contents& shown, const contents& expected) {
  for (const auto& [key, value] : shown)
    if (const auto it = expected.find(key); it == expected.end() || it->second != value)
      return key + " shows '" + value.substr(0, 30) + "' in place of " +
             (it == expected.end() ? "nothing" : "'" + it->second.substr(0, 30) + "'");
  for (const auto& [key, value] : expected)
    if (!shown.contains(key)) return key + " is missing";
  return {};
}

/// Time that stands still until it is told to go on.
class test_clock final : public storage::clock {
public:
  [[nodiscard]] std::uint64_t now_us() const noexcept override { return now_us_; }
  void advance(std::uint64_t us) { now_us_ += us; }

private:
  std::atomic<std::uint64_t> now_us_{1'000'000'000'000};
};

engine_options options_on(file_system& files, std::shared_ptr<const storage::clock> time) {
  auto options = small_options("data");
  options.files = &files;
  options.time = std::move(time);
  options.shard_count = shards;
  options.wal_streams = streams;
  options.segment_bytes = 64 * 1024;
  options.wal_max_bytes = 1024 * 1024;
  options.checkpoint_rate_bytes = 0;
  options.compress_min_bytes = 32 * 1024;
  options.flush_interval = 0ms;
  options.write_stall_max = 0ms; // one thread does all: nobody else would make room
  options.log_retry_min = options.log_retry_max = 0ms;
  options.recovery_threads = 1;
  return options;
}

/// An engine all of whose parts are driven by the calling thread, so that the n-th allocation is
/// the same in every run; a model of what its callers know; and a watch of everything.
///
/// What a call refuses must not have been done; what it answers with ok must have been.
class driven_engine {
public:
  explicit driven_engine(file_system& files)
      : time_(std::make_shared<test_clock>()), options_(options_on(files, time_)) {}

  op_status open() {
    auto options = options_;
    options.folder.reserve(32); // allocates here
    op_status status;
    {
      armed now;
      auto opened = engine::open(std::move(options));
      if (opened)
        engine_ = std::move(*opened);
      else
        status = opened.status();
    }
    if (!status.ok()) return status;
    maker_.emplace(*engine_);
    return {};
  }
  void drop() {
    watch_.reset();
    maker_.reset();
    engine_.reset();
  }
  op_status close() {
    armed now;
    return engine_->close();
  }
  engine* operator->() { return engine_.get(); }

  /// A turn of everything that runs in the background.
  void drive() {
    for (int turn = 0; turn < 2; ++turn) {
      {
        armed now;
        for (std::uint32_t s = 0; s < streams; ++s) engine_->run_stream(s, 0ms);
        maker_->run(0ms);
      }
      note([&] { return engine_->mend_log(); });
      armed now;
      engine_->run_watches(0ms);
    }
    take_events();
  }

  void run(std::vector<operation> ops, bool atomic) {
    std::vector<op_reply> replies(ops.size());
    value_arena arena;
    op_code whole = op_code::ok;
    {
      armed now;
      if (atomic)
        whole = engine_->execute_atomic(ops, replies, arena);
      else
        engine_->execute(ops, replies, arena);
    }
    if (whole != op_code::ok) REQUIRE(may_refuse(whole));
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const auto& op = ops[i];
      const auto& reply = replies[i];
      if (whole != op_code::ok) continue;
      if (reply.code == op_code::not_found && (op.kind != op_kind::put)) {
        REQUIRE(!model.contains(std::string{op.key}));
        continue;
      }
      if (reply.code != op_code::ok) {
        INFO(to_string(reply.code) << " of " << op.key);
        REQUIRE(may_refuse(reply.code));
        REQUIRE(!atomic);
        continue;
      }
      apply(op, reply);
    }
  }

  /// Computes on what it reads: copies the value of one key to another, with something behind it,
  /// counts, and takes a third one away; or removes everything before it.
  void compute(const std::string& from, const std::string& to, const std::string& gone,
               bool clears) {
    std::vector<durable_target> waits;
    const std::vector<std::string_view> keys{from, to, gone, "computed"};
    std::string value;
    op_reply put, count;
    const auto work = [&](transaction& t) {
      const auto* r = t.find(from);
      value = r ? std::string{r->value()} + "+" : "nothing";
      if (clears) t.clear(durability::unspecified);
      t.apply({.kind = op_kind::put, .key = to, .value = value}, put);
      t.apply({.kind = op_kind::increment, .key = "computed"}, count);
      op_reply erased;
      t.apply({.kind = op_kind::erase, .key = gone}, erased);
      return transaction_end::commit;
    };
    transaction_body body{std::ref(work)};
    op_code code;
    {
      armed now;
      code = engine_->transact(keys, {.all_shards = clears}, body, waits);
    }
    if (code != op_code::ok) {
      REQUIRE(may_refuse(code));
      return;
    }
    REQUIRE(value == (model.contains(from) ? model[from] + "+" : "nothing"));
    if (clears) {
      model.clear();
      expiring.clear();
    }
    model[to] = value;
    model["computed"] = std::to_string(count.number);
    expiring.erase(to);
    model.erase(gone);
    expiring.erase(gone);
  }

  void mark_keys() {
    note([&]() -> op_status {
      for (const auto* key : {"t1", "never there"})
        if (auto mark = engine_->mark(key); !mark) return mark.status();
      return {};
    });
  }

  /// The record is gone when the clock has moved on: swept, and logged so.
  void expire_all() {
    time_->advance(10'000'000'000);
    for (auto it = model.begin(); it != model.end();)
      it = expiring.contains(it->first) ? model.erase(it) : std::next(it);
    expiring.clear();
    armed now;
    for (std::uint32_t s = 0; s < shards; ++s) engine_->sweep_expired(shard_id{s}, 1'000);
  }

  template <class Call>
  bool note(Call&& call) {
    op_status status;
    {
      armed now;
      status = call();
    }
    if (status.ok()) return true;
    INFO(status.to_string());
    REQUIRE(may_refuse(status.code()));
    refusals += 1;
    return false;
  }

  void watch_everything() {
    note([&]() -> op_status {
      auto made = engine_->watch_changes({.key = "", .prefix = true}, [] {});
      if (!made) return made.status();
      watch_ = std::move(*made);
      return {};
    });
    seen = model;
  }

  /// All keys, by a scan and by reads one by one.
  contents read_all() {
    contents all;
    scan_page page;
    do {
      REQUIRE(engine_->scan(page.next_cursor, "", 100, page).ok());
      for (const auto& e : page.entries)
        all.emplace(e.key,
                    e.type == value_type::hash ? as_value(e.fields()) : std::string{e.value});
    } while (page.next_cursor != 0);
    for (const auto& [key, value] : all) {
      const bool is_hash = value.starts_with("hash:");
      const operation get{.kind = is_hash ? op_kind::hash_all : op_kind::get, .key = key};
      op_reply reply;
      value_arena arena;
      engine_->execute({&get, 1}, {&reply, 1}, arena);
      REQUIRE(reply.code == op_code::ok);
      if (is_hash)
        REQUIRE(as_value(hash_view{reply.value, reply.large.get()}) == value);
      else
        REQUIRE(reply.value == value);
    }
    return all;
  }

  /// Until everything is on disk, with nothing refused any more.
  void settle() {
    const auto sync = [&] {
      std::vector<operation> ops;
      std::vector<std::string> keys;
      for (int i = 0; i < 40; ++i) keys.push_back("settle" + std::to_string(i));
      for (const auto& key : keys)
        ops.push_back(
            {.kind = op_kind::put, .level = durability::sync, .key = key, .value = "all"});
      std::vector<op_reply> replies(ops.size());
      value_arena arena;
      engine_->execute(ops, replies, arena);
      for (const auto& r : replies)
        if (r.code == op_code::ok)
          model[keys[static_cast<std::size_t>(&r - replies.data())]] = "all";
      drive();
      return std::all_of(replies.begin(), replies.end(), [&](const op_reply& r) {
        return r.code == op_code::ok &&
               engine_->durable(r.shard, r.durable_at) == durable_state::durable;
      });
    };
    for (const bool swept : {false, true}) { // a log that has failed takes no sweep
      if (swept)
        for (std::uint32_t s = 0; s < shards; ++s) engine_->sweep_expired(shard_id{s}, 1'000);
      int attempts = 0;
      while (!sync())
        if (++attempts == 20) FAIL("writes do not go on");
    }
  }

  /// The watch has told everything, or has ended and says why.
  void check_watch() {
    if (!watch_) return;
    for (int turn = 0; turn < 100; ++turn) drive();
    if (watch_->end().ok())
      REQUIRE(difference(seen, model) == "");
    else
      REQUIRE(watch_->end() == op_code::no_space);
  }

  contents model, seen;
  std::set<std::string> expiring;
  int refusals = 0;

private:
  static bool may_refuse(op_code code) {
    return code == op_code::no_space || code == op_code::io_error || code == op_code::overloaded ||
           code == op_code::version_mismatch || code == op_code::already_exists;
  }
  void apply(const operation& op, const op_reply& reply) {
    const std::string key{op.key};
    switch (op.kind) {
    case op_kind::put:
      model[key] = op.value;
      expiring.erase(key);
      if (op.expires_at_ms != 0) expiring.insert(key);
      break;
    case op_kind::erase:
      model.erase(key);
      expiring.erase(key);
      break;
    case op_kind::increment:
      model[key] = std::to_string(reply.number);
      break;
    case op_kind::expire:
      expiring.insert(key);
      break;
    case op_kind::get:
      REQUIRE(model.at(key) == reply.value);
      break;
    case op_kind::exists:
      REQUIRE(model.contains(key));
      break;
    default: { // of a hash
      auto fields = fields_in(model[key]);
      apply_to(fields, op);
      if (fields.empty())
        model.erase(key);
      else
        model[key] = as_value(fields);
    }
    }
  }
  void take_events() {
    if (!watch_) return;
    std::vector<watch_change_ptr> events;
    events.reserve(10'000);
    while (watch_->take(events, 10'000, 64u << 20) && !events.empty()) {
      for (const auto& e : events) {
        const auto view = e->view();
        if (view.kind == watch_kind::put)
          seen[e->key] = view.type == value_type::hash ? as_value(hash_view{view.value, nullptr})
                                                       : std::string{view.value};
        if (view.kind == watch_kind::fields_set || view.kind == watch_kind::fields_erased) {
          auto fields = fields_in(seen[e->key]);
          apply_to(fields, {.kind = view.kind == watch_kind::fields_set ? op_kind::hash_set
                                                                        : op_kind::hash_erase,
                            .key = e->key,
                            .value = view.value});
          seen[e->key] = as_value(fields);
        }
        if (view.kind == watch_kind::erase) seen.erase(e->key);
        if (view.kind == watch_kind::lost)
          std::erase_if(seen,
                        [&](const auto& s) { return engine_->shard_of(s.first) == view.shard; });
      }
      events.clear();
    }
  }

  std::shared_ptr<test_clock> time_;
  engine_options options_;
  std::unique_ptr<engine> engine_;
  std::optional<segment_maker> maker_;
  std::unique_ptr<watch> watch_;
};

/// Everything that an engine does, in small.
void work(driven_engine& db, std::uint64_t now_ms) {
  std::vector<std::string> keep; // keys and values live as long as the operations
  keep.reserve(10'000);
  const auto text = [&](std::string s) -> std::string_view {
    return keep.emplace_back(std::move(s));
  };
  const auto put = [&](const std::string& key, std::string value) {
    return operation{.kind = op_kind::put, .key = text(key), .value = text(std::move(value))};
  };
  const auto fields = [&](op_kind kind, const std::string& key, std::vector<std::string> words) {
    field_packer packer;
    for (std::size_t i = 0; i < words.size(); ++i)
      if (kind == op_kind::hash_set)
        packer.add_pair(words[i], words[i] + std::string(20 * i % 90, 'v'));
      else
        packer.add_name(words[i]);
    return operation{
        .kind = kind, .key = text(key), .value = text(std::string{packer.packed()}), .delta = 3};
  };
  std::vector<std::string> many_names;
  for (int i = 0; i < 200; ++i) many_names.push_back("field" + std::to_string(i));
  std::uint64_t number = 0;
  const auto with_id = [&](operation op) {
    op.request = {.client = 7, .number = ++number, .oldest_unanswered = 1};
    return op;
  };
  db.watch_everything();
  for (int i = 0; i < 12; ++i) {
    const auto n = std::to_string(i);
    db.run({put("a" + n, "value " + n)}, false);
    db.run({put("a" + std::to_string(i / 2), std::string(static_cast<std::size_t>(40 * i), 'x'))},
           false);
    db.run({with_id(put("r" + n, n))}, false);
    db.run({{.kind = op_kind::increment, .key = "count", .delta = i}}, false);
    if (i % 3 == 0)
      db.run({put("large" + n, std::string(40'000, static_cast<char>('a' + i)))}, false);
    if (i % 3 == 0 && i <= 6) {
      auto expiring = put("e" + n, "soon gone");
      expiring.expires_at_ms = now_ms + 5'000;
      db.run({expiring}, false);
      db.run({{.kind = op_kind::expire, .key = text("a" + n), .expires_at_ms = now_ms + 5'000}},
             false);
    }
    if (i % 4 == 1)
      db.run({{.kind = op_kind::erase, .key = text("a" + std::to_string(i / 2))}}, false);
    // Hashes, packed and indexed; of the latter in place and, of several fields, in a copy.
    db.run({with_id(fields(op_kind::hash_set, "h" + n, {"a", "b", "c" + n}))}, false);
    db.run({with_id(fields(op_kind::hash_increment, "h" + n, {"number"}))}, false);
    db.run({fields(op_kind::hash_erase, "h" + std::to_string(i / 2), {"a", "d"})}, false);
    if (i == 1) db.run({fields(op_kind::hash_set, "wide", many_names)}, false);
    db.run({fields(op_kind::hash_set, "wide", {"one" + n})}, false);
    db.run({fields(op_kind::hash_set, "wide", {"two" + n, "one" + n, "field7"})}, false);
    db.run({fields(op_kind::hash_erase, "wide", {"field" + n})}, false);
    if (i % 5 == 4)
      db.run({fields(op_kind::hash_erase, "h" + std::to_string(i - 1),
                     {"a", "b", "c" + std::to_string(i - 1), "number"})},
             false);
    // A batch of single operations, and a transaction over all shards.
    std::vector<operation> batch, atomic;
    for (int k = 0; k < 6; ++k) {
      const auto key = "b" + std::to_string(6 * i + k);
      batch.push_back(with_id(put(key, std::string(static_cast<std::size_t>(100 * k), 'y'))));
      atomic.push_back(put("t" + std::to_string(k), n));
    }
    batch.push_back({.kind = op_kind::get, .key = "t1"});
    batch.push_back({.kind = op_kind::erase, .key = text("b" + std::to_string(3 * i))});
    db.run(batch, false);
    atomic.push_back({.kind = op_kind::increment, .key = "count", .delta = 1});
    atomic.push_back(with_id(put("ta" + n, std::string(20'000, 'z'))));
    atomic.push_back({.kind = op_kind::erase, .key = text("ta" + std::to_string(i - 2))});
    atomic.push_back({.kind = op_kind::erase, .key = text("t0")});
    atomic.push_back(put("t0", n + " again"));
    atomic.push_back({.kind = op_kind::erase, .key = text("t5")});
    atomic.push_back({.kind = op_kind::get, .key = "t1"});
    atomic.push_back(fields(op_kind::hash_set, "h" + n, {"x", "b"}));
    atomic.push_back(fields(op_kind::hash_increment, "wide", {"total"}));
    atomic.push_back(fields(op_kind::hash_erase, "wide", {"two" + n}));
    atomic.push_back(fields(op_kind::hash_set, "atomic" + n, {"x", "y"}));
    db.run(atomic, true);
    db.compute("t1", "c" + n, "t2", i == 9);
    db.mark_keys();
    db.drive();
    if (i % 4 == 2)
      db.note([&] { return db->checkpoint(shard_id{static_cast<std::uint32_t>(i) % shards}); });
    if (i == 6) db.expire_all();
  }
  {
    armed now;
    for (const auto shard : db->due_checkpoints()) static_cast<void>(db->checkpoint(shard));
  }
  // Enough for a table to grow, and for the index to split.
  std::vector<operation> many;
  for (int i = 0; i < 700; ++i)
    many.push_back(
        put("{g}" + std::to_string(i), std::string(static_cast<std::size_t>(i % 50), 'g')));
  db.run({many.begin(), many.begin() + 100}, true);
  db.drive();
  db.run({many.begin() + 100, many.end()}, false);
  db.drive();
}

struct outcome {
  std::uint64_t calls = 0, refused = 0;
  bool opened = true;
};

/// A life in which these allocations are refused, and the life after it.
outcome live(std::uint64_t first, std::uint64_t times, bool log_fails) {
  outcome seen;
  faulty_file_system disk;
  spared_file_system files{disk};
  driven_engine db{files};
  allocation_faults::refuse(0);
  REQUIRE(db.open().ok());
  if (log_fails)
    disk.inject({.operation = file_operation::sync, .path_part = "wal", .skip = 4, .times = 1});
  allocation_faults::refuse(first, times);
  work(db, 1'000'000'000);
  seen.calls = allocation_faults::calls();
  seen.refused = allocation_faults::refused();
  disk.clear_faults();
  allocation_faults::refuse(0);
  REQUIRE(difference(db.read_all(), db.model) == "");
  db.settle();
  REQUIRE(difference(db.read_all(), db.model) == "");
  db.check_watch();
  const auto expected = db.model;
  if (first % 2 == 0) {
    const auto closed = db.close();
    INFO(closed.to_string());
    REQUIRE(closed.ok());
    db.drop();
  } else {
    db.drop();
    disk.crash(crash_policy::drop_all);
  }
  const auto again = db.open();
  INFO(again.to_string());
  REQUIRE(again.ok());
  REQUIRE(difference(db.read_all(), expected) == "");
  return seen;
}

} // namespace

TEST_CASE("memory that is refused at any call refuses one operation, and nothing of it stays",
          "[memory]") {
  if (!allocation_faults::available()) SKIP("a sanitizer has a malloc of its own");
  hang_guard guard{500s};
  std::uint64_t n = 0;
  for (outcome seen{.refused = 1}; seen.refused != 0;) {
    CAPTURE(++n);
    seen = live(n, 1, false);
  }
  CHECK(n > 500);
  std::printf("%lu lives in which memory is refused once\n", static_cast<unsigned long>(n - 1));
}

TEST_CASE("memory that is refused for a while stops neither the log nor its repair for good",
          "[memory]") {
  if (!allocation_faults::available()) SKIP("a sanitizer has a malloc of its own");
  hang_guard guard{500s};
  const bool log_fails = GENERATE(false, true);
  for (const std::uint64_t times : {std::uint64_t{3}, std::uint64_t{40}, ~std::uint64_t{0} / 2}) {
    outcome seen{.refused = 1};
    for (std::uint64_t n = 1; seen.refused != 0; n += 13) {
      CAPTURE(n, times, log_fails);
      seen = live(n, times, log_fails);
    }
  }
}

TEST_CASE("a start that is refused memory says so, and the next one finds everything", "[memory]") {
  if (!allocation_faults::available()) SKIP("a sanitizer has a malloc of its own");
  hang_guard guard{300s};
  faulty_file_system disk;
  spared_file_system files{disk};
  allocation_faults::refuse(0);
  driven_engine before{files};
  REQUIRE(before.open().ok());
  work(before, 1'000'000'000);
  before.settle();
  const auto expected = before.model;
  before.drop();
  std::uint64_t refused = 0;
  for (std::uint64_t n = 1;; n += 1 + n / 50) { // the steps of a start repeat themselves
    CAPTURE(n);
    driven_engine db{files};
    allocation_faults::refuse(n);
    const auto status = db.open();
    const bool met = allocation_faults::refused() != 0;
    allocation_faults::refuse(0);
    if (!status.ok()) {
      INFO(status.to_string());
      REQUIRE(status == op_code::no_space);
      ++refused;
      continue;
    }
    REQUIRE(difference(db.read_all(), expected) == "");
    db.drop();
    if (!met) break;
  }
  CHECK(refused > 100);
}

TEST_CASE("threads that are refused memory now and then lose nothing that was acknowledged",
          "[memory][threads]") {
  if (!allocation_faults::available()) SKIP("a sanitizer has a malloc of its own");
  hang_guard guard{300s};
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  faulty_file_system disk;
  spared_file_system files{disk};
  auto options = options_on(files, std::make_shared<test_clock>());
  options.write_stall_max = 1s;
  options.log_retry_min = 1ms;
  options.log_retry_max = 5ms;
  allocation_faults::refuse(0);
  contents expected;
  std::atomic<std::uint64_t> refusals{0};
  {
    auto opened = engine::open(options);
    REQUIRE(opened.ok());
    auto& db = **opened;
    std::vector<std::jthread> background;
    const auto loop = [&](auto turn) {
      background.emplace_back([turn](std::stop_token stop) mutable {
        armed now;
        while (!stop.stop_requested()) turn();
      });
    };
    for (std::uint32_t s = 0; s < streams; ++s) loop([&db, s] { db.run_stream(s, 5ms); });
    loop([&db] {
      static_cast<void>(db.mend_log());
      std::this_thread::yield();
    });
    loop([&db, n = 0u]() mutable { static_cast<void>(db.checkpoint(shard_id{n++ % shards})); });
    loop([&db] { db.run_watches(5ms); });
    allocation_faults::refuse_some(50);
    constexpr int writers = 3, writes = 3'000;
    std::vector<contents> written(writers);
    const auto write = [&](int t) {
      std::mt19937_64 random{seed + static_cast<unsigned>(t)};
      auto& mine = written[static_cast<std::size_t>(t)];
      for (int i = 0; i < writes; ++i) {
        const bool atomic = random() % 4 == 0;
        std::vector<std::string> keys, values;
        for (int k = 0; k < (atomic ? 5 : 1); ++k) {
          keys.push_back(std::to_string(t) + "-" + std::to_string(random() % 300));
          values.push_back(std::string(random() % 400, 'v') + std::to_string(i));
        }
        std::vector<operation> ops;
        for (std::size_t k = 0; k < keys.size(); ++k)
          if (random() % 5 == 0)
            ops.push_back({.kind = op_kind::erase, .key = keys[k]});
          else
            ops.push_back({.kind = op_kind::put, .key = keys[k], .value = values[k]});
        std::vector<op_reply> replies(ops.size());
        value_arena arena;
        auto whole = op_code::ok;
        {
          armed now;
          if (atomic)
            whole = db.execute_atomic(ops, replies, arena);
          else
            db.execute(ops, replies, arena);
        }
        refusals += whole == op_code::no_space || replies[0].code == op_code::no_space;
        if (whole != op_code::ok) continue;
        for (std::size_t k = 0; k < ops.size(); ++k)
          if (replies[k].code == op_code::ok && ops[k].kind == op_kind::put)
            mine[keys[k]] = values[k];
          else if (replies[k].code == op_code::ok)
            mine.erase(keys[k]);
      }
    };
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < writers; ++t) threads.emplace_back(write, t);
    }
    allocation_faults::refuse(0);
    for (const auto& one : written) expected.insert(one.begin(), one.end());
    // Until all of it is on disk.
    for (bool durable = false; !durable;) {
      durable = true;
      for (int i = 0; i < 40; ++i) {
        const auto key = "end" + std::to_string(i);
        const operation op{
            .kind = op_kind::put, .level = durability::sync, .key = key, .value = "end"};
        op_reply reply;
        value_arena arena;
        db.execute({&op, 1}, {&reply, 1}, arena);
        durable =
            durable && reply.code == op_code::ok &&
            db.wait_durable({&reply, 1}, std::chrono::steady_clock::now() + 30s) == op_code::ok;
        expected[key] = "end";
      }
    }
    for (auto& thread : background) thread.request_stop();
    background.clear();
  }
  CHECK(refusals > 10);
  disk.crash(crash_policy::drop_all);
  driven_engine db{files};
  REQUIRE(db.open().ok());
  CHECK(difference(db.read_all(), expected) == "");
}
