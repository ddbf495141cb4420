// The rest of the engine: waiting for the disk, scans, upkeep, counters.

#include "storage/cpu_list.hpp"
#include "storage/engine_state.hpp"
#include "storage/no_memory.hpp"
#include "storage/slot.hpp"

#include <algorithm>

namespace warp::storage {

// -- durability
// --------------------------------------------------------------------------------------------------------

durable_state engine::durable(shard_id shard, lsn_t lsn) const noexcept {
  if (const auto* const e = state_->replicated()) [[unlikely]]
    return e->durable(shard, lsn);
  return state_->folder ? state_->logs[shard.value]->durable(lsn) : durable_state::durable;
}

op_code engine::wait_durable(std::span<const op_reply> replies,
                             std::chrono::steady_clock::time_point deadline) {
  if (state_->replicated()) return wait_for_tickets(replies, deadline);
  auto result = op_code::ok;
  for (const auto& reply : replies) {
    if (reply.durable_at == 0 || !state_->folder) continue;
    const auto code = state_->logs[reply.shard.value]->wait_durable(reply.durable_at, deadline);
    if (code == op_code::io_error) return op_code::outcome_unknown;
    if (code != op_code::ok) result = code;
  }
  return result;
}

void engine::request_sync(shard_id shard) noexcept {
  if (state_->replicated()) return; // whoever executes has asked for what an answer waits for
  if (state_->folder) state_->logs[shard.value]->request_sync();
}

std::uint32_t engine::stream_count() const noexcept {
  return static_cast<std::uint32_t>(state_->streams.size());
}

void engine::run_stream(std::uint32_t stream, std::chrono::milliseconds wait_max) {
  state_->streams[stream]->run(wait_max);
}

op_status engine::pin_stream_thread() const {
  const auto cpus = parse_cpu_list(state_->options.wal_cpus);
  return cpus ? pin_this_thread(*cpus) : cpus.status();
}

void engine::interrupt_stream(std::uint32_t stream) noexcept {
  state_->streams[stream]->interrupt();
}

void engine::add_round_listener(round_listener& listener) {
  std::lock_guard hold{state_->listeners_mutex};
  state_->listeners.push_back(&listener);
}

void engine::remove_round_listener(round_listener& listener) {
  std::lock_guard hold{state_->listeners_mutex};
  std::erase(state_->listeners, &listener);
}

void engine::state::tell_listeners() {
  std::lock_guard hold{listeners_mutex};
  for (auto* listener : listeners) listener->on_round();
}

// -- scans and upkeep
// --------------------------------------------------------------------------------------------------

op_status engine::scan(std::uint64_t cursor, std::string_view prefix, std::size_t limit,
                       scan_page& page, std::size_t buckets_max) {
  return unless_no_memory("scan", [&]() -> op_status {
    state_->scan(cursor, prefix, limit, page, buckets_max, /*locked=*/false);
    return {};
  });
}

std::size_t engine::sweep_expired(shard_id id, std::size_t buckets_max) {
  auto& s = *state_->shards[id.value];
  std::unique_lock lock{s.lock()};
  if (!s.has_expiring()) return 0;
  if (s.log() && !s.log()->has_room()) return 0; // its turn comes again; nobody waits for a sweep
  if (state_->admit(s, lock, 1) != op_code::ok) return 0;
  shard::write_section changing{s};
  const auto removed = s.sweep(state_->time->now_ms(), buckets_max);
  if (s.log()) s.log()->commit();
  return removed;
}

shard_id engine::shard_of(std::string_view key) const noexcept {
  return storage::shard_of(key, state_->shard_count());
}
std::uint32_t engine::shard_count() const noexcept {
  return state_->shard_count();
}

// -- counters
// ----------------------------------------------------------------------------------------------------------

const engine_options& engine::options() const noexcept {
  return state_->options;
}
const recovery_report& engine::recovery() const noexcept {
  return state_->report;
}

shard_stats engine::stats(shard_id id) const {
  auto& state = *state_;
  auto& s = *state.shards[id.value];
  shard_stats out;
  {
    std::lock_guard hold{s.lock()};
    out = s.counters();
    out.table = s.records().stats();
    out.lock_waits = s.lock().waits();
    out.last_lsn = s.last_lsn();
    out.epoch = s.log() ? s.log()->epoch() : 0;
  }
  state.reads->add_to(id.value, out);
  if (!state.folder) return out;
  const auto& log = *state.logs[id.value];
  out.durable_lsn = log.durable_lsn();
  out.log_records = log.appended_records();
  out.log_bytes = log.appended_bytes();
  if (const auto oldest = log.oldest_pending_ns(); oldest != 0) {
    const auto now =
        static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    out.durable_lag_ms = now > oldest ? (now - oldest) / 1'000'000 : 0;
  }
  std::lock_guard hold{state.upkeep_mutex};
  const auto& kept = *state.checkpoints[id.value];
  out.checkpoint_lsn = kept.end_lsn;
  out.checkpoint_at_ms = kept.created_at_ms;
  out.checkpoint_bytes = kept.bytes;
  out.checkpoint_duration_ms = kept.duration_ms;
  out.checkpoints = kept.count;
  return out;
}

stream_stats engine::stats_of_stream(std::uint32_t stream) const {
  return state_->streams[stream]->stats();
}

op_status engine::condition_of_stream(std::uint32_t stream) const {
  return state_->streams[stream]->condition();
}

std::uint64_t engine::keys_being_freed() const noexcept {
  return state_->burials.pending_keys();
}

log_stats engine::stats_of_log() const {
  if (!state_->segments) return {};
  const auto& store = *state_->segments;
  const auto pauses = store.pauses();
  return {.bytes = store.bytes_kept(),
          .closed_bytes = store.bytes_closed(),
          .pause_bytes = store.options().pause_bytes,
          .pauses = pauses.count,
          .paused_ms = pauses.ms,
          .mend_failures = state_->mend.failures.load(std::memory_order_relaxed)};
}

} // namespace warp::storage
