// From failed log streams to new chains.
//
// When a write or sync of a stream has failed, nobody knows what of its last round is on disk, and
// what waited behind it has nowhere to go. The tables of its shards have it all, and do not change
// any more: a failed log admits no write. So checkpoints of these shards, as they stand, take the
// place of the log that is missing, and a new chain goes on above them. They may hold writes whose
// callers were told that the outcome is unknown, or nothing but that they were logged: such a
// write may be there. What must hold whenever a crash comes is:
//
//   - No write goes on above a gap: the new chain begins when all checkpoints are published, and
//     its first frame names the LSN up to which each of them reaches.
//   - A transaction over shards is there whole or not at all. With some of the checkpoints
//     published, parts would be there that the log of another shard lacks: so one change of the
//     manifest publishes all of them, of all streams that have failed, and not before the parts in
//     the other streams are on disk. (No new part can come: a transaction needs all its shards.)
//   - No LSN is used twice: the counts go on where they are, and the new chain's first frame
//     reserves anew.
//   - Durable is what is on disk: the durable LSNs rise when the new chain has begun, which is
//     after the publication.

#include "storage/checkpoint_attempt.hpp"
#include "storage/engine_state.hpp"
#include "storage/no_memory.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace warp::storage {

namespace {

using steady = std::chrono::steady_clock;

/// How long one attempt waits for the streams that work.
constexpr std::chrono::seconds others_bound{5};

/// Waits until all that the shards of the streams that work have appended by now is on disk.
op_status wait_for_others(engine::state& state) {
  const auto deadline = steady::now() + others_bound;
  std::vector<lsn_t> ends(state.shard_count());
  for (std::uint32_t i = 0; i < state.shard_count(); ++i) {
    // With the lock, also for the shards that have failed: what had been admitted before the
    // failure is in the table afterwards, all parts of it.
    std::lock_guard hold{state.shards[i]->lock()};
    ends[i] = state.logs[i]->last_appended();
  }
  // Those that have failed are covered together now, or were before.
  std::vector<bool> works;
  for (const auto& stream : state.streams) {
    works.push_back(!stream->needs_cover() && !stream->covered());
    if (!works.back()) continue;
    if (stream->out_of_space()) return stream->condition();
    stream->request_sync();
  }
  for (std::uint32_t i = 0; i < state.shard_count(); ++i) {
    if (!works[state.stream_of_shard[i]]) continue;
    if (const auto code = state.logs[i]->wait_written(ends[i], deadline); code != op_code::ok)
      return {code,
              fmt::format("log stream {} does not get to disk either: {}", state.stream_of_shard[i],
                          state.streams[state.stream_of_shard[i]]->condition().message())};
  }
  return {};
}

} // namespace

mend_state::mend_state() = default;
mend_state::~mend_state() = default;

bool engine::log_failed() const noexcept {
  return std::any_of(state_->streams.begin(), state_->streams.end(),
                     [](const auto& stream) { return stream->needs_cover(); });
}

op_status engine::mend_log() {
  auto& state = *state_;
  if (!log_failed()) return {};
  std::lock_guard one_at_a_time{state.mend.running};
  const auto now = steady::now();
  if (now < state.mend.again_at) return unless_no_memory("log", [&] { return state.mend.failure; });
  state.mend.failure = unless_no_memory("log", [&] { return cover_failed_streams(); });
  if (state.mend.failure.ok()) {
    state.mend.pause = {};
    state.mend.again_at = {};
    return {};
  }
  state.mend.failures.fetch_add(1, std::memory_order_relaxed);
  state.mend.pause =
      std::clamp(2 * state.mend.pause, state.options.log_retry_min, state.options.log_retry_max);
  state.mend.again_at = now + state.mend.pause;
  return unless_no_memory("log", [&] { return state.mend.failure; });
}

op_status engine::cover_failed_streams() {
  auto& state = *state_;
  std::vector<bool> failed;
  for (const auto& stream : state.streams) failed.push_back(stream->needs_cover());
  if (auto status = wait_for_others(state); !status.ok()) return status;

  // No other checkpoint of these shards until these are published.
  std::vector<std::unique_lock<std::mutex>> running;
  std::vector<checkpoint_attempt*> attempts;
  std::vector<checkpoint_info> infos;
  auto& finished = state.mend.finished;
  finished.resize(state.shard_count());
  for (std::uint32_t i = 0; i < state.shard_count(); ++i) {
    if (!failed[state.stream_of_shard[i]]) continue;
    running.emplace_back(state.checkpoints[i]->running);
    auto attempt = std::make_unique<checkpoint_attempt>(state, shard_id{i});
    if (!attempt->has_news()) {
      finished[i].reset();
      continue; // the newest checkpoint and the log on disk hold everything
    }
    // What an attempt before this one has finished is still good where nothing has come since.
    const auto published = state.folder->checkpoints(shard_id{i});
    const bool still_good =
        finished[i] && finished[i]->began_at() == attempt->began_at() &&
        (published.empty() || published.front().sequence < finished[i]->info().sequence);
    if (!still_good) {
      finished[i].reset();
      if (auto status = attempt->write([] { return true; }); !status.ok()) return status;
      if (auto status = attempt->finish(); !status.ok()) return status;
      finished[i] = std::move(attempt);
    }
    attempts.push_back(finished[i].get());
    infos.push_back(finished[i]->info());
  }
  if (!infos.empty())
    if (auto status = state.folder->publish(infos, state.options.checkpoints_kept); !status.ok())
      return status;
  for (auto* attempt : attempts) attempt->published();
  finished.clear();
  for (std::uint32_t i = 0; i < failed.size(); ++i)
    if (failed[i]) state.streams[i]->cover();
  running.clear();
  // Old files that stay are met again after the next checkpoint.
  static_cast<void>(release_log());
  return {};
}

op_status engine::revive_streams() {
  {
    std::lock_guard hold{state_->mend.running};
    state_->mend.again_at = {};
  }
  if (auto status = mend_log(); !status.ok()) return status;
  for (auto& stream : state_->streams)
    if (stream->covered())
      if (auto status = stream->revive(); !status.ok()) return status;
  return {};
}

} // namespace warp::storage
