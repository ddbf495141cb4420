#include "storage/backup_log_copier.hpp"

#include "storage/backup_object.hpp"
#include "storage/file_window.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::storage {

// -- the plan

backup_log_copier::seen_segment backup_log_copier::see(const segment_info& s) {
  return {{}, s.path, s.header, s.data_end, s.closed};
}

void backup_log_copier::look() {
  segments_.with_segments([&](const auto& segments) {
    for (const auto& s : segments) {
      auto seen = see(*s);
      const auto name = seen.name();
      for (const auto& run : s->runs)
        if (run.records != 0) contents_[name][run.shard.value] = run.last;
      there_[name] = {std::move(seen), s->runs};
    }
  });
}

void backup_log_copier::begin(const std::vector<lsn_t>& needed_from) {
  // Those that are written to are always among what is needed: they are behind everything.
  const auto first = std::ranges::find_if(there_, [&](const auto& entry) {
    const auto& [segment, runs] = entry.second;
    return !segment.closed || std::ranges::any_of(runs, [&](const shard_run& run) {
      return run.records != 0 && run.first <= run.keep &&
             std::min(run.last, run.keep) >= needed_from[run.shard.value];
    });
  });
  if (first != there_.end()) first_needed_ = first->first;
  if (inventory_.previous)
    go_on_from(*inventory_.previous);
  else if (inventory_.taken_us_max != 0)
    anew_ = "the backups before it are of another generation of this universe: a restore lies "
            "between";
}

bool backup_log_copier::needed(const segment_name& name) const {
  return !log_order(name, first_needed_);
}

/// Was the segment begun after the backup before ended?
bool backup_log_copier::is_new(const segment_name& name) const {
  if (!goes_on_) return false;
  if (name.start > previous_start_) return true;
  const auto chain = previous_end_.find(chain_of(name));
  return chain != previous_end_.end() && name.sequence > chain->second;
}

void backup_log_copier::begin_anew(std::string why) {
  if (!goes_on_) return;
  goes_on_ = false;
  anew_ = std::move(why);
}

/// Why nothing can be taken over from the backup before; empty: it can.
std::string backup_log_copier::misfit(const backup_manifest& previous) const {
  std::map<segment_name, bool> known;
  for (const auto& piece : previous.log) {
    known[piece.segment] = true;
    if (!inventory_.has(piece.object))
      return fmt::format("{} of backup {} is missing in the repository", piece.object.name,
                         previous.name);
    const auto live = there_.find(piece.segment);
    if (live == there_.end()) continue;
    const auto& segment = live->second.segment;
    if (segment.header.id != piece.id || segment.data_end < piece.to)
      return fmt::format("{} is not the file that backup {} copied", segment.path, previous.name);
  }
  for (const auto& [name, entry] : there_)
    if (needed(name) && !known.contains(name) && !is_new(name) &&
        entry.segment.data_end > segment_header_bytes)
      return fmt::format("a damaged checkpoint was put aside, and the one before it needs log from "
                         "before backup {}",
                         previous.name);
  return {};
}

void backup_log_copier::go_on_from(const backup_manifest& previous) {
  for (const auto& piece : previous.log) {
    auto& end = previous_end_[chain_of(piece.segment)];
    end = std::max(end, piece.segment.sequence);
    previous_start_ = std::max(previous_start_, piece.segment.start);
  }
  goes_on_ = true;
  if (auto why = misfit(previous); !why.empty()) return begin_anew(std::move(why));
  for (std::uint32_t i = 0; i < subject_.shard_count; ++i)
    continuity_.start_at(i, previous.shards[i].last, previous.shards[i].reserved);
  for (auto begin = previous.log.begin(); begin != previous.log.end();) {
    const auto name = begin->segment;
    const auto end = std::find_if(begin, previous.log.end(),
                                  [&](const auto& piece) { return piece.segment != name; });
    const auto& last = *(end - 1);
    const auto live = there_.find(name);
    const bool is_there = live != there_.end();
    const bool grows = is_there && !last.closed &&
                       (!live->second.segment.closed || live->second.segment.data_end > last.to);
    if (!is_there && !last.closed)
      open_ends_[chain_of(name)] = name; // no checkpoint needs it any more
    else if (needed(name) || grows)
      archived_[name].assign(begin, end);
    begin = end;
  }
}

// -- copying

op_status backup_log_copier::copy() {
  std::vector<seen_segment> segments;
  seen_end_.clear();
  segments_.with_segments([&](const auto& all) {
    for (const auto& s : all) {
      auto seen = see(*s);
      seen_end_[seen.name()] = s->data_end;
      if (s->data_end <= segment_header_bytes) continue;
      seen.info = s;
      segments.push_back(std::move(seen));
    }
  });
  std::vector<segment_name> gone;
  for (const auto& [name, pieces] : archived_)
    if (!pieces.back().closed && !seen_end_.contains(name)) gone.push_back(name);
  for (const auto& name : gone) drop(name);
  for (const auto& s : segments) { // by log order
    const auto known = archived_.find(s.name());
    if (known == archived_.end()) {
      if (!needed(s.name()) && !is_new(s.name())) continue;
      note_begin(s);
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
    pace_.expect(s.data_end - from);
    if (auto status = copy_piece(s, from); !status.ok()) return status;
  }
  if (!continuity_.first_gap().empty()) begin_anew(continuity_.first_gap());
  return {};
}

/// A segment of which a part was copied was let go: what was in it must be in checkpoints.
void backup_log_copier::drop(const segment_name& name) {
  open_ends_[chain_of(name)] = name;
  archived_.erase(name);
  for (const auto& [shard, last] : contents_[name]) continuity_.lose(shard, last);
}

/// Readers refuse a chain that goes on behind a segment without its end.
void backup_log_copier::note_begin(const seen_segment& s) {
  const auto open = open_ends_.find(chain_of(s.name()));
  if (open == open_ends_.end()) return;
  if (!s.header.after_failure)
    begin_anew(fmt::format("the end of {} had been let go by the log before a backup had it",
                           segment_file_name(open->second)));
  open_ends_.erase(open);
}

namespace {

op_status damaged(const std::string& path, std::uint64_t at) {
  return {op_code::corruption,
          fmt::format("{}: at {}: a damaged frame in the log that is to be backed up: write "
                      "checkpoints of all shards (warp checkpoint), then try again",
                      path, at)};
}

} // namespace

op_status backup_log_copier::copy_piece(const seen_segment& s, std::uint64_t from) {
  auto in = files_.open(s.path, open_mode::read);
  if (!in) return in.status();
  file_window window{std::move(*in)};
  const auto name = s.name();
  const auto object_name = inventory_.free_object_name(
      fmt::format("{:016x}-log-{}-{}-{}-{}-{}", subject_.generation, name.start, name.stream,
                  name.sequence, from, s.data_end));
  auto out = backup_object_writer::create(store_, object_name,
                                          {.kind = backup_kind::log,
                                           .universe = subject_.universe,
                                           .generation = subject_.generation,
                                           .number = name.stream,
                                           .shard_count = subject_.shard_count,
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
    if (!header || *header != s.header) return damaged(s.path, 0);
    if (auto status = (*out)->append(head->substr(0, segment_header_bytes)); !status.ok())
      return status;
    at = segment_header_bytes;
  }
  if (auto status = copy_frames(s, at, window, **out); !status.ok()) return status;
  auto object = (*out)->finish();
  if (!object) return object.status();
  new_bytes_ += object->bytes;
  archived_[name].push_back({.segment = name,
                             .id = s.header.id,
                             .from = from,
                             .to = s.data_end,
                             .closed = s.closed,
                             .object = std::move(*object)});
  return {};
}

op_status backup_log_copier::copy_frames(const seen_segment& s, std::uint64_t at,
                                         file_window& window, backup_object_writer& out) {
  while (at < s.data_end) {
    auto bytes = window.at(at, frame_header_bytes, s.data_end);
    if (!bytes) return bytes.status();
    const auto head = peek_frame(*bytes, s.header.id);
    if (!head) return damaged(s.path, at);
    const auto whole = std::min(padded(head->length), s.data_end - at);
    bytes = window.at(at, whole, s.data_end);
    if (!bytes) return bytes.status();
    const auto frame = check_frame(*bytes, s.header.id, at);
    if (!frame || bytes->size() < whole) return damaged(s.path, at);
    if (frame->kind == frame_kind::records && frame->count != 0)
      contents_[s.name()][frame->shard.value] = frame->last;
    const auto body = bytes->substr(frame_header_bytes, frame->length - frame_header_bytes);
    if (auto status = continuity_.follow(s.header, *frame, body); !status.ok())
      return {status.code(), fmt::format("{}: at {}: {}", s.path, at, status.message())};
    if (auto status = out.append(bytes->substr(0, whole)); !status.ok()) return status;
    at += whole;
    if (auto status = pace_.copied(whole); !status.ok()) return status;
  }
  return {};
}

// -- the end

std::vector<backup_piece> backup_log_copier::pieces() const {
  std::vector<backup_piece> all;
  for (const auto& [name, pieces] : archived_) all.insert(all.end(), pieces.begin(), pieces.end());
  return all;
}

void backup_log_copier::set_archived() {
  segments_.set_archived(seen_end_);
}

} // namespace warp::storage
