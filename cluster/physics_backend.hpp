#pragma once

#include "messages/physics.hpp"
#include "messages/status.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

/// What a universe knows of itself, for the front ends. The program implements it. Thread-safe. The
/// first three are quick and may be called by I/O threads, the others belong to a thread that may
/// block. Codes: see warp::universe.
class physics_backend {
public:
  virtual ~physics_backend() = default;

  virtual std::vector<quantum_partner> partners_of(std::string_view key, std::size_t max,
                                                   double strength_min) = 0;
  virtual op_status entangle(std::string_view key, std::span<const std::string> partners,
                             double strength) = 0;
  virtual op_result<std::vector<shard_physics>> shards() = 0;

  virtual op_result<entropy_report> entropy() = 0;
  /// 0 minimal, 1 moderate, 2 aggressive.
  virtual op_result<rebalance_report> plan_rebalance(unsigned strategy) = 0;
  virtual physics_report report() = 0;
  virtual op_status set_tier(physics_tier tier) = 0;
  virtual op_status set_rule(std::string_view rule, double strength) = 0;
};

} // namespace warp::cluster
