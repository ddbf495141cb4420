// Checkpoints while writes go on, and what may go when they are published.

#include "storage/checkpoint_attempt.hpp"
#include "storage/engine_state.hpp"
#include "storage/no_memory.hpp"
#include "storage/planted.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <tuple>

namespace warp::storage {

namespace {

/// Spares that nobody needed for so long are dropped, but for a few.
constexpr std::uint64_t spares_interval_ms = 60'000;
constexpr std::size_t spares_min = 4;

constexpr auto holds_nothing = std::numeric_limits<std::size_t>::max();

void drop_idle_spares(engine::state& state, std::uint64_t now_ms) {
  {
    std::lock_guard hold{state.upkeep_mutex};
    if (now_ms - state.spares_dropped_ms < spares_interval_ms) return;
    state.spares_dropped_ms = now_ms;
  }
  static_cast<void>(state.segments->drop_idle_spares(spares_min)); // one that stays does no harm
}

} // namespace

op_status engine::checkpoint(shard_id id) {
  return unless_no_memory("checkpoint", [&] { return save_checkpoint(id); });
}

op_status engine::save_checkpoint(shard_id id) {
  auto& state = *state_;
  if (!state.folder)
    return {op_code::not_supported, "a universe in memory only has no checkpoints"};
  if (id.value >= state.shard_count())
    return {op_code::invalid_argument,
            fmt::format("there is no shard {}: this universe has 0 to {}", id.value,
                        state.shard_count() - 1)};
  auto& log = *state.logs[id.value];
  std::lock_guard one_at_a_time{state.checkpoints[id.value]->running};
  checkpoint_attempt attempt{state, id};
  if (!attempt.has_news()) return {}; // nothing has changed since the last one
  // Not written for nothing: it could not be published.
  if (log.durable(attempt.began_at()) != durable_state::durable)
    if (auto status = log_condition(); !status.ok()) return status;
  if (auto status = attempt.write([this] { return log_presses(); }); !status.ok()) return status;

  // Published before the log is durable this far, a crash could restore a later write without an
  // earlier one of another shard, or one that was never acknowledged as durable.
  const auto& info = attempt.info();
  const bool early = planted(mistake::checkpoint_before_log);
  if (!early) log.request_sync();
  if (const auto code =
          log.wait_durable(early ? lsn_t{0} : info.end_lsn,
                           std::chrono::steady_clock::now() + std::chrono::minutes{1});
      code != op_code::ok)
    return {code, fmt::format(
                      "checkpoint of shard {}: the log did not become durable up to record {}: {}",
                      id.value, info.end_lsn, log_condition().message())};
  if (auto status = attempt.finish(); !status.ok()) return status;
  if (auto status = state.folder->publish(info, state.options.checkpoints_kept); !status.ok())
    return status;
  attempt.published();
  return release_log();
}

std::vector<lsn_t> engine::needed_from(bool oldest_kept) const {
  std::vector<lsn_t> from;
  for (std::uint32_t i = 0; i < state_->shard_count(); ++i) {
    const auto kept = state_->folder->checkpoints(shard_id{i});
    const auto& by = kept.empty() ? checkpoint_info{} : oldest_kept ? kept.back() : kept.front();
    from.push_back(1 + (planted(mistake::log_released_too_far) ? by.end_lsn : by.start_lsn));
  }
  return from;
}

op_status engine::release_log() {
  auto& state = *state_;
  // Asked for before the release, which may not wait under its lock: the log's writers need it too.
  const auto release = [&](bool oldest_kept, std::uint64_t bytes_max) {
    const auto from = needed_from(oldest_kept);
    return state.segments->release([&](shard_id id) { return from[id.value]; }, bytes_max,
                                   oldest_kept && state.holds_log_for_backups.load());
  };
  // The log from the newest checkpoint always stays; from the oldest one, and what no backup has
  // yet, as far as half of the limit allows. No more goes at once than must, so that segments come
  // free one by one and are used again.
  const auto half = state.segments->options().pause_bytes / 2;
  auto status = release(true, 0);
  if (status.ok() && state.segments->bytes_closed() > half) status = release(false, half);
  // A stream that finds no space needs what it can get: to write into an old segment takes none.
  if (status.ok() && out_of_space()) status = release(false, 0);
  for (auto& stream : state.streams) stream->wake_waiters();
  return status;
}

op_status engine::log_condition() const {
  for (const auto& stream : state_->streams)
    if (auto status = stream->condition(); !status.ok()) return status;
  return {};
}

bool engine::out_of_space() const noexcept {
  return std::any_of(state_->streams.begin(), state_->streams.end(),
                     [](const auto& stream) { return stream->out_of_space(); });
}

bool engine::log_presses() const {
  const auto& state = *state_;
  return state.segments &&
         state.segments->bytes_closed() > state.segments->options().pause_bytes / 8 * 5;
}

std::vector<shard_id> engine::due_checkpoints() {
  try {
    return find_due_checkpoints();
  } catch (const std::bad_alloc&) { // asked again soon
    return {};
  }
}

std::vector<shard_id> engine::find_due_checkpoints() {
  auto& state = *state_;
  for (auto& s : state.shards) {
    std::lock_guard hold{s->lock()};
    s->settle_memory();
  }
  if (!state.folder) return {};
  struct due_shard {
    shard_id id;
    std::size_t holds;
    std::uint64_t log_bytes;
  };
  std::vector<due_shard> due;
  const auto now_ms = state.time->now_ms();
  const auto interval_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(state.options.checkpoint_interval)
          .count());
  // When the log presses, the shards that hold it back have to move. A failure to let go shows as a
  // log that grows, and is met again after the next checkpoint.
  if (log_presses() || out_of_space()) static_cast<void>(release_log());
  const auto holds = holds_on_log();
  drop_idle_spares(state, now_ms);
  std::lock_guard hold{state.upkeep_mutex};
  for (std::uint32_t i = 0; i < state.shard_count(); ++i) {
    auto& s = *state.shards[i];
    auto& kept = *state.checkpoints[i];
    if (s.log()->stream_failed()) continue; // mend_log() makes its checkpoint
    lsn_t last = 0;
    {
      std::lock_guard lock{s.lock()};
      last = s.last_lsn();
    }
    if (last == kept.covered_lsn) continue;
    if (kept.dirty_since_ms == 0) kept.dirty_since_ms = now_ms;
    const auto log_records =
        s.log()->appended_records() + kept.log_records_recovered - kept.log_records_at;
    const auto log_bytes = s.log()->appended_bytes() - kept.log_bytes_at;
    if (now_ms - kept.dirty_since_ms >= interval_ms ||
        (log_records > state.options.checkpoint_log_records && log_bytes > kept.bytes) ||
        holds[i] != holds_nothing)
      due.push_back({s.id(), holds[i], log_bytes});
  }
  std::sort(due.begin(), due.end(), [](const due_shard& a, const due_shard& b) {
    return std::tie(a.holds, b.log_bytes) < std::tie(b.holds, a.log_bytes);
  });
  std::vector<shard_id> ids;
  for (const auto& d : due) ids.push_back(d.id);
  return ids;
}

/// When the log presses: by shard, which of the segments that have to go is the first that its
/// newest checkpoint needs (0: the oldest); holds_nothing: none of them.
std::vector<std::size_t> engine::holds_on_log() const {
  std::vector<std::size_t> holds(state_->shard_count(), holds_nothing);
  if (!log_presses()) return holds;
  const auto from = needed_from(false);
  auto to_go = state_->segments->bytes_closed();
  const auto half = state_->segments->options().pause_bytes / 2;
  state_->segments->with_segments([&](const auto& segments) {
    for (std::size_t i = 0; i < segments.size() && to_go > half; ++i) {
      const auto& segment = *segments[i];
      if (!segment.closed) continue;
      to_go -= std::min(to_go, segment.file_bytes);
      for (const auto& run : segment.runs)
        if (run.records != 0 && run.first <= run.keep &&
            std::min(run.last, run.keep) >= from[run.shard.value])
          holds[run.shard.value] = std::min(holds[run.shard.value], i);
    }
  });
  return holds;
}

} // namespace warp::storage
