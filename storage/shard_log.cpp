#include "storage/shard_log.hpp"

#include "storage/planted.hpp"
#include "storage/record_body.hpp"
#include "storage/wal_format.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

namespace warp::storage {

namespace {

std::uint64_t steady_ns() noexcept {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

/// Raises an atomic that only one thread at a time changes.
template <class T>
void raise(std::atomic<T>& a, T value) noexcept {
  if (a.load(std::memory_order_relaxed) < value) a.store(value, std::memory_order_release);
}

} // namespace

shard_log::shard_log(shard_id shard, shard_lock& lock, log_position at)
    : shard_(shard), lock_(lock), next_(at.next), last_(at.last), record_epoch_(at.epoch),
      last_appended_(at.last), epoch_(at.epoch), durable_(at.last), durable_epoch_(at.epoch),
      on_disk_(at.last) {}

shard_log::~shard_log() {
  if (gate_) active_.clear(gate_->pool());
}

op_code shard_log::admit(std::uint64_t lsns, std::uint64_t bytes) noexcept {
  if (!gate_) return op_code::shutting_down;
  if (failed_.load(std::memory_order_acquire) != 0) [[unlikely]]
    return op_code::io_error;
  switch (gate_->condition()) {
  case stream_condition::writing:
    break;
  case stream_condition::no_space:
    return op_code::no_space;
  case stream_condition::failed:
    return op_code::io_error;
  case stream_condition::closed:
    return op_code::shutting_down;
  }
  // Half of what a frame can hold, so that heads of records, padding and the list of a
  // transaction's parts always fit too.
  if (bytes > frame_bytes_max / 2 || lsns > block_) return op_code::invalid_argument;
  if (!gate_->has_room()) return op_code::overloaded;
  if (next_ + lsns > renew_at_) [[unlikely]] {
    if (!renew_) {
      renew_ = force_frame_ = true;
      mark_dirty();
    }
    if (next_ - 1 + lsns > reserved_.load(std::memory_order_acquire)) {
      starved_.store(true, std::memory_order_seq_cst);
      gate_->request_round();
      return op_code::overloaded;
    }
  }
  return op_code::ok;
}

void shard_log::open_frame() {
  active_.open_frame(gate_->pool(), record_epoch_, last_, frame_header_bytes);
  active_.current().cuts = std::exchange(cut_, false);
}

void shard_log::append(const log_record& record) {
  if (!active_.frame_open()) open_frame();
  auto& pool = gate_->pool();
  auto& frame = active_.current();
  const auto expected = frame.count == 0 ? record.lsn : frame.last + 1;
  char* at = active_.room(pool, record_head_bytes_max);
  const auto head = encode_record_head(record, expected, at);
  const auto copied = record.key.size() + (record.large ? 0 : record.value.size());
  if (head + copied <= active_.room_left()) [[likely]] {
    if (!record.key.empty()) std::memcpy(at + head, record.key.data(), record.key.size());
    if (!record.large && !record.value.empty())
      std::memcpy(at + head + record.key.size(), record.value.data(), record.value.size());
    active_.advance(head + copied);
  } else {
    active_.advance(head);
    active_.write(pool, record.key);
    if (!record.large) active_.write(pool, record.value);
  }
  if (record.large) active_.share(record.large);
  note_appended(record.lsn);
}

void shard_log::append_body(lsn_t lsn, std::string_view body) {
  if (!active_.frame_open()) open_frame();
  auto& frame = active_.current();
  const bool follows = frame.count == 0 || lsn == frame.last + 1;
  if (!follows || body.empty()) [[unlikely]] { // its LSN is in its head, or it has no bytes yet
    log_record record;
    [[maybe_unused]] const bool known = decode_body(lsn, body, record);
    return append(record);
  }
  auto& pool = gate_->pool();
  char* const at = active_.room(pool, 1);
  if (body.size() <= active_.room_left()) [[likely]] {
    std::memcpy(at, body.data(), body.size());
    active_.advance(body.size());
  } else {
    active_.write(pool, body);
  }
  note_appended(lsn);
}

void shard_log::note_appended(lsn_t lsn) noexcept {
  auto& frame = active_.current();
  if (frame.count++ == 0) frame.first = lsn;
  frame.last = last_ = lsn;
  next_ = std::max(next_, lsn + 1);
  last_appended_.store(lsn, std::memory_order_release);
}

void shard_log::reserve_more(std::size_t records, std::size_t bytes, std::size_t blobs) {
  active_.reserve(gate_->pool(), bytes + records * record_head_bytes_max, blobs);
}

void shard_log::reserve_part(const log_transaction& transaction, std::size_t records,
                             std::size_t bytes, std::size_t blobs) {
  if (spare_parts_.empty()) spare_parts_.emplace_back();
  reserve_more(records, transaction.record().size() + bytes, blobs);
}

void shard_log::begin_part(const std::shared_ptr<log_transaction>& transaction) {
  if (spare_parts_.empty()) spare_parts_.emplace_back();
  if (!active_.frame_open()) open_frame();
  active_.write(gate_->pool(), transaction->record());
  active_.current().has_parts = true;
  for (const auto& part : transaction->parts())
    if (part.shard == shard_) spare_parts_.front() = {transaction, part.first, false};
  active_parts_.splice(active_parts_.end(), spare_parts_, spare_parts_.begin());
  transaction->logs_.push_back(this);
}

void shard_log::commit() noexcept {
  if (!active_.frame_open()) return;
  const auto bytes = active_.bytes();
  if (active_.frame_bytes() >= frame_bytes_) active_.close_frame(gate_->pool(), frame_alignment);
  active_.prefetch_room();
  mark_dirty();
  if (bytes - accounted_ >= account_bytes) {
    gate_->add_bytes(bytes - accounted_);
    accounted_ = bytes;
  }
}

void shard_log::mark_dirty() noexcept {
  if (dirty_) return;
  dirty_ = true;
  dirty_since_ns_.store(steady_ns(), std::memory_order_relaxed);
  gate_->mark_dirty(index_);
}

void shard_log::set_epoch(epoch_t epoch) {
  if (active_.frame_open()) active_.close_frame(gate_->pool(), frame_alignment);
  epoch_.store(epoch, std::memory_order_relaxed);
  record_epoch_ = epoch;
  force_frame_ = true;
  mark_dirty();
}

void shard_log::set_record_epoch(epoch_t epoch) {
  if (epoch == record_epoch_) return;
  if (active_.frame_open()) active_.close_frame(gate_->pool(), frame_alignment);
  record_epoch_ = epoch;
}

void shard_log::cut(lsn_t last) {
  if (active_.frame_open()) active_.close_frame(gate_->pool(), frame_alignment);
  last_ = last;
  next_ = last + 1;
  last_appended_.store(last, std::memory_order_release);
  cut_ = true;
  force_frame_ = true;
  ++cuts_made_;
  {
    std::lock_guard guard{publish_mutex_};
    ++cuts_;
    cut_to_ = std::min(cut_to_, last);
    on_disk_ = std::min(on_disk_, last);
    if (durable_.load(std::memory_order_relaxed) > last)
      durable_.store(last, std::memory_order_release);
  }
  mark_dirty();
}

void shard_log::note_commit(lsn_t lsn, bool at_once) {
  commit_ = lsn;
  if (!at_once) return;
  if (active_.frame_open()) active_.close_frame(gate_->pool(), frame_alignment);
  force_frame_ = true;
  mark_dirty();
}

void shard_log::start_at(log_position at) {
  last_ = at.last;
  next_ = std::max(next_, at.next);
  last_appended_.store(at.last, std::memory_order_release);
  if (at.epoch > epoch()) set_epoch(at.epoch);
  std::lock_guard guard{publish_mutex_};
  on_disk_ = std::max(on_disk_, at.last);
  durable_.store(std::max(durable_.load(std::memory_order_relaxed), at.last),
                 std::memory_order_release);
}

durable_state shard_log::durable(lsn_t lsn) const noexcept {
  const auto on_disk = durable_.load(std::memory_order_acquire);
  if (lsn <= on_disk) return durable_state::durable;
  // Nothing that was logged is missing: what lies above are writes at level memory, which are as
  // durable as they get.
  if (on_disk >= last_appended_.load(std::memory_order_acquire)) return durable_state::durable;
  return failed_.load(std::memory_order_acquire) != 0 ? durable_state::failed
                                                      : durable_state::pending;
}

op_code shard_log::wait_durable(lsn_t lsn, std::chrono::steady_clock::time_point deadline) const {
  for (;;) {
    const auto seen = gate_ ? gate_->round() : 0;
    switch (durable(lsn)) {
    case durable_state::durable:
      return op_code::ok;
    case durable_state::failed:
      return op_code::io_error;
    case durable_state::pending:
      break;
    }
    if (!gate_ || gate_->condition() == stream_condition::closed) return op_code::io_error;
    if (!gate_->wait_round(seen, deadline)) return op_code::timed_out;
  }
}

op_code shard_log::wait_written(lsn_t lsn, std::chrono::steady_clock::time_point deadline) const {
  for (;;) {
    const auto seen = gate_ ? gate_->round() : 0;
    {
      std::lock_guard guard{publish_mutex_};
      if (on_disk_ >= lsn) return op_code::ok;
    }
    if (!gate_ || stream_failed() || gate_->condition() == stream_condition::closed)
      return op_code::io_error;
    if (!gate_->wait_round(seen, deadline)) return op_code::timed_out;
  }
}

void shard_log::request_sync() noexcept {
  if (!gate_) return;
  if (!wished_.load(std::memory_order_seq_cst)) wished_.store(true, std::memory_order_seq_cst);
  gate_->request_round();
}

bool shard_log::has_room() const noexcept {
  return gate_ && gate_->has_room() && !starved_.load(std::memory_order_seq_cst);
}

op_code shard_log::wait_for_room(std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    if (!gate_) return op_code::shutting_down;
    const auto seen = gate_->round();
    if (failed_.load(std::memory_order_acquire) != 0) return op_code::io_error;
    if (gate_->condition() == stream_condition::no_space) return op_code::no_space;
    if (gate_->condition() == stream_condition::closed) return op_code::shutting_down;
    if (has_room()) return op_code::ok;
    gate_->request_round();
    if (!gate_->wait_round(seen, deadline)) return op_code::overloaded;
  }
}

// -- called by the stream
// ------------------------------------------------------------------------------------------

void shard_log::attach(std::shared_ptr<stream_gate> gate, std::uint32_t index,
                       std::uint64_t frame_bytes, lsn_t reserved, std::uint64_t block) {
  std::lock_guard guard{lock_};
  if (gate_ != gate) gate_ = std::move(gate); // not touched by a revival: other threads read it
  index_ = index;
  frame_bytes_ = frame_bytes;
  block_ = block;
  reserve_to_ = reserved;
  renew_at_ = reserved - block / 2;
  reserved_.store(reserved, std::memory_order_release);
}

void shard_log::take(taken_round& round) noexcept {
  std::lock_guard guard{lock_};
  if (active_.frame_open()) active_.close_frame(gate_->pool(), frame_alignment);
  std::swap(round.buffer, active_);
  std::swap(round.parts, active_parts_);
  round.assigned = next_ - 1;
  round.last = last_;
  round.epoch = epoch_.load(std::memory_order_relaxed);
  round.commit = commit_;
  round.cuts = cuts_made_;
  round.force_frame = std::exchange(force_frame_, false);
  round.cut = std::exchange(cut_, false);
  if (std::exchange(renew_, false) || next_ + block_ / 2 > reserve_to_) {
    reserve_to_ = std::max(reserve_to_, std::min(next_ - 1 + block_, lsn_max));
    renew_at_ = reserve_to_ - block_ / 2;
  }
  round.reserved = reserve_to_;
  gate_->add_bytes(round.buffer.bytes() - accounted_);
  accounted_ = 0;
  dirty_ = false;
  taken_since_ns_.store(dirty_since_ns_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  dirty_since_ns_.store(0, std::memory_order_relaxed);
  std::uint64_t records = 0;
  for (const auto& frame : round.buffer.frames()) records += frame.count;
  records_.fetch_add(records, std::memory_order_relaxed);
  bytes_.fetch_add(round.buffer.bytes(), std::memory_order_relaxed);
}

bool shard_log::publish(taken_round& round, settled_transactions& settled) noexcept {
  raise(reserved_, round.reserved);
  raise(durable_epoch_, round.epoch);
  starved_.store(false, std::memory_order_seq_cst);
  taken_since_ns_.store(0, std::memory_order_relaxed);
  std::lock_guard guard{publish_mutex_};
  auto assigned = round.assigned;
  if (round.cuts == cuts_)
    cut_to_ = lsn_max;
  else // taken before a cut: what it wrote above the cut is void
    assigned = std::min(assigned, cut_to_);
  on_disk_ = std::max(on_disk_, assigned);
  holds_.splice(holds_.end(), round.parts);
  return advance_locked(settled);
}

bool shard_log::advance(settled_transactions& settled) noexcept {
  std::lock_guard guard{publish_mutex_};
  return advance_locked(settled);
}

bool shard_log::advance_locked(settled_transactions& settled) noexcept {
  for (; !holds_.empty(); holds_.pop_front()) {
    auto& front = holds_.front();
    if (!std::exchange(front.counted, true) && front.transaction->count_part())
      settled.push(front.transaction);
    if (!front.transaction->settled() && !planted(mistake::durable_before_all_parts)) break;
  }
  auto to = on_disk_;
  bool failed = false;
  if (!holds_.empty()) {
    to = std::min(to, holds_.front().first - 1);
    failed = holds_.front().transaction->failed();
  }
  bool changed = false;
  if (to > durable_.load(std::memory_order_relaxed)) {
    durable_.store(to, std::memory_order_release);
    changed = true;
  }
  const auto before = failed ? failed_.fetch_or(failed_transaction, std::memory_order_release)
                             : failed_.fetch_and(static_cast<std::uint8_t>(~failed_transaction),
                                                 std::memory_order_release);
  return changed || ((before & failed_transaction) != 0) != failed;
}

void shard_log::fail() noexcept {
  failed_.fetch_or(failed_stream, std::memory_order_release);
}

void shard_log::revive(lsn_t assigned, settled_transactions& settled) noexcept {
  failed_.fetch_and(static_cast<std::uint8_t>(~failed_stream), std::memory_order_release);
  std::lock_guard guard{publish_mutex_};
  on_disk_ = std::max(on_disk_, assigned);
  for (auto& hold : holds_) // the checkpoint holds them too
    if (!hold.counted && hold.transaction->count_part()) settled.push(hold.transaction);
  holds_.clear();
  advance_locked(settled);
}

bool shard_log::is_on_disk(lsn_t lsn) const {
  std::lock_guard guard{publish_mutex_};
  return on_disk_ >= lsn;
}

void shard_log::press() {
  // Never with two logs locked. A part that is not on disk yet is asked for, with all that is in
  // its way in its own log; one that is may be held back there by transactions before it.
  std::vector<shard_log*> logs{this};
  while (!logs.empty()) {
    auto& log = *logs.back();
    logs.pop_back();
    std::vector<std::shared_ptr<log_transaction>> in_the_way;
    {
      std::lock_guard guard{log.publish_mutex_};
      for (auto it = log.holds_.rbegin(); it != log.holds_.rend() && !it->pressed; ++it) {
        in_the_way.push_back(it->transaction);
        it->pressed = true;
      }
    }
    for (const auto& transaction : in_the_way) {
      if (transaction->settled() || transaction->pressed_.exchange(true)) continue;
      for (auto* other : transaction->logs_) {
        const auto is_its = [&](const auto& part) { return part.shard == other->shard_; };
        const auto part = std::ranges::find_if(transaction->parts_, is_its);
        if (other->is_on_disk(part->last))
          logs.push_back(other);
        else
          other->request_sync();
      }
    }
  }
}

} // namespace warp::storage
