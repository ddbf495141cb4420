#include "tests/crash/workload.hpp"

#include "storage/backup_repository.hpp"
#include "storage/segment_maker.hpp"
#include "storage/transaction.hpp"
#include "tests/crash/stepped_call.hpp"
#include "tests/support/field_model.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace warp::testing {

namespace {

using storage::engine;
using storage::op_reply;
using namespace std::chrono_literals;

constexpr std::uint64_t client = 77;

/// One life of a universe, all on this thread but for checkpoints, which take turns with it.
class living final : storage::round_listener {
public:
  living(workload_kind kind, const universe_options& options, std::mt19937_64& random,
         const life_begin& begin)
      : kind_(kind), options_(options), random_(random), files_(begin.disk),
        promised_(begin.promised), number_(begin.number) {
    histories_.push_back(begin.holds);
    promised_.history = 0;
  }

  life run() {
    start();
    // A walk that is interrupted needs more than one block of a checkpoint.
    if (kind_ == workload_kind::walks && number_ == 0)
      for (std::uint32_t i = 0; i < 16 * options_.shards; ++i) write_one();
    const auto steps = kind_ == workload_kind::creation ? 4 + random_() % 12 : 30 + random_() % 60;
    for (std::uint64_t i = 0; i < steps; ++i) step(true);
    if (one_in(2))
      stop();
    else
      kill();
    return {files_.take_trace(), std::move(histories_), std::move(marks_), number_, options_};
  }

private:
  // -- processes
  // ---------------------------------------------------------------------------------------------

  void start() {
    for (bool opened = false; !opened;) opened = try_start();
    auto last = compare(*engine_, histories_.back());
    require_durable(last, promised_);
    if (had_process_) {
      histories_.push_back(histories_.back());
      promised_.history = histories_.size() - 1;
    }
    had_process_ = true;
    histories_.back().cut(last);
    promised_.durable = last; // whoever reads now sees it
    mark();
    engine_->add_round_listener(*this);
    if (one_in(2)) maker_.emplace(*engine_);
  }

  /// False: the process was killed meanwhile.
  bool try_start() {
    // Earlier than whatever is about to expire: what has expired cannot be compared.
    time_ = std::make_shared<still_clock>(clock_begin_us);
    process_ = std::make_unique<process_files>(files_, options_.left_out);
    if (one_in(6)) process_->kill_after(1 + static_cast<std::int64_t>(random_() % 50));
    auto opened = engine::open(options_.engine(*process_, time_));
    if (process_->killed()) {
      files_.kill_process();
      return false;
    }
    process_->let_live();
    if (!opened) throw violation{"it does not open: " + opened.status().to_string()};
    engine_ = std::move(*opened);
    return true;
  }

  /// The process dies with whatever it has not written. (Not as in check_disk(): here the machine
  /// goes on.)
  void kill() {
    process_->kill();
    files_.kill_process();
    forget();
  }

  /// The process dies somewhere in a round.
  void kill_in_round() {
    process_->kill_after(1 + static_cast<std::int64_t>(random_() % 5));
    for (std::uint32_t s = 0; s < options_.shards; ++s) engine_->request_sync(shard_id{s});
    run_streams(0ms);
    restart(true);
  }

  void stop() {
    if (auto s = engine_->close(); !s.ok()) throw violation{"it does not stop: " + s.to_string()};
    for (std::uint32_t s = 0; s < options_.shards; ++s) promised_.durable[s] = shard_now(s).last();
    mark();
    files_.kill_process();
    forget();
  }

  void forget() {
    maker_.reset();
    engine_.reset();
    process_.reset();
    acknowledged_at_.clear();
  }

  void restart(bool killed) {
    if (!killed && one_in(2))
      stop();
    else
      kill();
    if (one_in(2)) options_.streams = 1 + static_cast<std::uint32_t>(random_() % options_.shards);
    if (one_in(3)) options_.direct = one_in(2) ? storage::direct_io::on : storage::direct_io::off;
    start();
  }

  // -- what was promised
  // -----------------------------------------------------------------------------------------

  [[nodiscard]] shard_history& shard_now(std::uint32_t s) { return histories_.back().shards[s]; }

  void mark() {
    marks_.push_back(promised_);
    files_.mark(marks_.size());
  }

  void on_round() noexcept override { observe(); }

  /// Every durable LSN that the engine names, and every write that may be acknowledged.
  void observe() {
    if (process_->killed()) return;
    bool changed = false;
    const auto promise = [&](std::uint32_t s, lsn_t lsn) {
      if (lsn <= promised_.durable[s]) return;
      promised_.durable[s] = lsn;
      changed = true;
    };
    for (std::uint32_t s = 0; s < options_.shards; ++s)
      promise(s, shard_now(s).whole_up_to(engine_->stats(shard_id{s}).durable_lsn));
    std::erase_if(acknowledged_at_, [&](const auto& waits) {
      if (engine_->durable(shard_id{waits.first}, waits.second) != storage::durable_state::durable)
        return false;
      promise(waits.first, waits.second);
      return true;
    });
    if (changed) mark();
  }

  // -- writes
  // ------------------------------------------------------------------------------------------------------

  bool one_in(std::uint64_t n) { return random_() % n == 0; }
  std::uint32_t any_shard() { return static_cast<std::uint32_t>(random_() % options_.shards); }

  std::string new_value(const std::string& key) {
    auto value = fmt::format("{}#{}#", key, ++number_);
    const bool fills = kind_ == workload_kind::roll || kind_ == workload_kind::checkpoints;
    const auto size = kind_ == workload_kind::walks ? 24'000 + random_() % 20'000
                      : fills && one_in(2)          ? 2'000 + random_() % 10'000
                      : one_in(8)                   ? random_() % 3'000
                      : one_in(40)                  ? 16'000 + random_() % 8'000
                                                    : random_() % 80;
    if (one_in(2))
      value.append(size, 'v');
    else
      for (std::uint64_t i = 0; i < size; i += 8) value += fmt::format("{:08x}", random_() >> 32);
    return value;
  }

  /// Operations with what they hold.
  struct call {
    std::vector<std::string> keys, values;
    std::vector<operation> operations;
  };

  std::string field_name() {
    // Some hashes have so many that they are indexed.
    return fmt::format("f{}", random_() % (one_in(3) ? 400 : 8));
  }

  /// A change of fields of a hash, or its end.
  void add_hash(call& c, std::uint32_t shard, durability level) {
    c.keys.push_back(make_key(key_kind::hash, shard, options_.shards,
                              static_cast<std::uint32_t>(random_() % 3)));
    operation op{.kind = op_kind::hash_set, .level = level};
    field_packer packer;
    const auto kind = random_() % 12;
    if (kind == 0) {
      op.kind = op_kind::erase;
    } else if (kind == 1) {
      op.kind = op_kind::hash_increment;
      op.delta = static_cast<std::int64_t>(random_() % 9) - 4;
      packer.add_name("number");
    } else if (kind < 5) {
      op.kind = op_kind::hash_erase;
      for (auto n = one_in(4) ? 1 + random_() % 200 : 1; n > 0; --n) packer.add_name(field_name());
    } else {
      for (auto n = one_in(3) ? 1 + random_() % 80 : 1; n > 0; --n)
        packer.add_pair(field_name(),
                        fmt::format("{}{}", ++number_, std::string(random_() % 40, 'v')));
    }
    c.values.emplace_back(op.kind == op_kind::erase ? std::string_view{} : packer.packed());
    c.operations.push_back(op);
  }

  /// What it makes of a hash, told to the oracle.
  static void note_hash(shard_history& h, const operation& op, lsn_t lsn) {
    const std::string key{op.key};
    field_map fields;
    if (const auto at = h.content().find(key); at != h.content().end())
      fields = fields_in(at->second.value);
    apply_to(fields, op);
    if (fields.empty())
      h.erase(lsn, key);
    else
      h.put(lsn, key, as_value(fields));
  }

  void add(call& c, std::uint32_t shard, durability level) {
    if (kind_ == workload_kind::hashes && !one_in(4)) return add_hash(c, shard, level);
    auto key =
        make_key(key_kind::plain, shard, options_.shards,
                 static_cast<std::uint32_t>(
                     random_() % (kind_ == workload_kind::walks ? 2 * plain_keys : plain_keys)));
    const bool erase = kind_ != workload_kind::walks && one_in(5);
    c.keys.push_back(key);
    c.values.push_back(erase ? std::string{} : new_value(key));
    c.operations.push_back({.kind = erase ? op_kind::erase : op_kind::put, .level = level});
  }

  durability any_level() { return one_in(3) ? durability::sync : durability::async; }

  /// The operations as an interactive transaction; each key is read before it is written.
  std::pair<op_code, std::vector<op_reply>> transact(const call& c, bool clears, bool commits) {
    std::vector<std::string_view> keys{c.keys.begin(), c.keys.end()};
    std::vector<op_reply> replies(c.operations.size());
    std::vector<storage::durable_target> waits;
    const auto code = engine_->transact(
        keys, {.all_shards = clears},
        [&](storage::transaction& t) {
          if (clears) t.clear(c.operations.front().level);
          for (std::size_t i = 0; i < c.operations.size(); ++i) {
            const bool there = t.find(c.keys[i]) != nullptr;
            auto op = c.operations[i];
            op.key = c.keys[i];
            op.value = c.values[i];
            t.apply(op, replies[i]);
            if (t.failure() == op_code::ok && op.kind == op_kind::erase &&
                there != (replies[i].code == op_code::ok))
              throw violation{"a transaction erases what it has not read, or does not erase"};
          }
          return commits ? storage::transaction_end::commit : storage::transaction_end::abort;
        },
        waits);
    return {code, std::move(replies)};
  }

  void execute(call& c, bool atomic) {
    for (std::size_t i = 0; i < c.operations.size(); ++i) {
      c.operations[i].key = c.keys[i];
      c.operations[i].value = c.values[i];
    }
    // Every other one decides on what it reads, now and then it removes everything first, or is
    // first tried and given up. (Counted: what is drawn stays the same.)
    const auto turn = atomic ? ++atomic_turns_ : 0;
    const bool interactive = turn % 2 != 0, clears = turn % 24 == 7;
    if (turn % 8 == 3) static_cast<void>(transact(c, false, false).first);
    std::vector<lsn_t> lsn;
    std::vector<bool> held;
    for (std::uint32_t s = 0; s < options_.shards; ++s) {
      const auto stats = engine_->stats(shard_id{s});
      lsn.push_back(stats.last_lsn);
      held.push_back(stats.table.keys != 0);
    }
    std::vector<op_reply> replies(c.operations.size());
    std::vector<lsn_t> logged(options_.shards);
    bool stalled = false;
    if (interactive) {
      auto [code, answers] = transact(c, clears, true);
      replies = std::move(answers);
      stalled = code == op_code::overloaded;
      if (code != op_code::ok) { // the numbers that it had are not used again
        for (auto& reply : replies) reply.code = op_code::unavailable;
        for (std::uint32_t s = 0; s < options_.shards; ++s)
          lsn[s] = engine_->stats(shard_id{s}).last_lsn;
      } else if (clears) {
        for (std::uint32_t s = 0; s < options_.shards; ++s) {
          if (!held[s]) continue;
          auto& h = shard_now(s);
          logged[s] = ++lsn[s];
          for (const auto& [key, record] : std::map{h.content()}) h.erase(lsn[s], key);
        }
      }
    } else if (atomic) {
      static_cast<void>(engine_->execute_atomic(c.operations, replies, arena_));
    } else {
      engine_->execute(c.operations, replies, arena_);
    }
    for (std::size_t i = 0; i < replies.size(); ++i) {
      const auto& op = c.operations[i];
      const auto& reply = replies[i];
      const auto shard = engine_->shard_of(op.key).value;
      if (reply.code == op_code::overloaded) stalled = true;
      if (reply.code != op_code::ok) continue;
      if (op.kind == op_kind::hash_erase && reply.number == 0) continue; // no such field
      ++lsn[shard];
      if (op.kind != op_kind::erase && reply.version != 0 && reply.version != lsn[shard])
        throw violation{fmt::format("a write to shard {} has version {}, not {}", shard,
                                    reply.version, lsn[shard])};
      if (op.level == durability::memory) continue;
      logged[shard] = lsn[shard];
      auto& h = shard_now(shard);
      if (is_of_hash(op.kind))
        note_hash(h, op, lsn[shard]);
      else if (op.kind == op_kind::put)
        h.put(lsn[shard], c.keys[i], c.values[i], op.expires_at_ms);
      else
        h.erase(lsn[shard], c.keys[i]);
      if (!atomic) h.end_batch();
      if (op.request) h.requests.push_back({c.keys[i], c.values[i], op.request, lsn[shard]});
      if (reply.durable_at != 0) acknowledged_at_.emplace_back(shard, lsn[shard]);
    }
    history_transaction parts;
    for (std::uint32_t s = 0; s < options_.shards; ++s) {
      if (engine_->stats(shard_id{s}).last_lsn != lsn[s])
        throw violation{fmt::format("shard {} counts LSN {}, the model {}", s,
                                    engine_->stats(shard_id{s}).last_lsn, lsn[s])};
      promised_.handed_out[s] = lsn[s];
      if (logged[s] == 0) continue;
      shard_now(s).end_batch();
      parts.emplace_back(s, logged[s]);
    }
    if (atomic && parts.size() > 1) histories_.back().transactions.push_back(std::move(parts));
    arena_.clear();
    observe();
    mark();
    if (stalled) make_room();
  }

  void write_one() {
    call c;
    add(c, any_shard(), any_level());
    execute(c, false);
  }

  void write_some(bool atomic, bool one_shard) {
    call c;
    const auto shard = any_shard();
    const auto level = any_level();
    const auto n = 2 + random_() % 4;
    for (std::uint64_t i = 0; i < n; ++i) add(c, one_shard ? shard : any_shard(), level);
    execute(c, atomic);
  }

  void write_with_request() {
    call c;
    const auto shard = any_shard();
    c.keys.push_back(make_key(key_kind::plain, shard, options_.shards));
    c.values.push_back(new_value(c.keys.back()));
    operation op{.kind = op_kind::put, .level = any_level()};
    op.request = {client, ++number_, number_ > 100 ? number_ - 100 : 1};
    c.operations.push_back(op);
    execute(c, false);
  }

  void write_unlogged() {
    call c;
    c.keys.push_back(make_key(key_kind::unlogged, any_shard(), options_.shards));
    c.values.push_back(new_value(c.keys.back()));
    c.operations.push_back({.kind = op_kind::put, .level = durability::memory});
    execute(c, false);
  }

  /// A record that expires and is swept: one of each shard at a time, so that its LSN is known.
  void write_expiring() {
    const auto shard = any_shard();
    call c;
    c.keys.push_back(make_key(key_kind::expiring, shard, options_.shards));
    c.values.push_back(new_value(c.keys.back()));
    operation op{.kind = op_kind::put, .level = any_level()};
    op.expires_at_ms = time_->now_ms() + 1'000;
    c.operations.push_back(op);
    execute(c, false);
  }

  void sweep() {
    time_->advance(2'000'000);
    for (std::uint32_t s = 0; s < options_.shards; ++s) {
      const auto key = make_key(key_kind::expiring, s, options_.shards);
      if (engine_->sweep_expired(shard_id{s}, 100'000) == 0) continue;
      const auto lsn = engine_->stats(shard_id{s}).last_lsn;
      shard_now(s).erase(lsn, key);
      shard_now(s).end_batch();
      promised_.handed_out[s] = lsn;
    }
    mark();
  }

  // -- the log and checkpoints
  // -----------------------------------------------------------------------------------

  void run_streams(std::chrono::milliseconds wait) {
    for (std::uint32_t s = 0; s < engine_->stream_count(); ++s) engine_->run_stream(s, wait);
    observe();
  }

  void run_a_stream() {
    const auto shard = any_shard();
    if (one_in(2)) engine_->request_sync(shard_id{shard});
    const auto stream = static_cast<std::uint32_t>(random_() % engine_->stream_count());
    // With a wait above zero an idle stream writes its mark.
    engine_->run_stream(stream, options_.flush_interval == 0ms && one_in(4) ? 1ms : 0ms);
    observe();
  }

  /// A call whose every step on the disk may have writes before it. False: the process died.
  bool step_by_step(const std::function<void()>& work, bool with_writes) {
    run_streams(0ms); // nothing that a stream would do by itself is left
    stepped_call call{work};
    files_.set_gate([&call] { call.gate(); });
    while (call.wait([&] { run_streams(0ms); })) {
      if (with_writes && one_in(40)) process_->kill();
      for (auto n = with_writes && !process_->killed() ? random_() % 3 : 0; n > 0; --n) step(false);
      settle_transactions();
      run_streams(0ms);
      call.go();
    }
    files_.set_gate({});
    if (!process_->killed()) return true;
    restart(true);
    return false;
  }

  void checkpoint(std::uint32_t shard, bool with_writes) {
    op_status status;
    const auto work = [&] { status = engine_->checkpoint(shard_id{shard}); };
    if (!step_by_step(work, with_writes)) return;
    if (!status.ok()) throw violation{"a checkpoint failed: " + status.to_string()};
  }

  /// A sync of the log fails; checkpoints take the place of what is missing, and a new chain
  /// begins.
  void fail_and_mend() {
    in_checkpoint_ = true;
    process_->fail_a_log_sync();
    for (std::uint32_t s = 0; s < options_.shards; ++s) engine_->request_sync(shard_id{s});
    run_streams(0ms);
    process_->fail_no_sync(); // there was perhaps nothing to sync
    for (auto n = random_() % 4; n > 0; --n) step(false);
    op_status status;
    if (step_by_step([&] { status = engine_->mend_log(); }, true)) {
      if (!status.ok()) throw violation{"a log is not mended: " + status.to_string()};
      run_streams(0ms);
      if (engine_->log_failed()) throw violation{"a log that was mended has failed"};
    }
    in_checkpoint_ = false;
  }

  void back_up() {
    in_checkpoint_ = true;
    const auto store = storage::open_backup_folder(*process_, backup_folder);
    // What is removed is not promised any more.
    const bool prunes = promised_.backups.size() > 2 && one_in(2);
    if (prunes) {
      promised_.backups.erase(promised_.backups.begin(), promised_.backups.end() - 1);
      mark();
    }
    auto made = promised_backup{{}, promised_.durable};
    op_status status;
    const auto alive = step_by_step(
        [&] {
          if (prunes) status = storage::prune_backups(*store, 1).status();
          if (!status.ok()) return;
          auto done = engine_->back_up(*store);
          status = done.status();
          if (done) made.name = done->name;
        },
        true);
    if (alive) {
      if (!status.ok()) throw violation{"a backup failed: " + status.to_string()};
      promised_.backups.push_back(std::move(made));
      mark();
    }
    in_checkpoint_ = false;
  }

  /// A part in another stream would keep the checkpoint waiting until that stream flushes, which it
  /// never does by itself here.
  void settle_transactions() {
    for (const auto& parts : histories_.back().transactions)
      for (const auto& [shard, lsn] : parts)
        if (engine_->durable(shard_id{shard}, lsn) != storage::durable_state::durable)
          engine_->request_sync(shard_id{shard});
  }

  void make_room() {
    if (in_checkpoint_) return;
    in_checkpoint_ = true;
    for (std::uint32_t s = 0; s < options_.shards; ++s) checkpoint(s, false);
    in_checkpoint_ = false;
  }

  // -- one step
  // --------------------------------------------------------------------------------------------------

  /// `free`: not within a checkpoint.
  void step(bool free) {
    const auto roll = random_() % 100;
    const bool checkpoints = kind_ == workload_kind::checkpoints || kind_ == workload_kind::walks ||
                             kind_ == workload_kind::hashes ||
                             (kind_ == workload_kind::restarts && one_in(3));
    const bool transactions = kind_ == workload_kind::transactions || one_in(4);
    if (roll < 30) {
      write_one();
    } else if (roll < 40) {
      write_some(transactions, false);
    } else if (roll < 46) {
      write_some(true, !transactions);
    } else if (roll < 52) {
      write_with_request();
    } else if (roll < 55) {
      write_unlogged();
    } else if (roll < 58) {
      write_expiring();
    } else if (roll < 60) {
      sweep();
    } else if (roll < 64) {
      if (maker_) maker_->run(0ms);
    } else if (roll < 84) {
      run_a_stream();
    } else if (roll < 88) {
      for (std::uint32_t s = 0; s < options_.shards; ++s) engine_->request_sync(shard_id{s});
      run_streams(0ms);
    } else if (!free) {
      return;
    } else if (roll < 96) {
      if (kind_ == workload_kind::failures) return fail_and_mend();
      if (kind_ == workload_kind::backups && one_in(2)) return back_up();
      if (!checkpoints) return;
      in_checkpoint_ = true;
      checkpoint(any_shard(), true);
      in_checkpoint_ = false;
      if (one_in(3)) time_->advance(70'000'000); // idle spares are dropped after a minute
      static_cast<void>(engine_->due_checkpoints());
    } else if (kind_ == workload_kind::restarts ? true : one_in(6)) {
      if (one_in(2))
        kill_in_round();
      else
        restart(false);
    }
  }

  const workload_kind kind_;
  universe_options options_;
  std::mt19937_64& random_;
  recording_file_system files_;
  std::vector<history> histories_;
  std::vector<promises> marks_;
  promises promised_;
  std::uint64_t number_;
  std::uint64_t atomic_turns_ = 0;
  std::shared_ptr<still_clock> time_;

  bool had_process_ = false, in_checkpoint_ = false;
  std::unique_ptr<process_files> process_;
  std::unique_ptr<engine> engine_;
  std::optional<storage::segment_maker> maker_;
  storage::value_arena arena_;
  std::vector<std::pair<std::uint32_t, lsn_t>> acknowledged_at_; ///< once they are durable
};

} // namespace

std::string_view to_string(workload_kind kind) {
  static constexpr std::string_view names[] = {
      "creation", "log",     "transactions", "roll",   "checkpoints",
      "restarts", "backups", "failures",     "hashes", "walks"};
  return names[static_cast<std::size_t>(kind)];
}

workload::workload(std::uint64_t seed)
    : random_(seed), kind_(static_cast<workload_kind>(seed % workload_kinds)) {
  const auto one_in = [&](std::uint64_t n) { return random_() % n == 0; };
  options_.shards = one_in(3) ? 4 : 2;
  switch (kind_) {
  case workload_kind::log:
    options_.streams = 1;
    break;
  case workload_kind::transactions:
    options_.streams = options_.shards;
    break;
  default:
    options_.streams = 1 + static_cast<std::uint32_t>(random_() % options_.shards);
  }
  options_.direct = one_in(2) ? storage::direct_io::on : storage::direct_io::off;
  // A stream that writes by itself would make the order of a checkpoint's steps and its rounds a
  // matter of luck.
  const bool checkpoints = kind_ == workload_kind::checkpoints ||
                           kind_ == workload_kind::restarts || kind_ == workload_kind::roll ||
                           kind_ == workload_kind::hashes;
  options_.flush_interval = checkpoints || one_in(2) ? std::chrono::hours{1} : 0ms;
  options_.checkpoints_kept = 1 + static_cast<std::uint32_t>(random_() % 2);
  const bool roomy = !checkpoints || kind_ == workload_kind::walks;
  options_.wal_max_bytes = roomy ? 64u << 20 : one_in(2) ? 512 * 1024 : 1u << 20;
}

life_begin workload::first() const {
  life_begin begin;
  begin.holds.shards.resize(options_.shards);
  begin.promised.durable.resize(options_.shards);
  begin.promised.handed_out.resize(options_.shards);
  return begin;
}

life workload::run(const life_begin& begin) {
  return living{kind_, options_, random_, begin}.run();
}

} // namespace warp::testing
