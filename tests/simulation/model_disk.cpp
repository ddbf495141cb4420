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
  } else if (const auto* r = std::get_if<wal::record>(&piece)) {
    if (r->what.lsn > base->end.lsn) records.push_back(r->what);
  } else if (const auto* t = std::get_if<wal::truncation>(&piece)) {
    std::erase_if(records, [&](const log_record& x) { return x.lsn >= t->from; });
  } else if (const auto* c = std::get_if<wal::commit>(&piece)) {
    commit_lsn = std::max(commit_lsn, c->lsn);
  } else if (std::holds_alternative<wal::incomplete>(piece)) {
    incomplete = true;
  } else if (std::holds_alternative<wal::complete>(piece)) {
    incomplete = false;
  } else {
    base = installed;
    records.clear();
    commit_lsn = base->end.lsn;
  }
}

void model_disk::write(std::uint64_t position, wal_piece piece,
                       std::shared_ptr<const model_checkpoint> installed) {
  written_ = position;
  unsynced_.push_back({position, std::move(piece), std::move(installed)});
}

void model_disk::synced(std::uint64_t position) {
  for (; !unsynced_.empty() && unsynced_.front().position <= position; unsynced_.pop_front())
    image_.take(unsynced_.front().piece, unsynced_.front().installed);
}

void model_disk::stop(boot_id boot) {
  synced(written_);
  image_.stopped_boot = boot;
}

void model_disk::crash(sim_random& random) {
  if (!unsynced_.empty()) {
    const auto kept = random.below(unsynced_.size() + 1);
    if (kept != 0) synced(unsynced_[kept - 1].position);
  }
  unsynced_.clear();
  written_ = 0;
}

recovered_copy model_disk::start(model_table& table) {
  unsynced_.clear();
  written_ = 0;
  recovered_copy found{.max_epoch = image_.max_epoch,
                       .log = replica_log{image_.base->end},
                       .commit_lsn = std::max(image_.commit_lsn, image_.base->end.lsn),
                       .incomplete = image_.incomplete,
                       .stopped_boot = std::exchange(image_.stopped_boot, {})};
  table = image_.base->table;
  for (const auto& r : image_.records) {
    found.log.append(r, 0);
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
