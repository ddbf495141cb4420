// What a repair can keep of each shard, and from which checkpoint.

#include "storage/repairer.hpp"

#include <algorithm>

namespace warp::storage {

namespace {

/// Is a checkpoint exact together with the log, and how far does the log lead without a hole?
std::pair<bool, lsn_t> reach_of(const shard_chain& chain, lsn_t start, lsn_t end) {
  auto reached = std::max(chain.end, start);
  for (const auto& gap : chain.gaps)
    if (gap.resumes_at > start) {
      reached = std::max(gap.after, start);
      break;
    }
  return {reached >= end || start == end, std::max(reached, end)};
}

} // namespace

op_status repairer::plan() {
  report_.verdict = repair_verdict::rewrite;
  std::vector<segment_scan> scans;
  for (const auto& path : evidence_.segments) {
    auto scan = scan_segment(files_, path, evidence_.universe, evidence_.generation);
    if (!scan)
      scan =
          salvage_segment(files_, path, evidence_.universe, evidence_.generation, report_.findings);
    if (scan)
      scans.push_back(std::move(*scan));
    else if (scan.code() == op_code::corruption)
      report_.findings.push_back(scan.status().message() + "; nothing of it is used");
    else
      return scan.status();
  }
  auto survey = log_survey::build(std::move(scans), evidence_.shard_count, true);
  if (!survey) return survey.status();
  survey_ = std::move(*survey);
  // As the log was, before anything is cut: what is dropped is named from it.
  for (const auto& scan : survey_.segments())
    as_it_was_.push_back(std::make_shared<segment_info>(*scan.info));

  shards_.resize(evidence_.shard_count);
  for (std::uint32_t s = 0; s < evidence_.shard_count; ++s) plan_shard(s);
  if (!how_.salvage) {
    std::vector<lsn_t> settled;
    for (const auto& s : shards_) settled.push_back(s.from ? s.from->info.end_lsn : 0);
    survey_.cut_transactions(settled);
  }
  for (std::uint32_t s = 0; s < evidence_.shard_count; ++s) {
    auto& to = shards_[s];
    const auto& chain = survey_.shard(shard_id{s});
    to.last = std::max(chain.end, to.from ? to.from->info.end_lsn : 0);
    plans_[s].kept_up_to = to.last;
    to.epoch = std::max(chain.epoch, to.from ? to.from->info.end_epoch : 0);
    to.reserved = std::max({to.reserved, chain.next, to.last}) + skipped_lsns;
  }
  return {};
}

void repairer::plan_shard(std::uint32_t index) {
  const shard_id id{index};
  const auto& chain = survey_.shard(id);
  auto& to = shards_[index];
  plans_.push_back({.shard = id});
  auto& plan = plans_.back();
  const checkpoint_evidence* newest = nullptr;
  bool any = false; // the shard had a checkpoint, so its log need not begin at 1
  bool exact = false;
  lsn_t reached = 0;
  for (const auto& c : evidence_.checkpoints) {
    if (c.info.shard != id) continue;
    any = true;
    to.reserved = std::max({to.reserved, c.info.reserved_lsn, c.info.end_lsn});
    if (!c.status.ok() || c.header->universe != evidence_.universe ||
        c.header->generation != evidence_.generation)
      continue;
    if (newest == nullptr) newest = &c;
    const auto [is_exact, up_to] = reach_of(chain, c.info.start_lsn, c.info.end_lsn);
    if (!is_exact || (exact && up_to <= reached)) continue;
    exact = true;
    reached = up_to;
    to.from = &c;
  }
  if (evidence_.known.ok() && !evidence_.known->checkpoints[index].empty()) {
    any = true;
    to.reserved = std::max(to.reserved, evidence_.known->checkpoints[index].front().reserved_lsn);
  }
  if (!exact && newest == nullptr) {
    // From the log alone: exact where that begins with the first record there ever was.
    const auto from_log = reach_of(chain, 0, 0);
    exact = !any || from_log.second > 0 || chain.end == 0;
    reached = from_log.second;
    if (any && chain.end == 0) exact = false;
    if (chain.end > 0 && reached == 0) exact = false;
  }
  if (how_.salvage) {
    to.from = newest;
    plan.exact = exact && reached >= chain.end;
    if (newest) plan.exact = plan.exact && to.from == newest;
    reached = std::max(chain.end, newest ? newest->info.end_lsn : 0);
  } else if (!exact) {
    to.from = newest;
    plan.exact = false;
    report_.verdict = repair_verdict::needs_salvage;
    reached = std::max(chain.end, newest ? newest->info.end_lsn : 0);
  }
  to.replay_above = to.from ? to.from->info.start_lsn : 0;
  if (to.from) plan.checkpoint = to.from->path;
  for (const auto& gap : chain.gaps)
    if (gap.resumes_at > std::max(to.replay_above, to.from ? to.from->info.end_lsn : 0))
      plan.missing.push_back(
          {std::max(gap.after, to.from ? to.from->info.end_lsn : 0) + 1, gap.resumes_at});
  // Published up to here, so the log was on disk up to here.
  if (evidence_.known.ok() && !evidence_.known->checkpoints[index].empty()) {
    const auto& published = evidence_.known->checkpoints[index].front();
    if (const auto end = std::max(chain.end, to.from ? to.from->info.end_lsn : 0);
        end < published.end_lsn)
      plan.missing.push_back({end + 1, published.end_lsn});
  }
  if (plan.exact && reached < chain.end) survey_.end_at(id, reached);
}

} // namespace warp::storage
