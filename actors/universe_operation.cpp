#include "actors/universe.hpp"
#include "actors/universe_state.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace warp {

op_status universe::checkpoint() {
  op_status first_failure;
  for (std::uint32_t i = 0; i < engine().shard_count(); ++i) {
    auto status = checkpoint(shard_id{i});
    if (status == op_code::shutting_down) return status;
    if (first_failure.ok() && !status.ok()) first_failure = std::move(status);
  }
  return first_failure;
}

op_status universe::checkpoint(shard_id shard) {
  if (state_->stopping()) return op_code::shutting_down;
  if (shard.value >= engine().shard_count())
    return {op_code::invalid_argument, fmt::format("shard {}: this universe has {} of them",
                                                   shard.value, engine().shard_count())};
  return state_->node.checkpoints.run(shard);
}

load_summary universe::analyze_load() const {
  const auto& e = *state_->node.engine;
  load_summary summary;
  for (std::uint32_t i = 0; i < e.shard_count(); ++i) {
    const auto s = e.stats(shard_id{i});
    shard_load load{.shard = shard_id{i},
                    .keys = s.table.keys,
                    .bytes = s.table.key_bytes + s.table.value_bytes,
                    .resident_bytes = s.table.record_bytes + s.table.index_bytes,
                    .reads = s.gets,
                    .writes = s.puts + s.erases + s.other_ops};
    summary.keys += load.keys;
    summary.bytes += load.bytes;
    summary.reads += load.reads;
    summary.writes += load.writes;
    summary.shards.push_back(load);
  }
  const auto total = summary.reads + summary.writes;
  for (auto& load : summary.shards)
    load.operations_share =
        total == 0 ? 0 : static_cast<double>(load.reads + load.writes) / static_cast<double>(total);
  std::ranges::stable_sort(summary.shards, std::greater{}, &shard_load::operations_share);
  return summary;
}

op_result<actors::scrub_status> universe::scrubbed(bool now) {
  if (!state_->node.scrubs)
    return op_status{op_code::not_supported, "a universe in memory only has nothing at rest"};
  auto& scrubs = *state_->node.scrubs;
  if (!now) return scrubs.status();
  const auto number = scrubs.request();
  auto status = scrubs.status();
  status.begun = number;
  return status;
}

health_summary universe::health() const {
  using actors::node_state;
  const auto& n = state_->node;
  health_summary summary;
  bool writable = !state_->stopping();
  for (std::uint32_t i = 0; i < n.engine->stream_count(); ++i) {
    const auto s = n.engine->stats_of_stream(i);
    if (!s.failed && !s.no_space) continue;
    writable = false;
    summary.problems.push_back(fmt::format("log stream {} {}: {}", i,
                                           s.failed ? "has failed" : "is out of space", s.failure));
  }
  for (auto& member : n.registry->snapshot()) {
    const bool lost = member.state == node_state::failed || member.state == node_state::abandoned;
    if (lost || member.state == node_state::waiting)
      summary.problems.push_back(fmt::format("{} is {}: {}", member.path,
                                             actors::to_string(member.state), member.last_cause));
    if (lost) writable = false;
  }
  if (n.scrubs)
    for (const auto& finding : n.scrubs->status().last.findings)
      summary.problems.push_back("damage at rest, see warp verify: " + finding);
  for (auto& slot : n.services.all())
    if (auto status = slot->get().health(); !status.ok())
      summary.problems.push_back(
          fmt::format("service {}: {}", slot->get().name(), status.to_string()));
  if (state_->stopping()) summary.problems.emplace_back("the universe is stopping");
  summary.ready = writable;
  return summary;
}

} // namespace warp
