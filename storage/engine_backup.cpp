// A backup of a running engine: its published checkpoints, and the log as far as it is on disk.

#include "storage/backup_object.hpp"
#include "storage/backup_repository.hpp"
#include "storage/checkpoint_reader.hpp"
#include "storage/engine_state.hpp"
#include "storage/file_window.hpp"
#include "storage/no_memory.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fmt/format.h>
#include <map>
#include <set>
#include <thread>

namespace warp::storage {

namespace {

using steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds pause_max{50}; ///< between two looks at `cancelled`
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

struct in_log_order {
  bool operator()(const segment_name& a, const segment_name& b) const { return log_order(a, b); }
};

/// A segment as it was a moment ago. Not held: one that is let go before its turn shows as a gap.
struct seen_segment {
  std::weak_ptr<segment_info> info;
  std::string path;
  segment_header header;
  std::uint64_t data_end = 0;
  bool closed = false;

  [[nodiscard]] segment_name name() const { return {header.start, header.stream, header.sequence}; }
};

/// The last record of each shard in a segment.
using segment_contents = std::map<std::uint32_t, lsn_t>;

/// Makes one backup. What it must not do is hold anything back: segments are held one at a time
/// while they are copied, checkpoints not at all (one that is replaced meanwhile is passed over for
/// its successor). That the log which the checkpoints need was still there is checked in the end.
class backup_maker {
public:
  backup_maker(engine::state& engine, backup_store& store, const backup_options& options)
      : engine_(engine), files_(*engine.files), store_(store), options_(options),
        last_(engine.shard_count()), reserved_(engine.shard_count()),
        missing_up_to_(engine.shard_count()) {}

  op_result<backup_manifest> go() {
    auto lock = store_.lock();
    if (!lock) return lock.status();
    if (auto s = look_at_repository(); !s.ok()) return s;
    hold_log();
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
    made_.taken_us = std::max(taken, taken_before_ + 1); // a clock that was set back
    made_.base_us = std::min(made_.base_us, made_.taken_us);
    if (continuous_) made_.follows = previous_name_;
    for (std::uint32_t i = 0; i < engine_.shard_count(); ++i) {
      auto& shard = made_.shards[i];
      shard.last = last_[i];
      shard.reserved = std::max(
          {reserved_[i], last_[i], shard.checkpoint ? shard.checkpoint->info.reserved_lsn : 0});
    }
    if (auto s = give_up_if_cancelled(); !s.ok()) return s;
    if (auto s = save_backup(store_, made_); !s.ok()) return s;
    hold_log();
    return std::move(made_);
  }

private:
  // -- what is there already

  op_status look_at_repository() {
    auto backups = list_backups(store_);
    if (!backups) return backups.status();
    auto objects = store_.list("objects");
    if (!objects) return objects.status();
    for (auto& object : *objects) stored_[object.name.substr(8)] = object.bytes;
    const auto universe = engine_.folder->universe();
    const auto generation = engine_.folder->generation();
    for (auto& backup : *backups) {
      names_.insert(backup.name);
      if (!backup.status.ok()) continue; // stands in the way of nobody
      auto& m = backup.manifest;
      if (m.universe != universe)
        return {op_code::invalid_argument,
                fmt::format("{} holds backups of universe {}, this one is {}: name another folder",
                            store_.describe(), to_string(m.universe), to_string(universe))};
      taken_before_ = std::max(taken_before_, m.taken_us);
      if (m.generation == generation && m.shards.size() == engine_.shard_count())
        previous_ = std::move(m); // the last is the newest
    }
    made_.universe = universe;
    made_.generation = generation;
    made_.shards.resize(engine_.shard_count());
    return {};
  }

  [[nodiscard]] bool is_stored(const backup_object& object) const {
    const auto it = stored_.find(object.name);
    return it != stored_.end() && it->second == object.bytes;
  }

  // -- the plan

  void begin() {
    made_.base_us = engine_.time->now_us();
    made_.name = name_of_time(made_.base_us);
    for (int i = 2; names_.contains(made_.name); ++i)
      made_.name = fmt::format("{}-{}", name_of_time(made_.base_us), i);
    std::vector<lsn_t> needed_from;
    for (std::uint32_t i = 0; i < engine_.shard_count(); ++i) {
      auto published = engine_.folder->checkpoints(shard_id{i});
      needed_from.push_back(published.empty() ? 1 : published.front().start_lsn + 1);
      picked_.push_back(published.empty() ? checkpoint_info{} : published.front());
      progress_.bytes_total += picked_.back().bytes;
    }
    std::map<segment_name, seen_segment, in_log_order> there;
    engine_.segments->with_segments([&](const auto& segments) {
      for (const auto& s : segments) {
        const auto seen = see(s);
        there.emplace(seen.name(), seen);
        for (const auto& run : s->runs)
          if (run.records != 0) contents_[seen.name()][run.shard.value] = run.last;
        const bool needed =
            !s->closed || std::any_of(s->runs.begin(), s->runs.end(), [&](const shard_run& run) {
              return run.records != 0 && run.first <= run.keep &&
                     std::min(run.last, run.keep) >= needed_from[run.shard.value];
            });
        if (needed && (!first_needed_ || log_order(seen.name(), *first_needed_)))
          first_needed_ = seen.name();
      }
    });
    if (previous_) go_on_from(*previous_, there);
  }

  static seen_segment see(const std::shared_ptr<segment_info>& s) {
    return {s, s->path, s->header, s->data_end, s->closed};
  }

  [[nodiscard]] bool needed(const segment_name& name) const {
    return first_needed_ && !log_order(name, *first_needed_);
  }

  /// Takes over what the backup before has of the log.
  void go_on_from(const backup_manifest& previous,
                  const std::map<segment_name, seen_segment, in_log_order>& there) {
    for (const auto& piece : previous.log) {
      const auto live = there.find(piece.segment);
      const bool fits = live == there.end() ||
                        (live->second.header.id == piece.id && live->second.data_end >= piece.to);
      if (!fits || !is_stored(piece.object)) return; // begins anew
    }
    continuous_ = true;
    previous_name_ = previous.name;
    for (std::uint32_t i = 0; i < engine_.shard_count(); ++i) {
      last_[i] = previous.shards[i].last;
      reserved_[i] = previous.shards[i].reserved;
    }
    for (std::size_t i = 0; i < previous.log.size();) {
      auto end = i + 1;
      const auto& name = previous.log[i].segment;
      while (end < previous.log.size() && previous.log[end].segment == name) ++end;
      const auto& last = previous.log[end - 1];
      const auto live = there.find(name);
      auto& chain = previous_end_[{name.start, name.stream}];
      chain = std::max(chain, name.sequence);
      previous_start_ = std::max(previous_start_, name.start);
      const bool is_there = live != there.end();
      const bool goes_on =
          is_there && !last.closed && (!live->second.closed || live->second.data_end > last.to);
      if (!is_there && !last.closed)
        continuous_ = false; // let go before all of it was copied; so nobody needs it any more
      else if (needed(name) || goes_on)
        for (auto at = i; at < end; ++at) enter(previous.log[at]);
      i = end;
    }
  }

  /// Was the segment written after the backup before ended?
  [[nodiscard]] bool is_new(const segment_name& name) const {
    if (!continuous_) return false;
    if (name.start > previous_start_) return true;
    const auto chain = previous_end_.find({name.start, name.stream});
    return chain != previous_end_.end() && name.sequence > chain->second;
  }

  void enter(backup_piece piece) { archived_[piece.segment].push_back(std::move(piece)); }

  // -- the log

  op_status copy_log() {
    std::vector<seen_segment> segments;
    std::set<segment_name> there;
    engine_.segments->with_segments([&](const auto& all) {
      for (const auto& s : all) {
        if (s->data_end > segment_header_bytes) segments.push_back(see(s));
        there.insert(see(s).name());
      }
    });
    log_at_ = copied_;
    std::vector<segment_name> gone;
    for (const auto& [name, pieces] : archived_)
      if (!pieces.back().closed && !there.contains(name)) gone.push_back(name);
    for (const auto& name : gone) drop(name);
    for (const auto& s : segments) { // by log order
      const auto known = archived_.find(s.name());
      if (known == archived_.end()) {
        if (!needed(s.name()) && !is_new(s.name())) continue;
      } else {
        auto& last = known->second.back();
        if (s.data_end <= last.to) {
          last.closed |= s.closed;
          continue;
        }
      }
      const auto from = known == archived_.end() ? 0 : known->second.back().to;
      const auto held = s.info.lock();
      if (!held) { // let go meanwhile: the next segment of the chain says what is missing
        if (known != archived_.end()) drop(s.name());
        continue;
      }
      progress_.bytes_total += s.data_end - from;
      if (auto status = copy_piece(s, from); !status.ok()) return status;
    }
    made_.log.clear();
    for (const auto& [name, pieces] : archived_)
      made_.log.insert(made_.log.end(), pieces.begin(), pieces.end());
    return {};
  }

  /// A segment of which a part was copied was let go: what was in it must be in checkpoints.
  void drop(const segment_name& name) {
    continuous_ = false;
    archived_.erase(name);
    for (const auto& [shard, last] : contents_[name])
      missing_up_to_[shard] = std::max(missing_up_to_[shard], last);
  }

  op_status copy_piece(const seen_segment& s, std::uint64_t from) {
    auto in = files_.open(s.path, open_mode::read);
    if (!in) return in.status();
    file_window window{std::move(*in)};
    const auto name = s.name();
    const auto plain_name = fmt::format("{:016x}-log-{}-{}-{}-{}-{}", made_.generation, name.start,
                                        name.stream, name.sequence, from, s.data_end);
    // What another backup may refer to is never written again.
    auto object_name = plain_name;
    for (int n = 2; stored_.contains(object_name); ++n)
      object_name = fmt::format("{}-{}", plain_name, n);
    auto out = backup_object_writer::create(store_, object_name,
                                            {.kind = backup_kind::log,
                                             .universe = made_.universe,
                                             .generation = made_.generation,
                                             .number = name.stream,
                                             .shard_count = engine_.shard_count(),
                                             .start = name.start,
                                             .sequence = name.sequence,
                                             .segment = s.header.id,
                                             .from = from});
    if (!out) return out.status();
    auto at = from;
    if (from == 0) {
      auto head = window.at(0, segment_header_bytes, s.data_end);
      if (!head) return head.status();
      const auto header = decode_segment_header(*head);
      if (!header || *header != s.header) return damaged(s, 0);
      if (auto status = (*out)->append(head->substr(0, segment_header_bytes)); !status.ok())
        return status;
      at = segment_header_bytes;
    }
    while (at < s.data_end) {
      auto bytes = window.at(at, frame_header_bytes, s.data_end);
      if (!bytes) return bytes.status();
      const auto head = peek_frame(*bytes, s.header.id);
      if (!head) return damaged(s, at);
      const auto whole = std::min(padded(head->length), s.data_end - at);
      bytes = window.at(at, whole, s.data_end);
      if (!bytes) return bytes.status();
      const auto frame = check_frame(*bytes, s.header.id, at);
      if (!frame || bytes->size() < whole) return damaged(s, at);
      if (frame->kind == frame_kind::records && frame->count != 0)
        contents_[name][frame->shard.value] = frame->last;
      if (auto status =
              follow(*frame, bytes->substr(frame_header_bytes, frame->length - frame_header_bytes));
          !status.ok())
        return {status.code(), fmt::format("{}: at {}: {}", s.path, at, status.message())};
      if (auto status = (*out)->append(bytes->substr(0, whole)); !status.ok()) return status;
      at += whole;
      if (auto status = pace(whole); !status.ok()) return status;
    }
    auto object = (*out)->finish();
    if (!object) return object.status();
    made_.new_bytes += object->bytes;
    enter({.segment = name,
           .id = s.header.id,
           .from = from,
           .to = s.data_end,
           .closed = s.closed,
           .object = std::move(*object)});
    return {};
  }

  static op_status damaged(const seen_segment& s, std::uint64_t at) {
    return {op_code::corruption,
            fmt::format("{}: at {}: a damaged frame in the log that is to be backed up: write "
                        "checkpoints of all shards (warp checkpoint), then try again",
                        s.path, at)};
  }

  /// Where each shard's log has come to, and what is missing of it.
  op_status follow(const frame_header& frame, std::string_view body) {
    if (frame.kind == frame_kind::records) return follow_shard(frame);
    if (frame.kind != frame_kind::state) return {};
    const auto table = decode_table(frame, body);
    if (!table) return {op_code::corruption, "a table with impossible lines"};
    for (const auto& line : *table)
      if (auto s = follow_shard(state_line(line)); !s.ok()) return s;
    return {};
  }

  op_status follow_shard(const frame_header& frame) {
    const auto shard = frame.shard.value;
    if (shard >= last_.size())
      return {op_code::corruption, fmt::format("shard {} of {}", shard, last_.size())};
    if (frame.previous > last_[shard]) {
      missing_up_to_[shard] = std::max(missing_up_to_[shard], frame.previous);
      continuous_ = false;
    }
    last_[shard] = frame.last;
    reserved_[shard] = std::max(reserved_[shard], frame.reserved);
    return {};
  }

  // -- the checkpoints

  op_status copy_checkpoints() {
    for (std::uint32_t i = 0; i < engine_.shard_count(); ++i) {
      const auto& known = made_.shards[i].checkpoint;
      if (picked_[i].sequence == 0 || (known && known->info == picked_[i])) continue;
      for (;;) {
        auto copied = copy_checkpoint(picked_[i]);
        if (copied) {
          made_.shards[i].checkpoint = backup_checkpoint{picked_[i], std::move(*copied)};
          break;
        }
        if (copied.code() != op_code::not_found) return copied.status();
        // It was replaced meanwhile, and its file is gone: its successor will do.
        if (!pick_again(i)) return copied.status();
      }
      if (copied_ - log_at_ >= options_.log_every_bytes)
        if (auto s = copy_log(); !s.ok()) return s;
    }
    return {};
  }

  /// The newest checkpoint in place of an older one; false: there is none.
  bool pick_again(std::uint32_t shard) {
    const auto published = engine_.folder->checkpoints(shard_id{shard});
    if (published.empty() || published.front().sequence <= picked_[shard].sequence) return false;
    picked_[shard] = published.front();
    progress_.bytes_total += picked_[shard].bytes;
    made_.base_us = engine_.time->now_us();
    return true;
  }

  op_result<backup_object> copy_checkpoint(const checkpoint_info& info) {
    const auto name = fmt::format("{:016x}-checkpoint-{}", made_.generation,
                                  checkpoint_file_name({info.shard, info.sequence}));
    const backup_header header{.kind = backup_kind::checkpoint,
                               .universe = made_.universe,
                               .generation = made_.generation,
                               .number = info.shard.value,
                               .shard_count = engine_.shard_count(),
                               .sequence = info.sequence};
    if (previous_)
      if (const auto& known = previous_->shards[info.shard.value].checkpoint;
          known && known->object.name == name && is_stored(known->object)) {
        progress_.bytes_done += info.bytes;
        return known->object;
      }
    if (stored_.contains(name)) { // of a backup that did not come to its end, or of an older one
      auto there = backup_object_reader::open(store_, name);
      if (there && (*there)->header() == header && (*there)->object().raw_bytes == info.bytes &&
          (*there)->verify().ok()) {
        progress_.bytes_done += info.bytes;
        made_.new_bytes += (*there)->object().bytes;
        return (*there)->object();
      }
    }
    const auto path = engine_.folder->checkpoint_path(info.shard, info.sequence);
    // Damage is noticed here and not on the day of the restore.
    auto reader = checkpoint_reader::open(files_, path);
    if (!reader) return damaged_checkpoint(info, reader.status());
    auto in = files_.open(path, open_mode::read);
    if (!in) return in.status();
    if (auto s = reader->verify(); !s.ok()) return damaged_checkpoint(info, s);
    auto out = backup_object_writer::create(store_, name, header);
    if (!out) return out.status();
    std::string buffer(backup_chunk_bytes, '\0');
    for (std::uint64_t at = 0; at < info.bytes;) {
      auto count = (*in)->read_at(at, buffer);
      if (!count) return count.status();
      if (*count == 0)
        return op_status{op_code::corruption,
                         fmt::format("{}: ends at {} of {}", path, at, info.bytes)};
      if (auto s = (*out)->append({buffer.data(), *count}); !s.ok()) return s;
      at += *count;
      if (auto s = pace(*count); !s.ok()) return s;
    }
    auto object = (*out)->finish();
    if (object) made_.new_bytes += object->bytes;
    return object;
  }

  static op_status damaged_checkpoint(const checkpoint_info& info, const op_status& why) {
    if (why.code() != op_code::corruption) return why;
    return {op_code::corruption,
            fmt::format("{}; the log still makes up for it: write another checkpoint of shard {} "
                        "after a change (warp checkpoint {}), then try again",
                        why.message(), info.shard.value, info.shard.value)};
  }

  // -- the end

  /// What was acknowledged until now gets to disk.
  op_status flush() {
    std::vector<lsn_t> up_to;
    for (auto& s : engine_.shards) {
      {
        std::lock_guard hold{s->lock()};
        up_to.push_back(s->log()->last_appended());
      }
      if (s->log()->durable_lsn() < up_to.back()) s->log()->request_sync();
    }
    const auto deadline = steady::now() + flush_max;
    for (std::uint32_t i = 0; i < engine_.shard_count(); ++i)
      if (const auto code = engine_.shards[i]->log()->wait_durable(up_to[i], deadline);
          code != op_code::ok)
        return {code, fmt::format("backup: the log of shard {} did not become durable up to {}", i,
                                  up_to[i])};
    return {};
  }

  /// Does the log that was copied reach back to the checkpoints?
  op_status check() {
    behind_.clear();
    op_status failure;
    for (std::uint32_t i = 0; i < engine_.shard_count(); ++i) {
      const auto& info = picked_[i]; // zeros where there is none
      if (missing_up_to_[i] <= info.start_lsn && last_[i] >= info.end_lsn) continue;
      behind_.push_back(i);
      failure = {op_code::unavailable,
                 fmt::format("backup: the log of shard {} was let go before it could be copied "
                             "(records up to {} are missing, its checkpoint begins at {}, its log "
                             "ends at {}): try again, with a higher backup.rate or storage.wal_max",
                             i, missing_up_to_[i], info.start_lsn, last_[i])};
    }
    return failure;
  }

  /// From now on the log stays until it was copied, as far as there is room
  /// (engine_checkpoint.cpp).
  void hold_log() {
    std::lock_guard hold{engine_.upkeep_mutex};
    if (engine_.archived.empty()) {
      engine_.archived.assign(engine_.shard_count(), 0);
      if (previous_)
        for (std::uint32_t i = 0; i < engine_.shard_count(); ++i)
          engine_.archived[i] = previous_->shards[i].last;
    }
    for (std::uint32_t i = 0; i < engine_.shard_count(); ++i)
      engine_.archived[i] = std::max(engine_.archived[i], made_.shards[i].last);
  }

  op_status give_up_if_cancelled() const {
    if (!options_.cancelled || !options_.cancelled()) return {};
    return {op_code::unavailable, "the backup was given up; the next one goes on where it ended"};
  }

  op_status pace(std::uint64_t bytes) {
    copied_ += bytes;
    progress_.bytes_done += bytes;
    if (options_.on_progress) options_.on_progress(progress_);
    if (auto s = give_up_if_cancelled(); !s.ok() || options_.rate_bytes == 0) return s;
    const auto due =
        began_ + std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(
                     static_cast<double>(copied_) / static_cast<double>(options_.rate_bytes)));
    for (auto now = steady::now(); now < due; now = steady::now()) {
      std::this_thread::sleep_for(std::min<steady::duration>(due - now, pause_max));
      if (auto s = give_up_if_cancelled(); !s.ok()) return s;
    }
    return {};
  }

  engine::state& engine_;
  file_system& files_;
  backup_store& store_;
  const backup_options& options_;

  std::map<std::string, std::uint64_t> stored_; ///< objects in the repository, and their bytes
  std::set<std::string> names_;                 ///< of all backups
  std::optional<backup_manifest> previous_;     ///< of this generation
  std::string previous_name_;                   ///< of the one that this goes on from
  std::uint64_t taken_before_ = 0;              ///< newest of all backups
  bool continuous_ = false;                     ///< no gap since the backup before
  std::uint64_t previous_start_ = 0;
  std::map<std::pair<std::uint64_t, std::uint32_t>, std::uint64_t>
      previous_end_; ///< by start and stream: the last segment that the backup before knew

  std::optional<segment_name> first_needed_;
  std::map<segment_name, std::vector<backup_piece>, in_log_order> archived_;
  std::map<segment_name, segment_contents> contents_;
  std::vector<checkpoint_info> picked_;
  std::vector<std::uint32_t> behind_; ///< shards whose checkpoint is too old for the log
  std::vector<lsn_t> last_, reserved_;
  std::vector<lsn_t> missing_up_to_; ///< last LSN of each shard that the log lacks
  backup_manifest made_;

  backup_progress progress_;
  std::uint64_t copied_ = 0, log_at_ = 0;
  const steady::time_point began_ = steady::now();
};

} // namespace

op_result<backup_manifest> engine::back_up(backup_store& store, const backup_options& options) {
  if (!state_->folder)
    return op_status{op_code::not_supported,
                     "a universe in memory only has no backups: use warp dump"};
  return unless_no_memory("backup", [&] { return backup_maker{*state_, store, options}.go(); });
}

} // namespace warp::storage
