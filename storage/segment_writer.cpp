#include "storage/segment_writer.hpp"

#include "storage/crc32c.hpp"
#include "storage/planted.hpp"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace warp::storage {

namespace {

using steady = std::chrono::steady_clock;

void count(latency_histogram& histogram, steady::time_point begin) {
  const auto ns = static_cast<std::uint64_t>((steady::now() - begin).count());
  ++histogram
        .buckets[std::min<std::size_t>(std::bit_width(ns), latency_histogram::bucket_count - 1)];
  ++histogram.count;
  histogram.sum_ns += ns;
}

/// Longest direct write; a longer round is several writes and a sync. Of pre-zeroed files with a
/// sync each, writes of 1, 4 and 16 MiB reached 0.3, 0.8 and 1.4 GB/s while the disk was busy, and
/// all of them 3.9 GB/s while it was idle.
constexpr std::size_t output_bytes = 4u << 20;

constexpr auto prepare_pause = std::chrono::milliseconds{200};

const clock& system_time() {
  static const system_clock time;
  return time;
}

} // namespace

segment_writer::segment_writer(segment_store& store, std::uint32_t stream, const clock* time,
                               std::uint64_t timestamp_us_min)
    : store_(store), stream_(stream), time_(time ? time : &system_time()),
      timestamp_us_(timestamp_us_min), direct_(store.direct()), output_(output_bytes) {
  stats_.direct = direct_;
}

segment_writer::~segment_writer() = default;

op_status segment_writer::start(std::vector<shard_place> places, bool after_failure) {
  if (file_) { // released no sooner than a new chain stands: some log of this start must be there
    to_close_.reserve(to_close_.size() + 1); // so that nothing is lost where memory is
    to_close_.push_back({std::move(info_), std::move(runs_), offset_});
    file_.reset();
  }
  {
    // One hold of the lock to the end: what is prepared, or what somebody would prepare meanwhile,
    // is an ordinary successor, and a new chain does not begin with one.
    std::lock_guard guard{prepare_mutex_};
    if (next_complete_) passed_over_.push_back(std::move(next_));
    next_.reset();
    next_complete_ = false;
    places_ = std::move(places);
    place_of_.clear();
    for (std::uint32_t i = 0; i < places_.size(); ++i) place_of_[places_[i].shard.value] = i;
    if (auto s = open_next_locked(0, after_failure); !s.ok()) return s;
  }
  begin_group();
  if (auto s = write_group(true); !s.ok()) return s;
  for (auto& old : to_close_) store_.append(*old.info, *old.runs, {}, old.end, true);
  to_close_.clear();
  for (auto& next : passed_over_) store_.discard(std::move(next));
  passed_over_.clear();
  return {};
}

std::uint64_t segment_writer::table_bytes() const noexcept {
  return frame_header_bytes + places_.size() * table_entry_bytes;
}

std::uint64_t segment_writer::frames_end_max() const noexcept {
  return info_->file_bytes - table_bytes(); // a seal or an end mark always fits
}

op_status segment_writer::write(std::span<outgoing_frame> frames, std::size_t& next) {
  while (next < frames.size()) {
    if (!file_)
      if (auto s = open_next(frames[next].length); !s.ok()) return s;
    begin_group();
    auto end = next;
    while (end < frames.size() && group_end_ + padded(frames[end].length) <= frames_end_max())
      place(frames[end++]);
    op_status no_successor;
    if (end < frames.size()) {
      // Sealed only when the next one is there: without space the segment stays open for what fits.
      count_wait();
      std::lock_guard guard{prepare_mutex_};
      no_successor = prepare_locked(frames[end].length, 0, false);
      if (no_successor.ok()) place_table(frame_kind::seal);
    }
    if (!placed_.empty() || sealed_)
      if (auto s = write_group(true); !s.ok()) return s;
    next = end;
    if (!no_successor.ok()) return no_successor;
  }
  const bool in_use = file_ && offset_ > info_->file_bytes / 4;
  if (in_use && !next_wanted_.load(std::memory_order_acquire)) {
    std::lock_guard guard{prepare_mutex_};
    if (!next_complete_) {
      next_wanted_.store(true, std::memory_order_release);
      store_.want();
    }
  }
  return {};
}

// -- the frames of one write
// ----------------------------------------------------------------------------------------

void segment_writer::begin_group() {
  pieces_.clear();
  if (direct_) output_.back();
  output_status_ = {};
  placed_.clear();
  placed_frames_.clear();
  scratch_.clear();
  group_end_ = offset_;
  sealed_ = false;
  timestamp_us_ = std::max(timestamp_us_, time_->now_us());
  if (state_missing_) place_table(frame_kind::state);
}

void segment_writer::add_piece(std::string_view bytes) {
  if (bytes.empty()) return;
  if (direct_) {
    if (output_status_.ok()) output_status_ = output_.add(*file_, bytes);
    return;
  }
  if (!pieces_.empty() && pieces_.back().data() + pieces_.back().size() == bytes.data())
    pieces_.back() = {pieces_.back().data(), pieces_.back().size() + bytes.size()};
  else
    pieces_.push_back(bytes);
}

void segment_writer::finish_header(frame_header header, char* bytes) {
  header.segment = info_->header.id;
  header.timestamp_us = timestamp_us_;
  header.synced = planted(mistake::synced_too_high) ? group_end_ : synced_;
  encode(header, bytes);
}

void segment_writer::place(outgoing_frame& frame) {
  const auto offset = group_end_;
  auto& header = frame.header;
  if (frame.pieces.empty()) {
    frame.length = frame_header_bytes;
    auto& bytes = scratch_.emplace_back(frame_header_bytes, '\0');
    header.length = frame_header_bytes;
    finish_header(header, bytes.data());
    set_frame_crc(bytes.data(), frame_crc_begin(bytes.data(), offset));
    add_piece(bytes);
  } else {
    char* bytes = const_cast<char*>(frame.pieces.front().data);
    header.length = static_cast<std::uint32_t>(frame.length);
    finish_header(header, bytes);
    auto crc = frame_crc_begin(bytes, offset);
    auto left = frame.length - frame_header_bytes; // the padding is not covered
    std::size_t skip = frame_header_bytes;
    for (const auto& piece : frame.pieces) {
      const auto size = std::min<std::uint64_t>(piece.size - skip, left);
      crc = crc32c({piece.data + skip, size}, crc);
      left -= size;
      skip = 0;
    }
    set_frame_crc(bytes, crc);
    for (const auto& piece : frame.pieces) add_piece({piece.data, piece.size});
  }
  placed_.push_back({header, offset});
  placed_frames_.push_back(&frame);
  group_end_ = offset + padded(frame.length);
}

void segment_writer::place_table(frame_kind kind, std::span<const lsn_t> next_lsn) {
  std::vector<table_entry> entries;
  if (kind == frame_kind::seal) {
    std::vector<table_entry> by_place(places_.size());
    const auto add = [](table_entry& entry, shard_id shard, epoch_t epoch, lsn_t first,
                        lsn_t last) {
      entry.shard = shard;
      entry.epoch = std::max(entry.epoch, epoch);
      entry.a = entry.a == 0 ? first : std::min(entry.a, first);
      entry.b = std::max(entry.b, last);
    };
    for (std::size_t i = 0; i < placed_.size(); ++i)
      if (const auto& h = placed_[i].header; h.count != 0)
        add(by_place[placed_frames_[i]->place], h.shard, h.epoch, h.first, h.last);
    for (const auto& run : info_->runs)
      if (run.records != 0)
        add(by_place[place_of_.at(run.shard.value)], run.shard, run.epoch, run.first, run.last);
    std::copy_if(by_place.begin(), by_place.end(), std::back_inserter(entries),
                 [](auto& e) { return e.a != 0; });
    sealed_ = true;
  } else if (kind != frame_kind::idle) {
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const auto& p = places_[i];
      entries.push_back(
          {p.shard, p.epoch, p.last, kind == frame_kind::end ? next_lsn[i] : p.reserved});
    }
  }

  frame_header header;
  header.kind = kind;
  header.count = static_cast<std::uint32_t>(entries.size());
  header.length =
      static_cast<std::uint32_t>(frame_header_bytes + entries.size() * table_entry_bytes);
  auto& bytes = scratch_.emplace_back(header.length, '\0');
  char* to = bytes.data() + frame_header_bytes;
  for (const auto& entry : entries) {
    encode(entry, to);
    to += table_entry_bytes;
  }
  finish_header(header, bytes.data());
  set_frame_crc(bytes.data(), crc32c(std::string_view{bytes}.substr(frame_header_bytes),
                                     frame_crc_begin(bytes.data(), group_end_)));
  add_piece(bytes);
  group_end_ += bytes.size();
}

op_status segment_writer::write_direct(bool sync) {
  const auto begin = steady::now();
  if (!output_status_.ok()) return output_status_;
  if (auto s = output_.flush(*file_, sync); !s.ok()) return s;
  output_.keep();
  std::lock_guard guard{stats_mutex_};
  count(sync ? stats_.sync_latency : stats_.write_latency, begin);
  return {};
}

op_status segment_writer::write_cached(bool sync) {
  auto begin = steady::now();
  if (auto s = file_->write_at(offset_, pieces_); !s.ok()) return s;
  {
    std::lock_guard guard{stats_mutex_};
    count(stats_.write_latency, begin);
  }
  if (!sync) return {};
  begin = steady::now();
  if (auto s = file_->sync(); !s.ok())
    // A sync that finds no space has lost bytes: unlike a write, it cannot be tried again.
    return {op_code::io_error, s.message()};
  std::lock_guard guard{stats_mutex_};
  count(stats_.sync_latency, begin);
  return {};
}

op_status segment_writer::write_group(bool sync) {
  const bool now = sync && !(sealed_ && planted(mistake::seal_not_synced));
  if (auto s = direct_ ? write_direct(now) : write_cached(now); !s.ok()) return s;
  {
    std::lock_guard guard{stats_mutex_};
    stats_.bytes += group_end_ - offset_;
    stats_.frames += placed_.size();
    stats_.syncs += sync ? 1 : 0;
  }
  offset_ = group_end_;
  if (!sync) return {};
  synced_ = group_end_;
  if (state_missing_) {
    state_missing_ = false;
    std::vector<segment_store::placed_frame> lines;
    for (const auto& p : places_)
      lines.push_back({state_line({p.shard, p.epoch, p.last, p.reserved}), segment_header_bytes});
    placed_.insert(placed_.begin(), lines.begin(), lines.end());
  }
  for (const auto* frame : placed_frames_) {
    auto& p = places_[frame->place];
    p.last = frame->header.last;
    p.reserved = std::max(p.reserved, frame->header.reserved);
    p.epoch = std::max(p.epoch, frame->epoch);
  }
  store_.append(*info_, *runs_, placed_, offset_, sealed_);
  if (sealed_) close_segment();
  return {};
}

op_status segment_writer::write_idle_mark() {
  if (!file_ || offset_ + frame_header_bytes > frames_end_max()) return {};
  begin_group();
  place_table(frame_kind::idle);
  // Directly it is synced after all: the next round is one call only when nothing is left to sync.
  return write_group(direct_);
}

op_status segment_writer::write_end_mark(std::span<const lsn_t> next_lsn) {
  begin_group();
  place_table(frame_kind::end, next_lsn);
  if (auto s = write_group(true); !s.ok()) return s;
  close_segment();
  std::lock_guard guard{prepare_mutex_};
  next_wanted_.store(false, std::memory_order_release);
  if (next_complete_) store_.discard(std::move(next_)); // the next start is glad of a spare
  next_.reset();
  next_complete_ = false;
  return {};
}

// -- segments
// -------------------------------------------------------------------------------------------------------

/// The segment is full: was the next one there in time?
void segment_writer::count_wait() {
  {
    std::unique_lock guard{prepare_mutex_, std::try_to_lock};
    if (guard.owns_lock() && next_complete_) return;
  }
  std::lock_guard guard{stats_mutex_};
  ++stats_.segment_waits;
}

void segment_writer::close_segment() {
  store_.append(*info_, *runs_, {}, offset_, true);
  file_.reset();
  info_.reset();
  runs_.reset();
}

op_status segment_writer::open_next(std::uint64_t bytes_min) {
  std::lock_guard guard{prepare_mutex_};
  return open_next_locked(bytes_min, false);
}

op_status segment_writer::open_next_locked(std::uint64_t bytes_min, bool after_failure) {
  if (auto s = prepare_locked(bytes_min, 0, after_failure); !s.ok()) return s;
  runs_ = std::make_unique<run_builder>(next_->info()->runs);
  store_.enter(next_->info());
  file_ = next_->take_file();
  info_ = next_->info();
  next_.reset();
  next_complete_ = false;
  next_wanted_.store(false, std::memory_order_release);
  offset_ = synced_ = segment_header_bytes;
  state_missing_ = true;
  if (direct_) {
    char header[segment_header_bytes];
    encode(info_->header, header);
    output_.start({header, sizeof header});
  }
  return {};
}

op_status segment_writer::prepare_locked(std::uint64_t bytes_min, std::uint64_t budget,
                                         bool after_failure) {
  if (next_complete_) return {}; // if it is too small for a huge frame, it is passed through
  if (!next_) {
    const auto whole =
        segment_header_bytes + 2 * table_bytes() + padded(bytes_min) + frame_header_bytes;
    auto begun = store_.begin(stream_, next_sequence_, whole, after_failure);
    if (!begun) return begun.status();
    next_ = std::move(*begun);
  }
  auto complete = next_->step(budget);
  if (!complete) {
    next_.reset();
    prepare_again_at_ = steady::now() + prepare_pause;
    return complete.status();
  }
  if (*complete) {
    next_complete_ = true;
    ++next_sequence_;
    next_wanted_.store(false, std::memory_order_release);
    std::lock_guard guard{stats_mutex_};
    ++(next_->recycled() ? stats_.segments_recycled : stats_.segments_created);
  }
  return {};
}

op_result<bool> segment_writer::prepare_next(std::uint64_t budget) {
  const auto wanted = [&] { return next_wanted_.load(std::memory_order_acquire); };
  if (!wanted()) return false;
  std::unique_lock guard{prepare_mutex_, std::defer_lock};
  if (budget == 0)
    guard.lock();
  else if (!guard.try_lock())
    return false;
  if (!wanted() || (budget != 0 && steady::now() < prepare_again_at_)) return false;
  if (auto s = prepare_locked(0, budget, false); !s.ok()) return s;
  return true;
}

stream_stats segment_writer::stats() const {
  std::lock_guard guard{stats_mutex_};
  return stats_;
}

} // namespace warp::storage
