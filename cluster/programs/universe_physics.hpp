#pragma once

#include "actors/universe.hpp"
#include "cluster/physics_backend.hpp"

namespace warp::programs {

/// What a universe knows of itself, for the front ends. Thread-safe as the universe is; borrows it.
class universe_physics final : public cluster::physics_backend {
public:
  explicit universe_physics(universe& u) noexcept : universe_(u) {}

  std::vector<quantum_partner> partners_of(std::string_view key, std::size_t max,
                                           double strength_min) override {
    return universe_.partners_of(key, max, strength_min);
  }
  op_status entangle(std::string_view key, std::span<const std::string> partners,
                     double strength) override {
    return universe_.entangle(key, partners, strength);
  }
  op_result<std::vector<shard_physics>> shards() override { return universe_.shards(); }
  op_result<entropy_report> entropy() override { return universe_.entropy(); }
  op_result<rebalance_report> plan_rebalance(unsigned strategy) override {
    return universe_.rebalance(true, static_cast<physics::rebalance_strategy>(strategy));
  }
  physics_report report() override { return universe_.physics_status(); }
  op_status set_tier(physics_tier tier) override {
    universe_.set_physics_tier(tier);
    return {};
  }
  op_status set_rule(std::string_view rule, double strength) override {
    return universe_.set_physics_rule(rule, strength);
  }

private:
  universe& universe_;
};

} // namespace warp::programs
