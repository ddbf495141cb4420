// A repair brings what is kept into memory, and names what is not.

#include "storage/checkpoint_reader.hpp"
#include "storage/checkpoint_salvage.hpp"
#include "storage/log_replay.hpp"
#include "storage/repairer.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace warp::storage {

op_status repairer::rebuild() {
  memory_ = std::make_shared<table_memory>();
  for (std::uint32_t s = 0; s < evidence_.shard_count; ++s) {
    auto& to = shards_[s];
    to.data = std::make_unique<shard>(shard_id{s}, options_, time_, memory_);
    if (!plans_[s].exact)
      if (auto status = add_damaged_checkpoints(s); !status.ok()) return status;
    if (to.from == nullptr) continue;
    auto reader = checkpoint_reader::open(files_, to.from->path);
    if (!reader) return reader.status();
    if (auto status = reader->read_records(
            [&](const checkpoint_record& r) { to.data->restore(r.key, r.value, r.meta); });
        !status.ok())
      return status;
    auto section = reader->section(checkpoint_section_requests);
    if (!section) continue;
    if (auto requests = request_window::decode(*section); requests.ok())
      to.data->requests() = std::move(*requests);
  }
  std::vector<replay_range> ranges(shards_.size());
  for (std::size_t s = 0; s < shards_.size(); ++s)
    ranges[s] = {.wanted = true, .above = shards_[s].replay_above};
  for (const auto& scan : survey_.segments()) {
    auto bytes = load_segment(files_, scan.info);
    if (!bytes) return bytes.status();
    if (auto status = replay(*bytes, ranges,
                             [&](const replay_context& at, const log_record& r) -> op_status {
                               shards_[at.shard.value].data->replay(r, at.timestamp_us);
                               return {};
                             });
        !status.ok())
      return status;
  }
  if (auto status = name_what_is_dropped(); !status.ok()) return status;
  for (std::size_t s = 0; s < shards_.size(); ++s) {
    auto& plan = plans_[s];
    plan.records_kept = shards_[s].data->records().stats().keys;
    if (plan.missing.empty() && plan.dropped_records == 0 && plan.exact) continue;
    report_.may_lose_durable = true;
    report_.shards.push_back(plan);
  }
  // Even where each hole is known: the end of a log can be missing without a trace.
  report_.may_lose_durable = true;
  return {};
}

/// Blocks of newer checkpoints that are damaged: what is in them was there.
op_status repairer::add_damaged_checkpoints(std::uint32_t s) {
  auto& to = shards_[s];
  for (const auto& c : evidence_.checkpoints) {
    if (c.info.shard.value != s || c.status.ok() || !c.header ||
        c.header->universe != evidence_.universe || c.header->generation != evidence_.generation ||
        c.header->shard.value != s)
      continue;
    if (to.from && c.info.sequence < to.from->info.sequence) continue;
    auto found = salvage_checkpoint(files_, c.path, [&](const checkpoint_record& r) {
      to.data->restore(r.key, r.value, r.meta);
    });
    if (!found) continue; // then it is of no use, as its finding says
    report_.findings.push_back(fmt::format("{}: {} records in {} blocks of it can be read", c.path,
                                           found->records, found->blocks));
    to.last = std::max(to.last, found->last_version);
    to.reserved = std::max(to.reserved, found->last_version + skipped_lsns);
  }
  return {};
}

op_status repairer::name_what_is_dropped() {
  std::vector<replay_range> ranges(shards_.size());
  bool any = false;
  for (std::size_t s = 0; s < shards_.size(); ++s) {
    ranges[s] = {.wanted = true, .above = plans_[s].kept_up_to};
    any = true;
  }
  if (!any) return {};
  std::vector<std::set<std::string>> keys(shards_.size());
  for (const auto& info : as_it_was_) {
    auto bytes = load_segment(files_, info);
    if (!bytes) return bytes.status();
    if (auto status = replay(*bytes, ranges,
                             [&](const replay_context& at, const log_record& r) -> op_status {
                               auto& plan = plans_[at.shard.value];
                               ++plan.dropped_records;
                               if (keys[at.shard.value].size() < how_.keys_max)
                                 keys[at.shard.value].emplace(r.key);
                               return {};
                             });
        !status.ok())
      return status;
  }
  for (std::size_t s = 0; s < shards_.size(); ++s)
    plans_[s].dropped_keys.assign(keys[s].begin(), keys[s].end());
  return {};
}

} // namespace warp::storage
