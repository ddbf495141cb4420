#pragma once

#include "actors/compute_manager.hpp"

#include <prometheus/metric_family.h>

#include <vector>

namespace warp::actors {

/// Appends what a compute manager counts, as Prometheus metrics.
void add_compute_metrics(std::vector<prometheus::MetricFamily>& out, const compute_manager& from);

} // namespace warp::actors
