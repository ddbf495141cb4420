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

std::uint64_t hash_on(std::uint64_t before, const log_record& record) {
  // Sixteen bytes a step, the same on every little-endian machine; no adversary writes logs.
  constexpr std::uint64_t first = 0x9e37'79b9'7f4a'7c15u, second = 0xcbf2'9ce4'8422'2325u;
  auto h = fold(before ^ first, record.lsn ^ second);
  h = fold(h ^ (record.epoch * 2 + (record.no_op ? 1 : 0)), record.body.size() ^ first);
  auto rest = record.body.view();
  std::uint64_t words[2];
  for (; rest.size() >= sizeof words; rest.remove_prefix(sizeof words)) {
    std::memcpy(words, rest.data(), sizeof words);
    h = fold(words[0] ^ h, words[1] ^ second) + std::rotl(h, 23); // whatever a body has, not 0
  }
  words[0] = words[1] = 0;
  if (!rest.empty()) std::memcpy(words, rest.data(), rest.size());
  return fold(words[0] ^ h, words[1] ^ second);
}

replica_log::place replica_log::above(lsn_t lsn) const {
  if (runs_.empty() || lsn >= end_.lsn) return {runs_.size(), 0};
  // Near the end as a rule, else in the first run.
  auto number = runs_.size() - 1;
  for (int looks = 8; number != 0 && runs_[number - 1].last > lsn; --number)
    if (--looks == 0) {
      const auto from = runs_.begin(), to = from + static_cast<std::ptrdiff_t>(number);
      number =
          static_cast<std::size_t>(std::ranges::upper_bound(from, to, lsn, {}, &run::last) - from);
      break;
    }
  const auto& r = runs_[number];
  if (lsn < r.first) return {number, 0};
  if (r.dense) return {number, lsn - r.first + 1};
  const auto* at = std::ranges::upper_bound(r.records, lsn, {}, &log_record::lsn);
  return {number, static_cast<std::size_t>(at - r.records.begin())};
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
  log_run::keepers kept;
  std::size_t bytes = 0;
  for (; at.run < runs_.size(); ++at.run, at.record = 0) {
    const auto& records = runs_[at.run].records;
    kept.push_back(records.keeper());
    for (; at.record < records.size(); ++at.record) {
      const auto& next = records[at.record];
      bytes += next.body.size();
      if (some.size() == count_max || (bytes > bytes_max && !some.empty()))
        return {std::move(some), std::move(kept)};
      some.push_back(next);
    }
  }
  return {std::move(some), std::move(kept)};
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
  const auto first = records.front().lsn, last = records.back().lsn;
  const auto epoch = records.back().epoch;
  const auto count = records.size();
  run added{.records = std::move(records),
            .hashes = {},
            .skipped = 0,
            .wal_position = wal_position,
            .first = first,
            .last = last,
            .bytes = 0,
            .dense = last - first + 1 == count};
  added.hashes.reserve(count);
  auto hash = end_.hash;
  for (const auto& r : added.records) {
    added.hashes.push_back(hash = hash_on(hash, r));
    added.bytes += r.body.size();
  }
  const auto bytes = added.bytes;
  runs_.push_back(std::move(added));
  end_ = {last, epoch, hash};
  count_ += count;
  body_bytes_ += bytes;
}

void replica_log::shrink(run& from, std::size_t begin, std::size_t count) {
  for (const auto& r : from.records.part(begin, count)) {
    from.bytes -= r.body.size();
    body_bytes_ -= r.body.size();
  }
  count_ -= count;
  const auto left = from.records.size() - count;
  from.records = from.records.part(begin == 0 ? count : 0, left);
  if (begin == 0) from.skipped += count;
  from.first = from.records.front().lsn;
  from.last = from.records.back().lsn;
}

void replica_log::truncate_from(lsn_t lsn) {
  const auto at = above(lsn - 1);
  end_ = before(at);
  const auto whole = at.run + (at.record != 0);
  for (; runs_.size() > whole; runs_.pop_back()) {
    count_ -= runs_.back().records.size();
    body_bytes_ -= runs_.back().bytes;
  }
  if (at.record != 0) shrink(runs_.back(), at.record, runs_.back().records.size() - at.record);
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
