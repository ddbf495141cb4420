// A backup of a running engine: its published checkpoints, and the log as far as it is on disk.

#include "storage/backup_checkpoint_copier.hpp"
#include "storage/backup_log_copier.hpp"
#include "storage/backup_repository.hpp"
#include "storage/engine_state.hpp"
#include "storage/no_memory.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fmt/format.h>

namespace warp::storage {

namespace {

using steady = std::chrono::steady_clock;

constexpr std::chrono::minutes flush_max{1};
/// How often checkpoints are taken again because the log behind them was let go meanwhile.
constexpr int attempts_max = 8;

/// "20261121T163000Z"
std::string name_of_time(std::uint64_t us) {
  const auto seconds = static_cast<std::time_t>(us / 1'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

/// Makes one backup. Checkpoints are not held: one that is replaced meanwhile is passed over for
/// its successor. That the log which the checkpoints need was still there is checked in the end.
class backup_maker {
public:
  backup_maker(engine::state& engine, backup_store& store, const backup_options& options,
               const backup_subject& subject, const backup_inventory& inventory)
      : engine_(engine), store_(store), options_(options), inventory_(inventory), pace_(options),
        checkpoints_(*engine.folder, *engine.files, store, inventory, subject, pace_),
        log_(*engine.segments, *engine.files, store, inventory, subject, pace_) {
    made_.universe = subject.universe;
    made_.generation = subject.generation;
    made_.shards.resize(subject.shard_count);
  }

  op_result<backup_manifest> go() {
    begin();
    if (auto s = copy_log(); !s.ok()) return s;
    std::uint64_t taken = 0;
    for (int attempt = 1;; ++attempt) {
      if (auto s = copy_checkpoints(); !s.ok()) return s;
      taken = engine_.time->now_us();
      if (auto s = flush(); !s.ok()) return s;
      if (auto s = copy_log(); !s.ok()) return s;
      auto s = check();
      if (s.ok()) break;
      if (attempt == attempts_max) return s;
      // What was let go is covered by later checkpoints.
      for (const auto shard : behind_) pick_again(shard);
    }
    finish(taken);
    if (auto s = pace_.give_up_if_cancelled(); !s.ok()) return s;
    if (auto s = save_backup(store_, made_); !s.ok()) return s;
    log_.set_archived();
    return std::move(made_);
  }

private:
  void begin() {
    made_.base_us = engine_.time->now_us();
    made_.name = inventory_.free_backup_name(name_of_time(made_.base_us));
    log_.look();
    std::vector<lsn_t> needed_from;
    for (std::uint32_t i = 0; i < engine_.shard_count(); ++i) {
      auto published = engine_.folder->checkpoints(shard_id{i});
      picked_.push_back(published.empty() ? checkpoint_info{} : published.front());
      needed_from.push_back(picked_.back().start_lsn + 1);
      pace_.expect(picked_.back().bytes);
    }
    log_.begin(needed_from);
  }

  op_status copy_log() {
    log_at_ = pace_.copied_bytes();
    return log_.copy();
  }

  op_status copy_checkpoints() {
    for (std::uint32_t i = 0; i < engine_.shard_count(); ++i) {
      const auto& known = made_.shards[i].checkpoint;
      if (picked_[i].sequence == 0 || (known && known->info == picked_[i])) continue;
      for (;;) {
        auto copied = checkpoints_.copy(picked_[i]);
        if (copied) {
          made_.shards[i].checkpoint = backup_checkpoint{picked_[i], std::move(*copied)};
          break;
        }
        if (copied.code() != op_code::not_found) return copied.status();
        // It was replaced meanwhile, and its file is gone: its successor will do.
        if (!pick_again(i)) return copied.status();
      }
      if (pace_.copied_bytes() - log_at_ >= options_.log_every_bytes)
        if (auto s = copy_log(); !s.ok()) return s;
    }
    return {};
  }

  /// The newest checkpoint in place of an older one; false: there is none.
  bool pick_again(std::uint32_t shard) {
    const auto published = engine_.folder->checkpoints(shard_id{shard});
    if (published.empty() || published.front().sequence <= picked_[shard].sequence) return false;
    picked_[shard] = published.front();
    pace_.expect(picked_[shard].bytes);
    made_.base_us = engine_.time->now_us();
    return true;
  }

  /// What was acknowledged until now gets to disk.
  op_status flush() {
    flushed_.clear();
    for (auto& s : engine_.shards) {
      {
        std::lock_guard hold{s->lock()};
        flushed_.push_back(s->applied() ? s->applied()->lsn : s->log()->last_appended());
        // A restore takes of a replicated shard what the log says is committed.
        if (s->applied()) s->log()->note_commit(s->applied()->lsn, true);
      }
      if (s->applied() || s->log()->durable_lsn() < flushed_.back()) s->log()->request_sync();
    }
    const auto deadline = steady::now() + flush_max;
    for (std::uint32_t i = 0; i < engine_.shard_count(); ++i)
      if (const auto code = engine_.shards[i]->log()->wait_durable(flushed_[i], deadline);
          code != op_code::ok)
        return {code, fmt::format("backup: the log of shard {} did not become durable up to {}", i,
                                  flushed_[i])};
    return {};
  }

  /// Does the log that was copied reach from the checkpoints to what was flushed?
  op_status check() {
    behind_.clear();
    op_status failure;
    const auto& log = log_.continuity();
    for (std::uint32_t i = 0; i < engine_.shard_count(); ++i) {
      const auto& info = picked_[i]; // zeros where there is none
      if (log.missing_up_to(i) <= info.start_lsn &&
          log.last(i) >= std::max(info.end_lsn, flushed_[i]))
        continue;
      behind_.push_back(i);
      failure = {op_code::unavailable,
                 fmt::format("backup: the log of shard {} was let go before it could be copied "
                             "(records up to {} are missing, its checkpoint begins at {}, its log "
                             "ends at {}): try again, with a higher backup.rate or storage.wal_max",
                             i, log.missing_up_to(i), info.start_lsn, log.last(i))};
    }
    return failure;
  }

  void finish(std::uint64_t taken) {
    made_.taken_us = std::max(taken, inventory_.taken_us_max + 1); // a clock that was set back
    made_.base_us = std::min(made_.base_us, made_.taken_us);
    if (log_.goes_on()) made_.follows = inventory_.previous->name;
    made_.anew = log_.begins_anew_because();
    made_.new_bytes = checkpoints_.new_bytes() + log_.new_bytes();
    made_.log = log_.pieces();
    const auto& log = log_.continuity();
    for (std::uint32_t i = 0; i < engine_.shard_count(); ++i) {
      auto& shard = made_.shards[i];
      shard.last = log.last(i);
      shard.reserved = std::max({log.reserved(i), log.last(i),
                                 shard.checkpoint ? shard.checkpoint->info.reserved_lsn : 0});
    }
  }

  engine::state& engine_;
  backup_store& store_;
  const backup_options& options_;
  const backup_inventory& inventory_;

  backup_pace pace_;
  backup_checkpoint_copier checkpoints_;
  backup_log_copier log_;
  std::vector<checkpoint_info> picked_;
  std::vector<std::uint32_t> behind_; ///< shards whose checkpoint is too old for the log
  std::vector<lsn_t> flushed_;        ///< by shard, the last record of what flush() waited for
  std::uint64_t log_at_ = 0;          ///< bytes that were copied when the log was
  backup_manifest made_;
};

} // namespace

op_result<backup_manifest> engine::back_up(backup_store& store, const backup_options& options) {
  auto& state = *state_;
  if (!state.folder)
    return op_status{op_code::not_supported,
                     "a universe in memory only has no backups: use warp dump"};
  return unless_no_memory("backup", [&]() -> op_result<backup_manifest> {
    auto lock = store.lock();
    if (!lock) return lock.status();
    const backup_subject subject{state.folder->universe(), state.folder->generation(),
                                 state.shard_count()};
    const auto inventory = backup_inventory::look(store, subject);
    if (!inventory) return inventory.status();
    // From now on the log stays until it was copied, as far as there is room (release_log()).
    state.holds_log_for_backups = true;
    return backup_maker{state, store, options, subject, *inventory}.go();
  });
}

} // namespace warp::storage
