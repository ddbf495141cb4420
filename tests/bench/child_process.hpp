#pragma once

#include <functional>
#include <vector>

namespace warp::bench {

/// Runs `work` in a child process, so that it starts with fresh memory and leaves none behind, and
/// returns what it returned. Call it while this process has no other threads. A child that fails
/// ends the process.
std::vector<double> in_child(const std::function<std::vector<double>()>& work);

} // namespace warp::bench
