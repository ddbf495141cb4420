#include "cluster/replication/replica_log.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace warp::cluster::replication {

namespace {

__extension__ using product = unsigned __int128;

/// Both halves of a product, folded.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const auto p = static_cast<product>(a) * b;
  return static_cast<std::uint64_t>(p) ^ static_cast<std::uint64_t>(p >> 64);
}

} // namespace

std::uint64_t hash_on(std::uint64_t before, lsn_t lsn, epoch_t epoch, bool no_op,
                      std::string_view body) {
  // Thirty-two bytes a step in two lanes, the same on every little-endian machine; no adversary
  // writes logs.
  constexpr std::uint64_t first = 0x9e37'79b9'7f4a'7c15u, second = 0xcbf2'9ce4'8422'2325u;
  auto h = fold(before ^ first, lsn ^ second);
  h = fold(h ^ (epoch * 2 + (no_op ? 1 : 0)), body.size() ^ first);
  auto other = first;
  std::uint64_t words[4];
  const auto step = [&] { // whatever a body has, not 0
    h = fold(words[0] ^ h, words[1] ^ second) + std::rotl(h, 23);
    other = fold(words[2] ^ other, words[3] ^ first) + std::rotl(other, 29);
  };
  for (; body.size() >= sizeof words; body.remove_prefix(sizeof words)) {
    std::memcpy(words, body.data(), sizeof words);
    step();
  }
  std::ranges::fill(words, 0);
  if (!body.empty()) std::memcpy(words, body.data(), body.size());
  step();
  return fold(h, other ^ second);
}

replica_log::place replica_log::above(lsn_t lsn) const {
  if (runs_.empty() || lsn >= end_.lsn) return {runs_.size(), 0};
  // Near the end as a rule, else in the first run.
  auto number = runs_.size() - 1;
  for (int looks = 8; number != 0 && runs_[number - 1].end.lsn > lsn; --number)
    if (--looks == 0) {
      std::size_t below = 0; // the answer lies behind so many, and not behind `number`
      while (below != number) {
        const auto middle = below + (number - below) / 2;
        if (runs_[middle].end.lsn > lsn)
          number = middle;
        else
          below = middle + 1;
      }
      break;
    }
  const auto& r = runs_[number];
  if (lsn < r.first) return {number, 0};
  if (r.dense) return {number, lsn - r.first + 1};
  std::size_t record = 0;
  while (r.records.lsn_at(record) <= lsn) ++record;
  return {number, record};
}

log_position replica_log::position(std::size_t run, std::size_t record) const {
  const auto& r = runs_[run];
  if (record + 1 == r.records.size()) return r.end;
  // From the nearest place before it where the hash is known.
  const auto marks = (r.skipped + record + 1) / part_max;
  std::size_t next = 0;
  std::uint64_t hash;
  if (marks * part_max > r.skipped) {
    next = marks * part_max - r.skipped;
    hash = r.hashes[marks - 1];
  } else {
    hash = run == 0 ? base_.hash : runs_[run - 1].end.hash;
  }
  for (; next <= record; ++next)
    hash = hash_on(hash, r.records.lsn_at(next), r.records.epoch_at(next), r.records.no_op_at(next),
                   r.records.body_at(next));
  return {r.records.lsn_at(record), r.records.epoch_at(record), hash};
}

log_position replica_log::before(place at) const {
  if (at.record != 0) return position(at.run, at.record - 1);
  return at.run == 0 ? base_ : runs_[at.run - 1].end;
}

std::optional<log_record> replica_log::find(lsn_t lsn) const {
  if (lsn <= base_.lsn || lsn > end_.lsn) return {};
  const auto at = above(lsn - 1);
  const auto& records = runs_[at.run].records;
  if (records.lsn_at(at.record) != lsn) return {};
  return records[at.record];
}

bool replica_log::matches(lsn_t lsn, epoch_t epoch) const {
  if (lsn == end_.lsn) return epoch == end_.epoch;
  if (lsn == base_.lsn) return epoch == base_.epoch;
  const auto record = find(lsn);
  return record && record->epoch == epoch;
}

log_position replica_log::at_or_below(lsn_t lsn) const {
  if (lsn >= end_.lsn) return end_;
  if (lsn <= base_.lsn) return base_;
  return before(above(lsn));
}

log_position replica_log::at_or_below_unhashed(lsn_t lsn) const {
  log_position found;
  if (lsn >= end_.lsn || lsn <= base_.lsn) {
    found = lsn >= end_.lsn ? end_ : base_;
  } else if (const auto at = above(lsn); at.record == 0) {
    found = before(at);
  } else {
    const auto& records = runs_[at.run].records;
    found = {records.lsn_at(at.record - 1), records.epoch_at(at.record - 1), 0};
  }
  found.hash = 0;
  return found;
}

log_run replica_log::behind(lsn_t lsn, std::size_t count_max, std::size_t bytes_max) const {
  auto at = above(lsn);
  if (at.run == runs_.size() || count_max == 0) return {};
  const auto& first = runs_[at.run];
  const auto left = first.records.size() - at.record;
  if (first.bytes <= bytes_max && (left >= count_max || at.run + 1 == runs_.size()))
    return first.records.part(at.record, std::min(left, count_max));
  std::size_t count = left;
  for (auto i = at.run + 1; i < runs_.size() && count < count_max; ++i)
    count += runs_[i].records.size();
  log_run_builder some{std::min(count, count_max)};
  std::size_t bytes = 0;
  for (; at.run < runs_.size(); ++at.run, at.record = 0) {
    const auto& records = runs_[at.run].records;
    some.keep(records.keeper());
    for (; at.record < records.size(); ++at.record) {
      const auto body = records.body_at(at.record);
      bytes += body.size();
      if (some.size() == count_max || (bytes > bytes_max && !some.empty()))
        return std::move(some).done();
      some.add(records.lsn_at(at.record), records.epoch_at(at.record), records.no_op_at(at.record),
               body);
    }
  }
  return std::move(some).done();
}

lsn_t replica_log::durable(std::uint64_t wal_synced) const {
  // Later records lie behind earlier ones in the write-ahead log, also after a truncation. That
  // goes forward as a rule, so it is followed and not looked for.
  auto& n = durable_count_;
  while (n != 0 && runs_[n - 1].wal_position > wal_synced) --n;
  while (n != runs_.size() && runs_[n].wal_position <= wal_synced) ++n;
  return n == 0 ? base_.lsn : runs_[n - 1].end.lsn;
}

void replica_log::append(log_run records, std::uint64_t wal_position) {
  if (records.empty()) return;
  const auto count = records.size();
  run added;
  added.first = records.lsn_at(0);
  added.wal_position = wal_position;
  added.bytes = records.body_bytes();
  added.hashes.reserve((count - 1) / part_max);
  auto hash = end_.hash;
  for (std::size_t i = 0; i < count; ++i) {
    if (i != 0 && i % part_max == 0) added.hashes.push_back(hash);
    hash = hash_on(hash, records.lsn_at(i), records.epoch_at(i), records.no_op_at(i),
                   records.body_at(i));
  }
  added.end = {records.lsn_at(count - 1), records.epoch_at(count - 1), hash};
  added.dense = added.end.lsn - added.first + 1 == count;
  added.records = std::move(records);
  const auto end = added.end;
  const auto bytes = added.bytes;
  runs_.push_back(std::move(added));
  end_ = end;
  count_ += count;
  body_bytes_ += bytes;
}

void replica_log::shrink(run& from, std::size_t begin, std::size_t count) {
  const auto gone = from.records.part(begin, count).body_bytes();
  from.bytes -= gone;
  body_bytes_ -= gone;
  count_ -= count;
  const auto left = from.records.size() - count;
  from.records = from.records.part(begin == 0 ? count : 0, left);
  if (begin == 0) from.skipped += count;
  from.first = from.records.lsn_at(0);
}

void replica_log::truncate_from(lsn_t lsn) {
  const auto at = above(lsn - 1);
  end_ = before(at);
  const auto whole = at.run + (at.record != 0);
  for (; runs_.size() > whole; runs_.pop_back()) {
    count_ -= runs_.back().records.size();
    body_bytes_ -= runs_.back().bytes;
  }
  if (at.record != 0) {
    shrink(runs_.back(), at.record, runs_.back().records.size() - at.record);
    runs_.back().end = end_;
  }
  durable_count_ = std::min(durable_count_, runs_.size());
}

void replica_log::trim(lsn_t lsn) {
  const auto at = above(lsn);
  base_ = before(at);
  for (std::size_t i = 0; i < at.run; ++i, runs_.pop_front()) {
    count_ -= runs_.front().records.size();
    body_bytes_ -= runs_.front().bytes;
  }
  durable_count_ -= std::min(durable_count_, at.run);
  if (at.record != 0) shrink(runs_.front(), 0, at.record);
}

} // namespace warp::cluster::replication
