#include "cluster/replication/replica_log.hpp"

#include <algorithm>
#include <bit>
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

log_position replica_log::last() const {
  if (entries_.empty()) return base_;
  const auto& end = entries_.back();
  return {end.record.lsn, end.record.epoch, end.hash};
}

std::size_t replica_log::above(lsn_t lsn) const {
  if (entries_.empty()) return 0;
  const auto end = entries_.back().record.lsn;
  if (lsn >= end) return entries_.size();
  // Where no number was left out, it is known where it lies; counted from the end, as that was
  // touched last.
  const auto back = end - lsn;
  if (back < entries_.size() && entries_[entries_.size() - 1 - back].record.lsn == lsn)
    return entries_.size() - back;
  const auto at =
      std::ranges::upper_bound(entries_, lsn, {}, [](const entry& e) { return e.record.lsn; });
  return static_cast<std::size_t>(at - entries_.begin());
}

const log_record* replica_log::find(lsn_t lsn) const {
  const auto behind = above(lsn);
  if (behind == 0 || entries_[behind - 1].record.lsn != lsn) return nullptr;
  return &entries_[behind - 1].record;
}

bool replica_log::matches(lsn_t lsn, epoch_t epoch) const {
  if (lsn == base_.lsn) return epoch == base_.epoch;
  const auto* record = find(lsn);
  return record != nullptr && record->epoch == epoch;
}

log_position replica_log::at_or_below(lsn_t lsn) const {
  const auto behind = above(lsn);
  if (behind == 0) return base_;
  const auto& e = entries_[behind - 1];
  return {e.record.lsn, e.record.epoch, e.hash};
}

std::vector<log_record> replica_log::behind(lsn_t lsn, std::size_t count_max) const {
  std::vector<log_record> some;
  for (auto i = above(lsn); i < entries_.size() && some.size() < count_max; ++i)
    some.push_back(entries_[i].record);
  return some;
}

lsn_t replica_log::durable(std::uint64_t wal_synced) const {
  // Later records lie behind earlier ones in the write-ahead log, also after a truncation. That
  // goes forward as a rule, so it is followed and not looked for.
  auto& n = durable_count_;
  while (n != 0 && entries_[n - 1].wal_position > wal_synced) --n;
  while (n != entries_.size() && entries_[n].wal_position <= wal_synced) ++n;
  return n == 0 ? base_.lsn : entries_[n - 1].record.lsn;
}

void replica_log::append(log_record record, std::uint64_t wal_position) {
  const auto hash = hash_on(last().hash, record);
  entries_.push_back({std::move(record), hash, wal_position});
}

void replica_log::truncate_from(lsn_t lsn) {
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(above(lsn - 1)), entries_.end());
  durable_count_ = std::min(durable_count_, entries_.size());
}

void replica_log::trim(lsn_t lsn) {
  const auto end = at_or_below(lsn);
  const auto count = above(lsn);
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(count));
  durable_count_ -= std::min(durable_count_, count);
  base_ = end;
}

} // namespace warp::cluster::replication
