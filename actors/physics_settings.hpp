#pragma once

#include "messages/physics.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace warp::actors {

/// How a universe observes itself from its start on.
struct physics_settings {
  physics_tier tier = physics_tier::t2;
  /// Pattern rules ("user:* -> profile:*, settings:*") of strength 0.8, added at each start.
  std::vector<std::string> rules;
  /// What was learned is saved this often, at the latest so long after it was.
  std::chrono::milliseconds save_interval{60'000};
  /// The thread that learns may take this share of all CPUs; with more the tier steps down.
  double cpu_share_max = 0.01;
};

} // namespace warp::actors
