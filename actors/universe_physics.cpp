#include "actors/universe.hpp"
#include "actors/universe_state.hpp"
#include "storage/quantum_read.hpp"

#include <fmt/format.h>

namespace warp {

op_result<quantum_answer> universe::quantum_get(std::string_view key,
                                                const quantum_options& options) {
  if (options.max > quantum_partners_max)
    return op_status{op_code::invalid_argument,
                     fmt::format("{} partners: at most {}", options.max, quantum_partners_max)};
  return storage::quantum_read(engine(), key, partners_of(key, options.max, options.strength_min),
                               options.values, SIZE_MAX);
}

std::vector<quantum_partner> universe::partners_of(std::string_view key, std::size_t max,
                                                   double strength_min) const {
  return state_->node.physics->partners_of(key, max, strength_min);
}

op_status universe::entangle(std::string_view key, std::span<const std::string> partners,
                             double strength) {
  return state_->node.physics->entangle(key, partners, strength);
}

op_status universe::set_physics_rule(std::string_view rule, double strength) {
  return state_->node.physics->set_rule(rule, strength);
}

op_result<entropy_report> universe::entropy() const {
  return state_->node.physics->entropy();
}

op_result<std::vector<shard_physics>> universe::shards() const {
  return state_->node.physics->shards();
}

op_result<rebalance_report> universe::rebalance(bool dry_run,
                                                physics::rebalance_strategy strategy) const {
  if (!dry_run)
    return op_status{op_code::not_supported,
                     "one node: its shards share the same cores and memory, so there is nothing to "
                     "gain by moving keys between them; a dry run shows the plan"};
  return state_->node.physics->plan(strategy);
}

void universe::set_physics_tier(physics_tier tier) {
  state_->node.physics->order(tier);
}

physics_report universe::physics_status() const {
  return state_->node.physics->report();
}

gpu_report universe::gpu_status() const {
  return state_->node.compute->report();
}

op_result<std::vector<gpu_timing>> universe::gpu_bench(std::uint64_t work) {
  return state_->node.compute->bench(work);
}

op_result<gpu_calibration_report> universe::gpu_calibrate() {
  return state_->node.compute->calibrate();
}

} // namespace warp
