#include "tests/simulation/model_disk.hpp"

#include <algorithm>
#include <utility>

namespace warp::testing {

using namespace cluster::replication;

bool model_disk::image::has(lsn_t lsn, epoch_t epoch) const {
  if (lsn <= base->end.lsn) return true; // only what is committed is in a checkpoint
  const auto at = std::ranges::lower_bound(records, lsn, {}, &log_record::lsn);
  return at != records.end() && at->lsn == lsn && at->epoch == epoch;
}

void model_disk::image::take(const wal_piece& piece,
                             const std::shared_ptr<const model_checkpoint>& installed) {
  if (const auto* f = std::get_if<wal::fence>(&piece)) {
    max_epoch = std::max(max_epoch, f->max_epoch);
  } else if (const auto* r = std::get_if<wal::records>(&piece)) {
    for (const auto& one : r->what)
      if (one.lsn > base->end.lsn)
        records.push_back({one.lsn, one.epoch, one.no_op, one.body.view()});
  } else if (const auto* t = std::get_if<wal::truncation>(&piece)) {
    std::erase_if(records, [&](const log_record& x) { return x.lsn >= t->from; });
  } else if (const auto* c = std::get_if<wal::commit>(&piece)) {
    commit_lsn = std::max(commit_lsn, c->lsn);
  } else if (std::holds_alternative<wal::incomplete>(piece)) {
    incomplete = true;
  } else if (std::holds_alternative<wal::complete>(piece)) {
    incomplete = repaired = false;
  } else {
    base = installed;
    records.clear();
    commit_lsn = base->end.lsn;
  }
}

void model_disk::write(std::uint64_t order, std::uint64_t position, wal_piece piece,
                       std::shared_ptr<const model_checkpoint> installed) {
  unsynced_.push_back({order, position, std::move(piece), std::move(installed)});
}

std::uint64_t model_disk::synced(std::uint64_t order) {
  std::uint64_t last = 0;
  for (; !unsynced_.empty() && unsynced_.front().order <= order; unsynced_.pop_front()) {
    image_.take(unsynced_.front().piece, unsynced_.front().installed);
    last = unsynced_.front().position;
  }
  return last;
}

lsn_t model_disk::last_lsn() const {
  return image_.records.empty() ? image_.base->end.lsn : image_.records.back().lsn;
}

std::optional<epoch_t> model_disk::epoch_at(lsn_t lsn) const {
  if (lsn == image_.base->end.lsn) return image_.base->end.epoch;
  const auto at = std::ranges::lower_bound(image_.records, lsn, {}, &log_record::lsn);
  if (at == image_.records.end() || at->lsn != lsn) return std::nullopt;
  return at->epoch;
}

std::vector<log_record> model_disk::behind(lsn_t lsn, lsn_t up_to, std::size_t count_max) const {
  std::vector<log_record> some;
  for (auto at = std::ranges::upper_bound(image_.records, lsn, {}, &log_record::lsn);
       at != image_.records.end() && at->lsn <= up_to && some.size() < count_max; ++at)
    some.push_back(*at);
  return some;
}

void model_disk::stop(boot_id boot) {
  synced(~std::uint64_t{0});
  image_.stopped_boot = boot;
}

void model_disk::crash(std::uint64_t order, sim_random& random) {
  synced(order);
  unsynced_.clear();
  if (!incoming) return;
  // Which chunks have got to disk before a sync is anybody's guess; a start verifies each.
  std::erase_if(incoming->chunks, [&](const auto&) { return random.chance(0.3); });
}

void model_disk::repair(sim_random& random) {
  unsynced_.clear();
  incoming.reset();
  image_.incomplete = false;
  image_.repaired = true;
  image_.stopped_boot = {};
  if (!image_.records.empty() && random.chance(0.7))
    image_.records.resize(random.below(image_.records.size() + 1));
  const auto end = image_.records.empty() ? image_.base->end.lsn : image_.records.back().lsn;
  image_.commit_lsn = std::min(image_.commit_lsn, end);
}

recovered_copy model_disk::start(model_table& table) {
  unsynced_.clear();
  recovered_copy found{.max_epoch = image_.max_epoch,
                       .log = replica_log{image_.base->end},
                       .commit_lsn = std::max(image_.commit_lsn, image_.base->end.lsn),
                       .incomplete = image_.incomplete,
                       .stopped_boot = std::exchange(image_.stopped_boot, {}),
                       .repaired = image_.repaired};
  table = image_.base->table;
  for (const auto& r : image_.records) {
    found.log.append({r}, 0);
    if (!r.no_op && r.lsn <= found.commit_lsn) table.commit(r.lsn, model_effect::decode(r.body));
  }
  found.commit_lsn = found.log.at_or_below(found.commit_lsn).lsn;
  return found;
}

void model_disk::publish(std::shared_ptr<const model_checkpoint> checkpoint) {
  if (checkpoint->end.lsn <= image_.base->end.lsn) return;
  image_.base = std::move(checkpoint);
  std::erase_if(image_.records, [&](const log_record& r) { return r.lsn <= image_.base->end.lsn; });
}

} // namespace warp::testing
