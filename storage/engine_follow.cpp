// What followers need: a shard's log as a stream, frames taken over from a primary, a checkpoint
// installed.

#include "storage/checkpoint_attempt.hpp"
#include "storage/checkpoint_reader.hpp"
#include "storage/engine_state.hpp"
#include "storage/log_cursor.hpp"
#include "storage/no_memory.hpp"

#include <fmt/format.h>

namespace warp::storage {

namespace {

op_status fill(shard& s, checkpoint_reader& from) {
  if (auto status =
          from.read_records([&](const checkpoint_record& r) { s.restore(r.key, r.value, r.meta); });
      !status.ok())
    return status;
  if (auto section = from.section(checkpoint_section_requests); section.ok()) {
    auto requests = request_window::decode(*section);
    if (!requests) return requests.status();
    s.requests() = std::move(*requests);
  }
  return {};
}

/// A checkpoint of this shard without damage.
op_result<checkpoint_reader> open_whole(engine::state& state, shard_id id,
                                        const std::string& path) {
  auto reader = checkpoint_reader::open(*state.files, path);
  if (!reader) return reader.status();
  const auto& header = reader->header();
  if (header.shard != id || header.shard_count != state.shard_count())
    return op_status{op_code::invalid_argument,
                     fmt::format("{} holds shard {} of {}, not shard {} of {}", path,
                                 header.shard.value, header.shard_count, id.value,
                                 state.shard_count())};
  if (auto status = reader->verify(); !status.ok()) return status;
  return reader;
}

} // namespace

std::unique_ptr<log_cursor> engine::read_log(shard_id id, lsn_t after) {
  if (!state_->folder) return nullptr;
  return std::make_unique<log_cursor>(*state_->segments, id, after);
}

op_status engine::apply_frame(shard_id id, const log_frame& frame) {
  return unless_no_memory("frame", [&] { return apply_records(id, frame); });
}

op_status engine::apply_records(shard_id id, const log_frame& frame) {
  auto& state = *state_;
  if (!state.folder) return {op_code::not_supported, "a universe in memory only follows nobody"};
  auto& s = *state.shards[id.value];
  auto& log = *s.log();

  // Everything is decoded before anything is changed.
  std::vector<log_record> records;
  auto bytes = frame.records;
  auto lsn = frame.header.first - 1;
  while (!bytes.empty()) {
    log_record r;
    if (!decode_record(bytes, lsn, r))
      return {op_code::corruption,
              fmt::format("shard {}: the frame from LSN {} holds a malformed record", id.value,
                          frame.header.first)};
    if (r.op == log_op::parts || r.lsn > frame.keep) continue;
    if (r.op == log_op::together)
      return {
          op_code::not_supported,
          fmt::format("shard {}: LSN {} is a transaction of a replicated shard, which only such "
                      "a shard takes",
                      id.value, r.lsn)};
    if (auto status = expand(r, state.options.value_bytes_max); !status.ok()) return status;
    records.push_back(std::move(r));
  }

  std::unique_lock lock{s.lock()};
  if (frame.header.epoch < log.epoch())
    return {op_code::wrong_shard, fmt::format("shard {}: epoch {} is over, this copy is at {}",
                                              id.value, frame.header.epoch, log.epoch())};
  if (frame.header.previous > log.last_appended())
    return {op_code::version_mismatch,
            fmt::format("shard {}: the frame follows LSN {}, this copy ends at {}", id.value,
                        frame.header.previous, log.last_appended())};
  if (const auto code = state.admit(s, lock, records.size()); code != op_code::ok)
    return {code, fmt::format("shard {}: the log takes no frame now", id.value)};
  if (frame.header.epoch > log.epoch()) {
    log.set_epoch(frame.header.epoch);
    if (frame.header.previous < log.last_appended()) log.cut(frame.header.previous);
  }
  shard::write_section changing{s};
  auto status = unless_no_memory("frame", [&]() -> op_status {
    for (const auto& r : records) {
      if (r.lsn <= log.last_appended()) continue; // repeated
      log.reserve(r.key.size() + r.value.size(), static_cast<bool>(r.large));
      s.replay(r, frame.header.timestamp_us);
      log.append(r);
    }
    return {};
  });
  log.commit();
  return status;
}

op_status engine::install_checkpoint(shard_id id, const std::string& path) {
  return unless_no_memory("checkpoint", [&] { return install(id, path); });
}

op_status engine::install(shard_id id, const std::string& path) {
  auto& state = *state_;
  if (!state.folder)
    return {op_code::not_supported, "a universe in memory only takes no checkpoints"};
  auto reader = open_whole(state, id, path);
  if (!reader) return reader.status();
  auto& s = *state.shards[id.value];
  {
    std::lock_guard hold{s.lock()};
    auto& log = *s.log();
    if (log.stream_failed())
      return {op_code::io_error, fmt::format("shard {}: its log has failed", id.value)};
    if (log.last_appended() != 0)
      return {
          op_code::invalid_argument,
          fmt::format("shard {} has data of its own: a checkpoint is installed into an empty copy",
                      id.value)};
    shard::write_section changing{s};
    s.clear();
    if (auto status = unless_no_memory("checkpoint", [&] { return fill(s, *reader); });
        !status.ok()) {
      s.clear();
      return status;
    }
    log.start_at({.last = reader->end().end_lsn,
                  .next = std::max(reader->end().reserved_lsn, reader->end().end_lsn) + 1,
                  .epoch = reader->end().end_epoch});
    if (s.tap()) s.tap()->lose(0);
  }
  // The log of this node knows nothing of it: a checkpoint of our own makes it durable here.
  return checkpoint(id);
}

op_status engine::replace_copy(shard_id id, const std::string& path, const applied_place& end) {
  auto& state = *state_;
  auto reader = open_whole(state, id, path);
  if (!reader) return reader.status();
  auto& kept = *state.checkpoints[id.value];
  std::lock_guard one_at_a_time{kept.running};
  auto& s = *state.shards[id.value];
  {
    std::lock_guard hold{s.lock()};
    shard::write_section changing{s};
    s.clear();
    if (auto status = unless_no_memory("checkpoint", [&] { return fill(s, *reader); });
        !status.ok()) {
      s.clear();
      return status;
    }
    state.replica_starts[id.value].applied = end;
    if (s.tap()) s.tap()->lose(0);
  }
  // Not before the log is on disk, as of other checkpoints: what the log holds is void. It is cut
  // behind this, so that no start finds a log which begins where no checkpoint has ended.
  checkpoint_attempt attempt{state, id};
  if (auto status = attempt.write([] { return false; }); !status.ok()) return status;
  if (auto status = attempt.finish(); !status.ok()) return status;
  if (auto status = state.folder->publish(attempt.info(), state.options.checkpoints_kept);
      !status.ok())
    return status;
  attempt.published();
  return release_log();
}

std::string engine::newest_checkpoint(shard_id id) const {
  if (!state_->folder) return {};
  const auto published = state_->folder->checkpoints(id);
  return published.empty() ? std::string{}
                           : state_->folder->checkpoint_path(id, published.front().sequence);
}

} // namespace warp::storage
