// A disk that fails while the engine runs: at every call it makes, for once or for long.

#include "storage/engine.hpp"
#include "tests/storage/fault_fixture.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cstdio>
#include <functional>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;
using namespace std::chrono_literals;

namespace {

using contents = std::map<std::string, std::string>;

constexpr std::uint32_t shards = 4, streams = 2;

engine_options options_on(file_system& files, direct_io direct) {
  auto options = small_options("data");
  options.files = &files;
  options.shard_count = shards;
  options.wal_streams = streams;
  options.segment_bytes = 64 * 1024;
  options.wal_max_bytes = 1024 * 1024;
  options.checkpoint_rate_bytes = 0;
  options.checkpoints_kept = 2;
  options.flush_interval = 0ms;
  options.write_stall_max = 0ms; // one thread does all: nobody else would make room
  options.log_retry_min = options.log_retry_max = 0ms;
  options.recovery_threads = 1;
  options.direct = direct;
  return options;
}

/// An engine whose every part is driven by the calling thread, so that the n-th call to the disk is
/// the same in every run; and what its callers know.
class driven_engine {
public:
  driven_engine(file_system& files, direct_io direct) : options_(options_on(files, direct)) {}

  op_status open() {
    auto opened = engine::open(options_);
    if (!opened) return opened.status();
    engine_ = std::move(*opened);
    maker_.emplace(*engine_);
    if (keys_.empty())
      for (int i = 0; keys_.size() < shards; ++i) {
        const auto key = "t" + std::to_string(i);
        keys_.emplace(engine_->shard_of(key).value, key);
      }
    return {};
  }
  void drop() {
    maker_.reset();
    engine_.reset();
  }
  op_status close() {
    maker_.reset();
    auto status = engine_->close();
    engine_.reset();
    return status;
  }

  engine& operator*() { return *engine_; }
  engine* operator->() { return engine_.get(); }

  /// A turn of everything, unless `by_hand`.
  void drive() {
    if (by_hand) return;
    for (std::uint32_t s = 0; s < streams; ++s) engine_->run_stream(s, 0ms);
    maker_->run(0ms);
    if (auto status = engine_->mend_log(); !status.ok()) note(status);
    for (std::uint32_t s = 0; s < streams; ++s) engine_->run_stream(s, 0ms);
    for (std::uint32_t s = 0; s < streams; ++s)
      if (auto status = engine_->condition_of_stream(s); !status.ok()) note(status);
    if (!engine_->log_presses()) return;
    for (const auto shard : engine_->due_checkpoints())
      if (auto status = engine_->checkpoint(shard); !status.ok()) note(status);
  }

  /// One write; "": an erase. True when it is on disk.
  bool write(const std::string& key, const std::string& value, durability level) {
    operation op{.kind = value.empty() ? op_kind::erase : op_kind::put,
                 .level = level,
                 .key = key,
                 .value = value};
    op_reply reply;
    value_arena arena;
    engine_->execute({&op, 1}, {&reply, 1}, arena);
    count_version(reply);
    if (reply.code == op_code::ok)
      model.applied(key, value.empty() ? told_model::value{} : told_model::value{value});
    else if (reply.code != op_code::not_found)
      return refused(reply.code);
    drive();
    if (level < durability::sync || !reply_is_durable(reply)) return false;
    model.durable(key);
    return true;
  }

  /// The same value under a key of each shard, atomically.
  void transaction(const std::string& value) {
    std::vector<operation> ops;
    for (const auto& [shard, key] : keys_)
      ops.push_back({.kind = op_kind::put, .level = durability::sync, .key = key, .value = value});
    std::vector<op_reply> replies(ops.size());
    value_arena arena;
    if (const auto code = engine_->execute_atomic(ops, replies, arena); code != op_code::ok) {
      refused(code);
      return;
    }
    bool durable = true;
    for (const auto& [shard, key] : keys_) model.applied(key, value);
    for (const auto& reply : replies) count_version(reply);
    drive();
    for (const auto& reply : replies) durable = durable && reply_is_durable(reply);
    if (durable)
      for (const auto& [shard, key] : keys_) model.durable(key);
  }

  void checkpoint(std::uint32_t shard) {
    drive();
    if (auto status = engine_->checkpoint(shard_id{shard}); !status.ok()) note(status);
  }

  /// All keys, by reads one by one and by a scan: both must say the same.
  contents read_all() {
    contents all;
    scan_page page;
    do {
      if (!engine_->scan(page.next_cursor, "", 100, page).ok()) return {{"scan", "failed"}};
      for (const auto& e : page.entries) all.emplace(e.key, e.value);
    } while (page.next_cursor != 0);
    for (const auto& [key, value] : all) {
      const operation get{.kind = op_kind::get, .key = key};
      op_reply reply;
      value_arena arena;
      engine_->execute({&get, 1}, {&reply, 1}, arena);
      if (reply.code != op_code::ok || reply.value != value) return {{key, "not read"}};
    }
    return all;
  }
  /// A transaction is whole: the same under its keys.
  [[nodiscard]] bool transactions_whole(const contents& all) const {
    std::set<std::string> values;
    for (const auto& [shard, key] : keys_) {
      const auto it = all.find(key);
      values.insert(it == all.end() ? "" : it->second);
    }
    return values.size() == 1;
  }

  /// Writes at level sync in every shard until all are on disk, a bounded number of times.
  bool comes_back() {
    for (int attempt = 0; attempt < 20; ++attempt) {
      bool all = true;
      for (const auto& [shard, key] : keys_)
        all = write("probe" + key, "p", durability::sync) && all;
      for (const auto& [shard, key] : keys_) all = write(key, "back", durability::sync) && all;
      if (all) return true;
    }
    return false;
  }

  /// Is the next version of each shard one that nobody has seen? Empty: yes. (Writes.)
  std::string version_used_twice() {
    drive();
    for (const auto& [shard, key] : keys_) {
      const operation op{.kind = op_kind::put, .key = key, .value = "next"};
      op_reply reply;
      value_arena arena;
      engine_->execute({&op, 1}, {&reply, 1}, arena);
      if (reply.code != op_code::ok || reply.version <= highest_[shard])
        return key + ": " + std::string{to_string(reply.code)} + ", version " +
               std::to_string(reply.version) + " after " + std::to_string(highest_[shard]);
    }
    return {};
  }

  bool by_hand = false;
  told_model model;
  std::vector<std::string> complaints; ///< failures that were told, their messages

private:
  void count_version(const op_reply& reply) {
    auto& highest = highest_[reply.shard.value];
    highest = std::max(highest, reply.version);
  }
  bool reply_is_durable(const op_reply& reply) {
    return reply.durable_at == 0 ||
           engine_->durable(reply.shard, reply.durable_at) == durable_state::durable;
  }
  bool refused(op_code code) {
    if (code != op_code::io_error && code != op_code::no_space && code != op_code::overloaded)
      complaints.push_back("refused with " + std::string{to_string(code)});
    drive();
    return false;
  }
  void note(const op_status& status) { complaints.push_back(status.to_string()); }

  engine_options options_;
  std::unique_ptr<engine> engine_;
  std::optional<segment_maker> maker_;
  std::map<std::uint32_t, std::string> keys_; ///< one for each shard
  std::map<std::uint32_t, lsn_t> highest_;
};

/// Everything an engine does with its files, in small: rounds, transactions, segments that are
/// filled, made and used again, checkpoints, manifests.
void work(driven_engine& db, int from, int to) {
  for (int i = from; i < to; ++i) {
    const auto number = std::to_string(i);
    const auto filler = std::string(i % 3 == 0 ? 9'000 : 700, static_cast<char>('a' + i % 26));
    db.write("k" + std::to_string(i % 7), number + filler, durability::sync);
    db.write("a" + std::to_string(i % 5), number + filler, durability::async);
    if (i % 4 == 0) db.write("k" + std::to_string(i % 6), "", durability::sync);
    if (i % 3 == 1) db.transaction(number);
    if (i % 8 == 5) db.checkpoint(static_cast<std::uint32_t>(i / 8 % shards));
    if (i % 20 == 19)
      for (std::uint32_t s = 0; s < shards; ++s) db.checkpoint(s);
  }
}

struct call {
  file_operation operation;
  std::string path;
};

/// A folder with checkpoints and a log behind them, of a process that was killed.
struct crashed_folder {
  std::unique_ptr<memory_file_system> files;
  told_model model;

  explicit crashed_folder(direct_io direct) {
    faulty_file_system writing;
    driven_engine db{writing, direct};
    REQUIRE(db.open().ok());
    work(db, 0, 12);
    REQUIRE(db.comes_back());
    REQUIRE(db.complaints.empty());
    model = db.model;
    db.drop();
    files = writing.memory().crashed_copy(crash_policy::drop_all);
  }
};

/// What happens after the faults.
enum class ending { repaired_then_closed, repaired_then_crash, closed, crash };

struct outcome {
  bool opened = true, closed = false;
};

/// One life of an engine with a fault in it, and the life after it.
outcome live(const crashed_folder& before, direct_io direct,
             const std::function<void(faulty_file_system&)>& inject, ending how,
             crash_policy policy, std::uint64_t seed) {
  outcome seen;
  faulty_file_system files{before.files->crashed_copy(crash_policy::keep_all)};
  driven_engine db{files, direct};
  db.model = before.model;
  inject(files);
  auto status = db.open();
  seen.opened = status.ok();
  if (!status.ok()) {
    INFO(status.to_string());
    CHECK((status == op_code::io_error || status == op_code::no_space));
    CHECK(status.message().find("data") != std::string::npos); // names the file
  } else {
    work(db, 12, 44);
    REQUIRE(db.read_all() == db.model.table()); // whatever happens, reads go on and are right
    if (how == ending::repaired_then_closed || how == ending::repaired_then_crash) {
      files.clear_faults();
      INFO((db.complaints.empty() ? "" : db.complaints.back()));
      REQUIRE(db.comes_back());
      db.model.all_durable(); // sync writes in every shard, behind everything
      REQUIRE(db.read_all() == db.model.table());
    }
    for (const auto& complaint : db.complaints) {
      INFO(complaint);
      CHECK(complaint.find("data") != std::string::npos);
    }
    if (how == ending::repaired_then_closed) {
      const auto closed = db.close();
      INFO(closed.to_string());
      REQUIRE(closed.ok());
    } else if (how == ending::closed) {
      seen.closed = db.close().ok();
      if (seen.closed) db.model.all_durable();
    } else {
      db.drop();
    }
  }
  if (how == ending::crash || how == ending::repaired_then_crash)
    files.crash(policy, seed);
  else
    files.clear_faults();

  status = db.open();
  INFO(status.to_string());
  REQUIRE(status.ok());
  const auto shown = db.read_all();
  INFO(db.model.objection(shown));
  REQUIRE(db.model.objection(shown).empty());
  REQUIRE(db.transactions_whole(shown));
  REQUIRE(db.version_used_twice() == "");
  return seen;
}

std::vector<call> calls_of_a_life(const crashed_folder& before, direct_io direct) {
  std::vector<call> calls;
  faulty_file_system files{before.files->crashed_copy(crash_policy::keep_all)};
  files.set_observer([&](file_operation o, const std::string& path) {
    calls.push_back({o, path});
  });
  driven_engine db{files, direct};
  db.model = before.model;
  REQUIRE(db.open().ok());
  work(db, 12, 44);
  REQUIRE(db.comes_back());
  REQUIRE(db.close().ok());
  REQUIRE(db.complaints.empty());
  return calls;
}

constexpr file_operation all_operations[]{
    file_operation::open,   file_operation::read,        file_operation::write,
    file_operation::sync,   file_operation::truncate,    file_operation::rename,
    file_operation::remove, file_operation::sync_folder, file_operation::create_folder};

} // namespace

TEST_CASE("a disk that fails at any call loses nothing durable, and service comes back by itself",
          "[storage][fault]") {
  hang_guard guard{300s};
  const auto direct = GENERATE(direct_io::on, direct_io::off);
  const auto code = GENERATE(op_code::io_error, op_code::no_space);
  const crashed_folder before{direct};
  const auto calls = calls_of_a_life(before, direct);
  std::uint64_t lives = 0, opens_failed = 0;
  for (const auto operation : all_operations)
    for (const std::uint64_t times : {std::uint64_t{1}, ~std::uint64_t{0}})
      for (const auto* part : {"", "wal", "checkpoint", "MANIFEST"}) {
        if (times == 1 && *part != '\0') continue; // among those of every path
        const auto n = static_cast<std::uint64_t>(
            std::count_if(calls.begin(), calls.end(), [&](const call& c) {
              return c.operation == operation && c.path.find(part) != std::string::npos;
            }));
        const std::uint64_t step = times == 1 ? 1 : 1 + n / 25;
        for (std::uint64_t skip = 0; skip < n; skip += step) {
          const auto how = static_cast<ending>(lives % 4);
          const auto policy = static_cast<crash_policy>(lives / 4 % 3);
          CAPTURE(direct, code, operation, times, part, skip, how, policy);
          const auto seen = live(
              before, direct,
              [&](faulty_file_system& files) {
                files.inject({.operation = operation,
                              .path_part = part,
                              .skip = skip,
                              .times = times,
                              .code = code,
                              .bytes_written = lives % 3 * 1'000});
              },
              how, policy, lives);
          ++lives;
          opens_failed += !seen.opened;
        }
      }
  CHECK(lives > 100);
  CHECK(opens_failed > 0);
  std::printf("%lu lives with a fault in them\n", static_cast<unsigned long>(lives));
}

TEST_CASE("a disk that goes away at any call and comes back loses nothing durable",
          "[storage][fault]") {
  hang_guard guard{300s};
  const auto direct = GENERATE(direct_io::on, direct_io::off);
  const crashed_folder before{direct};
  std::uint64_t changes = 0;
  {
    faulty_file_system files{before.files->crashed_copy(crash_policy::keep_all)};
    driven_engine db{files, direct};
    db.model = before.model;
    REQUIRE(db.open().ok());
    work(db, 12, 44);
    REQUIRE(db.close().ok());
    changes = files.changes();
  }
  for (std::uint64_t n = 0; n < changes; ++n) {
    const auto how = static_cast<ending>(n % 4);
    const auto policy = static_cast<crash_policy>(n / 4 % 3);
    CAPTURE(direct, n, how, policy);
    live(
        before, direct, [n](faulty_file_system& files) { files.power_off_after(n); }, how, policy,
        n);
  }
  CHECK(changes > 100);
}

TEST_CASE("a crash at any step from a failed log to a new one leaves transactions whole",
          "[storage][fault][crash][transaction]") {
  hang_guard guard{120s};
  const auto policy =
      GENERATE(crash_policy::drop_all, crash_policy::keep_all, crash_policy::random);
  std::uint64_t steps = 0;
  for (bool over = false; !over; ++steps) {
    CAPTURE(policy, steps);
    faulty_file_system files;
    driven_engine db{files, direct_io::on};
    REQUIRE(db.open().ok());
    db.transaction("before");
    db.write("k", "before", durability::sync);
    REQUIRE(db.complaints.empty());
    db.by_hand = true;
    db.transaction("after");
    files.inject({.operation = file_operation::sync, .path_part = "wal"}); // of both streams
    for (std::uint32_t s = 0; s < streams; ++s) db->run_stream(s, 0ms);
    REQUIRE(db->log_failed());
    REQUIRE(db->durable(db->shard_of("k"), 1) == durable_state::durable);
    files.clear_faults();
    files.power_off_after(steps);
    if (db->mend_log().ok())
      for (std::uint32_t s = 0; s < streams; ++s) db->run_stream(s, 0ms);
    over = !files.power_is_off();
    if (over) {
      CHECK_FALSE(db->log_failed());
      CHECK(db->condition_of_stream(0).ok());
      CHECK(db->stats_of_stream(0).failures == 1);
      CHECK(db->stats_of_stream(0).revivals == 1);
      db.model.all_durable();
    }
    db.drop();
    files.crash(policy, steps);
    REQUIRE(db.open().ok());
    const auto shown = db.read_all();
    REQUIRE(db.model.objection(shown) == "");
    REQUIRE(db.transactions_whole(shown));
    REQUIRE(db.version_used_twice() == "");
  }
  CHECK(steps > 20);
}

TEST_CASE("a failed log waits for the parts of transactions in the others before checkpoints take "
          "its place",
          "[storage][fault][transaction]") {
  faulty_file_system files;
  driven_engine db{files, direct_io::on};
  REQUIRE(db.open().ok());
  db.transaction("before");
  db.by_hand = true;
  db.transaction("after");
  files.inject({.operation = file_operation::sync, .path_part = "wal", .times = 1});
  db->run_stream(0, 0ms);
  files.inject({.operation = file_operation::write, .path_part = "wal", .code = op_code::no_space});
  db->run_stream(1, 0ms);
  REQUIRE(db->condition_of_stream(0) == op_code::io_error);
  REQUIRE(db->condition_of_stream(1) == op_code::no_space);
  CHECK(db->mend_log() == op_code::no_space);
  CHECK(db->stats_of_log().mend_failures == 1);
  if (GENERATE(false, true)) { // the parts get there
    files.clear_faults();
    db->run_stream(1, 0ms);
    REQUIRE(db->mend_log().ok());
    db->run_stream(0, 0ms);
    CHECK(db->condition_of_stream(0).ok());
    db.model.all_durable();
  }
  db.drop();
  files.crash(crash_policy::drop_all);
  REQUIRE(db.open().ok());
  const auto shown = db.read_all();
  CHECK(db.model.objection(shown) == "");
  CHECK(db.transactions_whole(shown));
}

TEST_CASE(
    "under load and beside a segment maker new chains begin by themselves, and a start reads them",
    "[storage][fault][threads]") {
  hang_guard guard{120s};
  faulty_file_system files;
  auto options = options_on(files, direct_io::off);
  options.write_stall_max = 10s;
  for (int round = 0; round < 20; ++round) {
    running_engine db{options}; // with a thread that makes segments whenever one is wanted
    const std::string value(20'000, 'v');
    for (int i = 0; i < 4; ++i)
      REQUIRE(db.put("k" + std::to_string(i), value, durability::sync).code == op_code::ok);
    files.inject({.operation = file_operation::sync, .path_part = ".wal", .times = 1});
    for (int i = 0;
         db.put("k" + std::to_string(i % 8), value, durability::sync).code == op_code::ok; ++i) {
    }
    // By itself, as soon as checkpoints are there.
    while (db.put("after", std::to_string(round), durability::sync).code != op_code::ok) {
    }
    CHECK(db.put("k0", "new chain", durability::sync).code == op_code::ok);
  } // a crash; what REQUIREs is the next start
  running_engine db{options};
  CHECK(db.get("after") == "19");
  CHECK(db.get("k0") == "new chain");
}

TEST_CASE("a retry of a write that was done is not told that nothing was, also by a failed log",
          "[storage][fault]") {
  faulty_file_system files;
  driven_engine db{files, direct_io::on};
  REQUIRE(db.open().ok());
  value_arena arena;
  const auto put = [&](std::uint64_t number, bool two) {
    const operation op{.kind = op_kind::put,
                       .level = durability::async,
                       .key = "k",
                       .value = "v",
                       .request = {.client = 7, .number = number, .oldest_unanswered = 1}};
    const operation read{.kind = op_kind::get, .key = "k"};
    const operation both[]{op, read};
    op_reply replies[2];
    if (two)
      db->execute(both, replies, arena);
    else
      db->execute({&op, 1}, {replies, 1}, arena);
    return replies[0];
  };
  const auto atomic = [&](std::uint64_t number) {
    const operation op{.kind = op_kind::put,
                       .level = durability::async,
                       .key = "k",
                       .value = "v",
                       .request = {.client = 7, .number = number, .oldest_unanswered = 1}};
    op_reply reply;
    return db->execute_atomic({&op, 1}, {&reply, 1}, arena);
  };
  const auto first = put(1, false);
  REQUIRE(first.code == op_code::ok);
  files.inject({.operation = file_operation::sync, .path_part = "wal"});
  for (std::uint32_t s = 0; s < streams; ++s) db->run_stream(s, 0ms);
  for (const bool two : {false, true}) {
    CHECK(put(1, two).code == op_code::ok);
    CHECK(put(1, two).version == first.version);
    CHECK(put(2, two).code == op_code::io_error);
  }
  CHECK(atomic(1) == op_code::outcome_unknown);
  CHECK(atomic(2) == op_code::io_error);
}
