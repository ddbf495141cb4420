#include "storage/checkpoint_attempt.hpp"

#include <fmt/format.h>
#include <mutex>
#include <new>
#include <string>
#include <thread>

namespace warp::storage {

checkpoint_attempt::checkpoint_attempt(engine::state& state, shard_id id)
    : state_(state), shard_(*state.shards[id.value]), kept_(*state.checkpoints[id.value]),
      began_(std::chrono::steady_clock::now()) {
  info_.shard = id;
  const auto& log = *shard_.log();
  {
    std::lock_guard hold{shard_.lock()};
    info_.start_epoch = log.epoch();
    const auto* applied = shard_.applied();
    info_.start_lsn = applied ? applied->lsn : log.last_appended();
    began_at_ = applied ? applied->lsn : shard_.last_lsn();
  }
  log_records_ = log.appended_records() + kept_.log_records_recovered;
  log_bytes_ = log.appended_bytes();
}

checkpoint_attempt::~checkpoint_attempt() = default;

bool checkpoint_attempt::has_news() const noexcept {
  return began_at_ != kept_.covered_lsn;
}

op_status checkpoint_attempt::write(const std::function<bool()>& hurry) {
  const auto id = info_.shard;
  info_.sequence = state_.folder->next_sequence(id);
  try {
    auto writer = checkpoint_writer::create(
        *state_.files, state_.folder->checkpoint_path(id, info_.sequence),
        {.universe = state_.folder->universe(),
         .generation = state_.folder->generation(),
         .shard = id,
         .shard_count = state_.shard_count(),
         .start_epoch = info_.start_epoch,
         .start_lsn = info_.start_lsn},
        {.rate_bytes = state_.options.checkpoint_rate_bytes, .direct = state_.direct_checkpoints});
    if (!writer) return writer.status();
    writer_ = std::move(*writer);
    if (auto status = write_records(hurry); !status.ok()) return status;
    std::string requests;
    {
      std::lock_guard hold{shard_.lock()};
      info_.end_epoch = shard_.log()->epoch();
      const auto* applied = shard_.applied();
      info_.end_lsn = applied ? applied->lsn : shard_.log()->last_appended();
      if (applied) place_ = encode(*applied);
      info_.reserved_lsn = shard_.last_lsn();
      requests = shard_.requests().encode();
    }
    info_.created_at_ms = state_.time->now_ms();
    if (!place_.empty())
      if (auto status = writer_->add_section(checkpoint_section_place, place_); !status.ok())
        return status;
    if (requests.empty()) return {};
    return writer_->add_section(checkpoint_section_requests, requests);
  } catch (const std::bad_alloc&) {
    return {op_code::no_space, fmt::format("checkpoint of shard {}: no memory for it", id.value)};
  }
}

/// Walks the shard into the writer, one bucket (about a microsecond) per hold of the lock.
op_status checkpoint_attempt::write_records(const std::function<bool()>& hurry) {
  auto& writer = *writer_;
  std::uint64_t cursor = 0;
  do {
    {
      std::lock_guard hold{shard_.lock()};
      cursor = shard_.records().walk(cursor, [&](const record& r) {
        if (auto* large = r.large())
          writer.add(r.key(), blob_ref::share(large), r.meta());
        else
          writer.add(r.key(), r.value(), r.meta());
      });
    }
    if (writer.has_full_blocks()) {
      if (auto status = writer.write_full_blocks(); !status.ok()) return status;
      const auto pause = writer.pause(std::chrono::steady_clock::now(), hurry());
      if (pause.count() > 0)
        std::this_thread::sleep_for(pause); // the rate limit, not a wait for anything
    }
  } while (cursor != 0);
  return {};
}

op_status checkpoint_attempt::finish() {
  try {
    auto totals = writer_->finish({.end_epoch = info_.end_epoch,
                                   .end_lsn = info_.end_lsn,
                                   .reserved_lsn = info_.reserved_lsn,
                                   .created_at_ms = info_.created_at_ms});
    if (!totals) return totals.status();
    info_.records = totals->records;
    info_.bytes = totals->bytes;
    return {};
  } catch (const std::bad_alloc&) {
    return {op_code::no_space,
            fmt::format("checkpoint of shard {}: no memory for it", info_.shard.value)};
  }
}

void checkpoint_attempt::published() {
  std::lock_guard hold{state_.upkeep_mutex};
  kept_.covered_lsn = began_at_;
  kept_.end_lsn = info_.end_lsn;
  kept_.bytes = info_.bytes;
  kept_.created_at_ms = info_.created_at_ms;
  kept_.duration_ms =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                     std::chrono::steady_clock::now() - began_)
                                     .count());
  ++kept_.count;
  kept_.log_records_at = log_records_;
  kept_.log_bytes_at = log_bytes_;
  kept_.dirty_since_ms = 0;
}

} // namespace warp::storage
