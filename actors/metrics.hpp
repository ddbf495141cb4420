#pragma once

#include "actors/metric_source.hpp"
#include "actors/node.hpp"

#include <prometheus/collectable.h>

#include <string>
#include <vector>

namespace warp::actors {

/// Turns the plain counters of the engine, the tree and the services into Prometheus metrics when
/// it is asked to; the data path never counts here. Shards are merged, except where their
/// difference is the point. Thread-safe.
class node_metrics final : public prometheus::Collectable {
public:
  /// Borrows the node.
  explicit node_metrics(const node& n) : node_(n) {}

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

private:
  const node& node_;
};

/// The text that a Prometheus server reads.
[[nodiscard]] std::string prometheus_text(const std::vector<prometheus::MetricFamily>& families);

/// Adds the metrics of a source; values of a name that is there already (two services that count
/// connections) join it.
void append(std::vector<prometheus::MetricFamily>& families, const std::vector<metric>& metrics);

} // namespace warp::actors
