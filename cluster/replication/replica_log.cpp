#include "cluster/replication/replica_log.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace warp::cluster::replication {

std::uint64_t hash_on(std::uint64_t before, const log_record& record) {
  // Eight bytes at a time, the same on every little-endian machine; no adversary writes logs.
  std::uint64_t h = before ^ 0xcbf2'9ce4'8422'2325u;
  const auto mix = [&](std::uint64_t v) {
    h = (h ^ v) * 0x9e37'79b9'7f4a'7c15u;
    h ^= h >> 32;
  };
  mix(record.lsn);
  mix(record.epoch * 2 + (record.no_op ? 1 : 0));
  auto rest = record.body.view();
  for (std::uint64_t word; rest.size() >= sizeof word; rest.remove_prefix(sizeof word)) {
    std::memcpy(&word, rest.data(), sizeof word);
    mix(word);
  }
  std::uint64_t end = 0;
  if (!rest.empty()) std::memcpy(&end, rest.data(), rest.size());
  mix(end);
  mix(record.body.size());
  return h;
}

replica_log::place replica_log::above(lsn_t lsn) const {
  if (lsn >= end_.lsn) return {runs_.size(), 0};
  // Near the end as a rule, else in the first run.
  auto number = runs_.size() - 1;
  for (int looks = 8; number != 0 && runs_[number - 1].last > lsn; --number)
    if (--looks == 0) {
      const auto from = runs_.begin(), to = from + static_cast<std::ptrdiff_t>(number);
      number =
          static_cast<std::size_t>(std::ranges::upper_bound(from, to, lsn, {}, &run::last) - from);
      break;
    }
  const auto& records = runs_[number].records;
  if (lsn < records.front().lsn) return {number, 0};
  // Where no number was left out, it is known where it lies.
  const auto guess = lsn - records.front().lsn;
  if (guess < records.size() && records[guess].lsn == lsn) return {number, guess + 1};
  const auto* at = std::ranges::upper_bound(records, lsn, {}, &log_record::lsn);
  return {number, static_cast<std::size_t>(at - records.begin())};
}

log_position replica_log::before(place at) const {
  if (at.record == 0) {
    if (at.run == 0) return base_;
    --at.run;
    at.record = runs_[at.run].records.size();
  }
  const auto& r = runs_[at.run];
  const auto& record = r.records[at.record - 1];
  return {record.lsn, record.epoch, r.hashes[r.skipped + at.record - 1]};
}

const log_record* replica_log::find(lsn_t lsn) const {
  if (lsn <= base_.lsn || lsn > end_.lsn) return nullptr;
  const auto at = above(lsn - 1);
  const auto& record = runs_[at.run].records[at.record];
  return record.lsn == lsn ? &record : nullptr;
}

bool replica_log::matches(lsn_t lsn, epoch_t epoch) const {
  if (lsn == end_.lsn) return epoch == end_.epoch;
  if (lsn == base_.lsn) return epoch == base_.epoch;
  const auto* record = find(lsn);
  return record != nullptr && record->epoch == epoch;
}

log_position replica_log::at_or_below(lsn_t lsn) const {
  if (lsn >= end_.lsn) return end_;
  if (lsn <= base_.lsn) return base_;
  return before(above(lsn));
}

log_run replica_log::behind(lsn_t lsn, std::size_t count_max, std::size_t bytes_max) const {
  auto at = above(lsn);
  if (at.run == runs_.size() || count_max == 0) return {};
  const auto& first = runs_[at.run];
  const auto left = first.records.size() - at.record;
  if (first.bytes <= bytes_max && (left >= count_max || at.run + 1 == runs_.size()))
    return first.records.part(at.record, std::min(left, count_max));
  std::vector<log_record> some;
  std::size_t bytes = 0;
  for (; at.run < runs_.size(); ++at.run, at.record = 0)
    for (const auto& records = runs_[at.run].records; at.record < records.size(); ++at.record) {
      const auto& next = records[at.record];
      bytes += next.body.size();
      if (some.size() == count_max || (bytes > bytes_max && !some.empty())) return some;
      some.push_back(next);
    }
  return some;
}

lsn_t replica_log::durable(std::uint64_t wal_synced) const {
  // Later records lie behind earlier ones in the write-ahead log, also after a truncation. That
  // goes forward as a rule, so it is followed and not looked for.
  auto& n = durable_count_;
  while (n != 0 && runs_[n - 1].wal_position > wal_synced) --n;
  while (n != runs_.size() && runs_[n].wal_position <= wal_synced) ++n;
  return n == 0 ? base_.lsn : runs_[n - 1].last;
}

void replica_log::append(log_run records, std::uint64_t wal_position) {
  if (records.empty()) return;
  run added{std::move(records), {}, 0, wal_position, 0, 0};
  added.hashes.reserve(added.records.size());
  auto hash = end_.hash;
  std::size_t bytes = 0;
  for (const auto& r : added.records) {
    added.hashes.push_back(hash = hash_on(hash, r));
    bytes += r.body.size();
  }
  const auto& back = added.records.back();
  const log_position end{back.lsn, back.epoch, hash};
  const auto count = added.records.size();
  added.last = back.lsn;
  added.bytes = bytes;
  runs_.push_back(std::move(added));
  end_ = end;
  count_ += count;
  body_bytes_ += bytes;
}

void replica_log::forget(const log_run& gone) {
  count_ -= gone.size();
  for (const auto& r : gone) body_bytes_ -= r.body.size();
}

void replica_log::truncate_from(lsn_t lsn) {
  const auto at = above(lsn - 1);
  end_ = before(at);
  while (runs_.size() > at.run + 1) {
    forget(runs_.back().records);
    runs_.pop_back();
  }
  if (at.run < runs_.size()) {
    auto& r = runs_.back();
    forget(r.records.part(at.record, r.records.size() - at.record));
    if (at.record == 0) {
      runs_.pop_back();
    } else {
      r.records = r.records.part(0, at.record);
      r.last = r.records.back().lsn;
    }
  }
  durable_count_ = std::min(durable_count_, runs_.size());
}

void replica_log::trim(lsn_t lsn) {
  const auto at = above(lsn);
  base_ = before(at);
  for (std::size_t i = 0; i < at.run; ++i) {
    forget(runs_.front().records);
    runs_.pop_front();
  }
  durable_count_ -= std::min(durable_count_, at.run);
  if (at.record == 0) return;
  auto& r = runs_.front();
  forget(r.records.part(0, at.record));
  r.records = r.records.part(at.record, r.records.size() - at.record);
  r.skipped += at.record;
}

} // namespace warp::cluster::replication
