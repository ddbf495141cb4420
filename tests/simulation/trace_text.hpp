#pragma once

#include "cluster/replication/replica.hpp"

#include <cstddef>
#include <string>

namespace warp::testing {

/// Lines of a trace.
[[nodiscard]] std::string text(const cluster::replication::authority& a);
[[nodiscard]] std::string text(const cluster::replication::replica& r);
/// Empty for heartbeats and their answers.
[[nodiscard]] std::string text(std::size_t to, const cluster::replication::message& m);

} // namespace warp::testing
