#include "storage/wal_stream.hpp"

#include "storage/no_memory.hpp"

#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <new>

namespace warp::storage {

using steady = std::chrono::steady_clock;

namespace {
constexpr std::uint64_t prepare_slice_bytes = 1u << 20;
} // namespace

wal_stream::wal_stream(segment_store& store, wal_stream_options options,
                       std::vector<shard_log*> logs)
    : options_(std::move(options)),
      gate_(std::make_shared<stream_gate>(static_cast<std::uint32_t>(logs.size()),
                                          options_.buffer_bytes, options_.round_bytes,
                                          store.full())),
      writer_(store, options_.stream, options_.time, options_.timestamp_us_min),
      members_(logs.size()), store_(store) {
  for (std::size_t i = 0; i < logs.size(); ++i) members_[i].log = logs[i];
  round_members_.reserve(logs.size());
  wishes_.reserve(logs.size());
}

wal_stream::~wal_stream() {
  gate_->set_condition(stream_condition::closed);
  gate_->end_round();
}

op_result<std::unique_ptr<wal_stream>>
wal_stream::open(segment_store& store, wal_stream_options options, std::vector<shard_log*> logs) {
  auto stream =
      std::unique_ptr<wal_stream>{new wal_stream{store, std::move(options), std::move(logs)}};
  std::vector<shard_place> places;
  for (const auto& m : stream->members_) {
    std::lock_guard guard{m.log->lock_};
    places.push_back({m.log->shard_, m.log->epoch(), m.log->last_,
                      m.log->next_ - 1 + stream->options_.reservation});
  }
  // What the state table reserves must be on disk before the first LSN is handed out.
  if (auto s = stream->writer_.start(places, false); !s.ok()) return s;
  for (std::uint32_t i = 0; i < places.size(); ++i)
    stream->members_[i].log->attach(stream->gate_, i, stream->options_.frame_bytes,
                                    places[i].reserved, stream->options_.reservation);
  stream->idle_mark_at_ = steady::now() + stream->options_.flush_interval;
  return stream;
}

// -- the loop
// -------------------------------------------------------------------------------------------------------

bool wal_stream::run(std::chrono::milliseconds wait_max) {
  if (!wait_for_work(steady::now() + wait_max)) return false;
  if (!round_in_progress() && !take_round()) return false;
  return write_round();
}

bool wal_stream::wait_for_work(time_point until) {
  const auto condition = gate_->condition();
  if (condition == stream_condition::failed) {
    wait_while_failed(until);
    return false;
  }
  if (condition == stream_condition::closed) {
    gate_->wait_urgent(until, true);
    gate_->begin_round();
    return false;
  }
  if (round_in_progress()) { // there was no space for the rest of it
    if (gate_->wait_urgent(std::min(until, retry_at_), false)) {
      sync_owed_ = true;
      gate_->begin_round();
    }
    return steady::now() >= retry_at_;
  }
  for (;;) {
    const auto now = steady::now();
    if (gate_->urgent() || sync_owed_) return true;
    if (gate_->any_dirty()) {
      if (gate_->buffered_bytes() >= options_.round_bytes) return true;
      if (flush_due_ == time_point{}) flush_due_ = now + options_.flush_interval;
      if (now >= flush_due_) return true;
      if (now >= until) return false;
      gate_->wait_urgent(std::min(flush_due_, until), false);
      continue;
    }
    flush_due_ = {};
    if (now >= until) return false;
    if (prepare_slice()) continue; // slice by slice, with an eye on work
    if (!idle_mark_missing_) {
      gate_->wait_urgent(until, true);
    } else if (now < idle_mark_at_) {
      gate_->wait_urgent(std::min(until, idle_mark_at_), true);
    } else {
      idle_mark_missing_ = false;
      if (!write_idle_mark()) return false;
    }
  }
}

/// False: the stream has failed.
bool wal_stream::write_idle_mark() {
  try {
    if (auto s = writer_.write_idle_mark(); s == op_code::io_error) fail(std::move(s));
  } catch (const std::bad_alloc&) {
    fail(no_memory("log"));
  }
  return gate_->condition() != stream_condition::failed;
}

void wal_stream::wait_while_failed(time_point until) {
  const auto covered = [&] { return covered_.load(std::memory_order_acquire); };
  const auto now = steady::now();
  if (!covered() || now < retry_at_)
    gate_->wait_urgent(covered() ? std::min(until, retry_at_) : until, true);
  gate_->begin_round();
  if (gate_->any_dirty()) drop_everything(); // admitted just before the failure
  if (!covered() || steady::now() < retry_at_) return;
  if (unless_no_memory("log", [this] { return revive(); }).ok()) return;
  revive_pause_ = std::clamp(2 * revive_pause_, options_.retry_min, options_.retry_max);
  retry_at_ = steady::now() + revive_pause_;
}

/// A piece of the next segment, where nobody else makes it. A failure is met again, and reported,
/// when the segment is needed.
bool wal_stream::prepare_slice() {
  if (store_.has_maker()) return false;
  try {
    auto prepared = writer_.prepare_next(prepare_slice_bytes);
    return prepared.ok() && *prepared;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

bool wal_stream::take_round() noexcept {
  const auto begin = steady::now();
  sync_owed_ = false;
  flush_due_ = {};
  gate_->begin_round();
  for (auto& m : members_) // before what they wrote is taken: what was wished for is among it
    if (m.log->take_wish() && std::ranges::find(wishes_, m.log) == wishes_.end())
      wishes_.push_back(m.log);
  round_members_.clear();
  frames_.clear();
  next_frame_ = 0;
  for (std::size_t word = 0; word < gate_->dirty_words(); ++word)
    for (auto marks = gate_->take_dirty(word); marks != 0; marks &= marks - 1) {
      const auto index =
          static_cast<std::uint32_t>(word * 64 + static_cast<std::size_t>(std::countr_zero(marks)));
      members_[index].log->take(members_[index].round);
      round_members_.push_back(index);
    }
  if (round_members_.empty()) {
    press(); // what somebody waits for is on disk already
    return false;
  }
  flush_due_ = begin + options_.flush_interval; // for what is appended from now on
  return true;
}

/// The frames of what was taken. Can be done again where memory runs out.
void wal_stream::lay_out_round() {
  frames_.clear();
  for (const auto index : round_members_) lay_out(index);
}

std::uint32_t wal_stream::uncommitted(const shard_log::taken_round& round, lsn_t last) noexcept {
  if (round.commit == shard_log::commit_untold) return 0;
  if (last <= round.commit) return 1;
  const auto above = last - round.commit;
  return above < 0xffff'ffffu ? static_cast<std::uint32_t>(above) + 1 : 0;
}

void wal_stream::lay_out(std::uint32_t index) {
  const auto& m = members_[index];
  const auto& round = m.round;
  const auto& pieces = round.buffer.pieces();
  for (const auto& f : round.buffer.frames()) {
    outgoing_frame out;
    out.place = index;
    out.header.shard = m.log->shard();
    out.header.flags =
        static_cast<std::uint16_t>((f.has_parts ? frame_has_parts : 0) | (f.cuts ? frame_cuts : 0));
    out.header.count = f.count;
    out.header.epoch = f.epoch;
    out.header.previous = f.previous;
    out.header.first = f.first;
    out.header.last = f.last;
    out.header.reserved = round.reserved;
    out.header.uncommitted = uncommitted(round, f.last);
    out.pieces = std::span{pieces}.subspan(f.piece_begin, f.piece_end - f.piece_begin);
    out.length = f.length;
    out.epoch = round.epoch;
    frames_.push_back(out);
  }
  const auto& frames = round.buffer.frames();
  if (!frames.empty() && !round.cut && (!round.force_frame || frames.back().epoch == round.epoch))
    return;
  outgoing_frame out; // a reservation, an epoch or a cut, without records
  out.place = index;
  out.header.shard = m.log->shard();
  out.header.flags = round.cut ? frame_cuts : std::uint16_t{0};
  out.header.epoch = out.epoch = round.epoch;
  out.header.previous = out.header.first = out.header.last = round.last;
  out.header.reserved = round.reserved;
  out.header.uncommitted = uncommitted(round, round.last);
  out.length = frame_header_bytes;
  frames_.push_back(out);
}

/// io_error is final; after no_space it can be done again.
op_status wal_stream::write_frames() {
  if (next_frame_ == 0)
    if (auto s = unless_no_memory("log",
                                  [this]() -> op_status {
                                    lay_out_round();
                                    return {};
                                  });
        !s.ok())
      return s;
  try {
    return writer_.write(frames_, next_frame_);
  } catch (const std::bad_alloc&) { // nobody knows how far it has come
    return op_code::io_error;
  }
}

bool wal_stream::write_round() {
  auto s = write_frames();
  if (s.ok()) {
    gate_->set_condition(stream_condition::writing);
    publish_round();
    static_cast<void>(prepare_slice());
    return true;
  }
  if (s == op_code::no_space)
    wait_for_space(std::move(s));
  else
    fail(s.message().empty() ? no_memory("log") : std::move(s));
  return false;
}

void wal_stream::wait_for_space(op_status why) noexcept {
  {
    std::lock_guard guard{stats_mutex_};
    failure_ = std::move(why);
  }
  retry_at_ = steady::now() + options_.retry_min;
  gate_->set_condition(stream_condition::no_space);
  gate_->end_round();
}

void wal_stream::publish_round() noexcept {
  settled_transactions settled;
  std::uint64_t bytes = 0;
  for (const auto index : round_members_) {
    auto& m = members_[index];
    m.log->publish(m.round, settled);
    bytes += m.round.buffer.bytes();
    m.round.buffer.clear(gate_->pool());
  }
  round_members_.clear();
  frames_.clear();
  next_frame_ = 0;
  gate_->remove_bytes(bytes);
  idle_mark_missing_ = true;
  idle_mark_at_ = steady::now() + options_.flush_interval;
  {
    std::lock_guard guard{stats_mutex_};
    ++rounds_;
    failure_ = {};
  }
  advance(settled);
  gate_->end_round();
  press();
  if (options_.on_round) options_.on_round();
}

/// A write that was asked to be durable, and is on disk, may stand behind a transaction of which
/// another stream has a part that nobody has asked it to write.
void wal_stream::press() noexcept {
  try {
    for (auto* log : wishes_) log->press();
  } catch (const std::bad_alloc&) {
    // Those other streams write a flush interval later then.
  }
  wishes_.clear();
}

/// Lets the shards of these transactions go on, those of other streams too. One that is settled may
/// settle others.
void wal_stream::advance(settled_transactions& settled) noexcept {
  while (const auto transaction = settled.pop()) tell(*transaction, settled);
}

/// The transaction is settled, or has failed: its shards look again.
void wal_stream::tell(const log_transaction& transaction, settled_transactions& settled) noexcept {
  for (auto* log : transaction.logs_)
    if (log->advance(settled) && log->gate_ != gate_) log->gate_->end_round();
}

op_status wal_stream::flush() {
  while (round_in_progress() || gate_->any_dirty()) {
    if (auto s = condition(); s == op_code::io_error) return s;
    if (!round_in_progress() && !take_round()) break;
    if (!write_round()) return condition();
  }
  return condition();
}

op_status wal_stream::close() {
  std::vector<lsn_t> next_lsn;
  do {
    if (auto s = flush(); !s.ok()) return s;
    next_lsn.clear();
    for (auto& m : members_) {
      std::lock_guard guard{m.log->lock_};
      next_lsn.push_back(m.log->next_);
    }
  } while (gate_->any_dirty());
  op_status s;
  try {
    s = writer_.write_end_mark(next_lsn);
  } catch (const std::bad_alloc&) {
    s = op_code::io_error;
  }
  if (!s.ok()) {
    if (s == op_code::io_error) fail(s.message().empty() ? no_memory("log") : s);
    return s;
  }
  gate_->set_condition(stream_condition::closed);
  gate_->end_round();
  return {};
}

// -- failure
// --------------------------------------------------------------------------------------------------------

void wal_stream::fail(op_status why) noexcept {
  {
    std::lock_guard guard{stats_mutex_};
    failure_ = std::move(why).with(op_code::io_error);
    ++failures_;
  }
  retry_at_ = {};
  covered_.store(false, std::memory_order_release);
  gate_->set_condition(stream_condition::failed);
  for (auto& m : members_) m.log->fail();
  drop_everything();
}

/// What waits will never get to disk by this chain: frees it, and fails the transactions it had a
/// share in.
void wal_stream::drop_everything() noexcept {
  for (std::size_t word = 0; word < gate_->dirty_words(); ++word)
    static_cast<void>(gate_->take_dirty(word));
  held_parts lost;
  std::uint64_t bytes = 0;
  const auto drop = [&](shard_log::taken_round& round) {
    lost.splice(lost.end(), round.parts);
    bytes += round.buffer.bytes();
    round.buffer.clear(gate_->pool());
  };
  for (auto& m : members_) {
    drop(m.round);
    m.log->take(m.round);
    drop(m.round);
  }
  round_members_.clear();
  wishes_.clear();
  frames_.clear();
  next_frame_ = 0;
  gate_->remove_bytes(bytes);
  for (const auto& part : lost) part.transaction->failures_.fetch_add(1, std::memory_order_acq_rel);
  settled_transactions settled;
  for (const auto& part : lost) tell(*part.transaction, settled);
  advance(settled);
  lost_parts_.splice(lost_parts_.end(), lost);
  gate_->end_round();
  if (options_.on_round) options_.on_round();
}

void wal_stream::cover() noexcept {
  covered_.store(true, std::memory_order_release);
  gate_->request_round();
}

op_status wal_stream::revive() {
  if (gate_->condition() != stream_condition::failed)
    return {op_code::invalid_argument, "this log stream has not failed"};
  std::vector<shard_place> places;
  std::vector<lsn_t> assigned;
  places.reserve(members_.size());
  assigned.reserve(members_.size());
  drop_everything();
  for (const auto& m : members_) {
    std::lock_guard guard{m.log->lock_};
    assigned.push_back(m.log->next_ - 1);
    places.push_back(
        {m.log->shard_, m.log->epoch(), m.log->last_, assigned.back() + options_.reservation});
  }
  if (auto s = writer_.start(places, true); !s.ok()) {
    std::lock_guard guard{stats_mutex_};
    failure_ = {op_code::io_error, s.message()};
    return s;
  }
  settled_transactions settled;
  const auto changed = std::move(lost_parts_);
  lost_parts_.clear();
  for (const auto& part : changed) {
    static_cast<void>(part.transaction->count_part());
    part.transaction->failures_.fetch_sub(1, std::memory_order_acq_rel);
  }
  for (std::uint32_t i = 0; i < members_.size(); ++i) {
    members_[i].log->attach(gate_, i, options_.frame_bytes, places[i].reserved,
                            options_.reservation);
    members_[i].log->revive(assigned[i], settled);
  }
  {
    std::lock_guard guard{stats_mutex_};
    failure_ = {};
    ++revivals_;
  }
  covered_.store(false, std::memory_order_release);
  revive_pause_ = {};
  gate_->set_condition(stream_condition::writing);
  for (const auto& part : changed) tell(*part.transaction, settled);
  advance(settled);
  gate_->end_round();
  if (options_.on_round) options_.on_round();
  return {};
}

// -- from other threads
// ---------------------------------------------------------------------------------------------

void wal_stream::interrupt() noexcept {
  gate_->request_round();
}
void wal_stream::request_sync() noexcept {
  gate_->request_round();
}
void wal_stream::wake_waiters() noexcept {
  gate_->end_round();
}
op_status wal_stream::prepare_next() {
  return unless_no_memory("log", [this] { return writer_.prepare_next(0).status(); });
}

op_status wal_stream::condition() const {
  std::lock_guard guard{stats_mutex_};
  switch (gate_->condition()) {
  case stream_condition::failed:
  case stream_condition::no_space:
    try {
      return failure_;
    } catch (const std::bad_alloc&) {
      return failure_.code();
    }
  case stream_condition::writing:
  case stream_condition::closed:
    break;
  }
  return {};
}

stream_stats wal_stream::stats() const {
  auto stats = writer_.stats();
  const auto usage = store_.usage_of(options_.stream);
  stats.segments = usage.segments;
  stats.segment_bytes = usage.bytes;
  stats.failed = gate_->condition() == stream_condition::failed;
  stats.no_space = gate_->condition() == stream_condition::no_space;
  std::lock_guard guard{stats_mutex_};
  stats.rounds = rounds_;
  stats.failures = failures_;
  stats.revivals = revivals_;
  if (stats.failed || stats.no_space) stats.failure = failure_.message();
  return stats;
}

} // namespace warp::storage
