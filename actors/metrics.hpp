#pragma once

#include "actors/node.hpp"

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

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

} // namespace warp::actors
