// What a machine writes to its log, when that is on disk, and what is committed.

#include "cluster/replication_host.hpp"

#include "cluster/turn_scratch.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <variant>

namespace warp::cluster {

using namespace replication;

void replication_host::on(action::write_wal& a) {
  std::visit([&](const auto& w) { write(a.position, w); }, a.what);
}

void replication_host::write(std::uint64_t position, const wal::fence& w) {
  shard_->fence(w.max_epoch);
  note_piece(position, 0, w.max_epoch);
}

/// Pieces that get to disk together are one.
void replication_host::note_piece(std::uint64_t position, lsn_t lsn, epoch_t epoch) {
  if (lsn == 0 && epoch == 0 && !pieces_.empty())
    pieces_.back().position = position;
  else
    pieces_.push_back({position, lsn, epoch});
}

void replication_host::write(std::uint64_t position, const wal::records& w) {
  auto& copied = turn_scratch::of_this_thread().copied;
  copied.clear();
  const auto count = w.what.size();
  for (std::size_t i = 0; i < count; ++i)
    copied.push_back({w.what.lsn_at(i), w.what.epoch_at(i), w.what.body_at(i)});
  if (auto status = shard_->append(copied); !status.ok()) return halt(std::move(status));
  pending_bytes_ += w.what.body_bytes() + count * record_overhead;
  note_piece(position, w.what.lsn_at(count - 1), 0);
}

void replication_host::write(std::uint64_t position, const wal::truncation& w) {
  shard_->cut(w.from - 1);
  pending_bytes_ -= w.body_bytes + w.count * record_overhead;
  for (auto& piece : pieces_) // the rest of it never comes to disk, and nobody waits for that
    piece.lsn = std::min(piece.lsn, w.from - 1);
  note_piece(position, 0, 0);
}

void replication_host::write(std::uint64_t position, const wal::commit&) {
  note_piece(position, 0, 0); // the table tells the log, when it has it
}

void replication_host::write(std::uint64_t position, const wal::incomplete&) {
  marks_.incomplete = true;
  if (auto status = write_marks(files_, engine_.options().folder, id_, marks_); !status.ok())
    return halt(std::move(status));
  note_piece(position, 0, 0);
}

void replication_host::write(std::uint64_t position, const wal::complete&) {
  marks_.incomplete = false;
  if (auto status = write_marks(files_, engine_.options().folder, id_, marks_); !status.ok())
    return halt(std::move(status));
  note_piece(position, 0, 0);
}

void replication_host::write(std::uint64_t position, const wal::installation& w) {
  floor_ = {w.end.lsn, w.end.epoch, w.end.hash};
  if (auto status = shard_->install(incoming_, floor_); !status.ok())
    return halt(std::move(status));
  readers_.clear();
  pending_bytes_ = 0;
  for (auto& piece : pieces_) piece.lsn = 0;
  note_piece(position, 0, 0);
  ++stats_.checkpoints_installed;
}

/// How far the pieces that were written are on disk.
std::uint64_t replication_host::look_at_disk() {
  if (shard_->log_failed()) {
    halt({op_code::io_error,
          fmt::format("shard {}: its log has failed; the node should hand over what it has and end",
                      id_.value)});
    return 0;
  }
  if (pieces_.empty()) return 0;
  const auto lsn = shard_->durable_lsn();
  const auto epoch = shard_->durable_epoch();
  std::uint64_t position = 0;
  for (; !pieces_.empty() && pieces_.front().lsn <= lsn && pieces_.front().epoch <= epoch;
       pieces_.pop_front())
    position = pieces_.front().position;
  return position;
}

/// What is committed and on disk need not be in memory, but for what copies may ask for next.
void replication_host::forget_old() {
  auto left = held_bytes() - pending_bytes_;
  if (left <= options_.kept_bytes) return;
  const auto up_to = std::min(shard_->applied().lsn, shard_->durable_lsn());
  lsn_t lsn = 0;
  machine_->log().each_run([&](lsn_t last, std::size_t count, std::size_t bytes) {
    if (left <= options_.kept_bytes / 2 || last > up_to) return false;
    left -= bytes + count * record_overhead;
    lsn = last;
    return true;
  });
  if (lsn == 0) return;
  // The machine may keep more, for members that lag behind. It does nothing but forget.
  machine_->step(event::checkpoint_published{lsn}, around_.now(),
                 turn_scratch::of_this_thread().actions);
}

std::size_t replication_host::held_bytes() const {
  return machine_->log().body_bytes() + machine_->log().size() * record_overhead;
}

void replication_host::on(const action::committed& a) {
  std::array<storage::committed_record, storage::replicated_shard::apply_max> some;
  static_assert(replica_log::part_max <= some.size());
  std::size_t count = 0, bytes = 0;
  storage::applied_place end;
  const auto apply = [&] {
    auto status = shard_->apply(std::span{some}.first(count), end);
    if (status.code() == op_code::not_supported) {
      status = {};
      for (std::size_t i = 0; i < count && status.ok(); ++i) {
        const auto at = machine_->log().at_or_below(some[i].lsn);
        status = shard_->apply({&some[i], 1}, {at.lsn, at.epoch, at.hash});
      }
    }
    if (!status.ok()) halt(std::move(status));
    pending_bytes_ -= bytes;
    count = bytes = 0;
    return !halted_;
  };
  machine_->log().each_part_behind(
      shard_->applied().lsn, a.lsn, [&](const log_run& records, const log_position& at) {
        if (count + records.size() > some.size() && !apply()) return false;
        for (std::size_t i = 0; i < records.size(); ++i) {
          const auto body = records.body_at(i);
          __builtin_prefetch(body.data()); // out of the cache since it was logged
          __builtin_prefetch(body.data() + 64);
          some[count++] = {records.lsn_at(i), body};
        }
        bytes += records.body_bytes() + records.size() * record_overhead;
        end = {at.lsn, at.epoch, at.hash};
        return true;
      });
  if (count != 0 && !halted_) apply();
}

} // namespace warp::cluster
