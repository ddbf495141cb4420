#pragma once

#include "actors/metric_source.hpp"
#include "storage/stats.hpp"

#include <prometheus/metric_family.h>

#include <string>
#include <utility>
#include <vector>

namespace warp::actors {

using metric_labels = std::vector<std::pair<std::string, std::string>>;

/// Builds one Prometheus metric with its values; little more than names for prometheus-cpp's
/// structs.
class family_builder {
public:
  static family_builder counter(std::string name, std::string help) {
    return {prometheus::MetricType::Counter, std::move(name), std::move(help)};
  }
  static family_builder gauge(std::string name, std::string help) {
    return {prometheus::MetricType::Gauge, std::move(name), std::move(help)};
  }
  /// In seconds, of durations counted in powers of two of ns.
  static family_builder histogram(std::string name, std::string help) {
    return {prometheus::MetricType::Histogram, std::move(name), std::move(help)};
  }

  family_builder& value(double v, const metric_labels& labels = {});
  family_builder& durations(const storage::latency_histogram& h, const metric_labels& labels = {});
  prometheus::MetricFamily done() { return std::move(family_); }

private:
  family_builder(prometheus::MetricType type, std::string name, std::string help) {
    family_.type = type;
    family_.name = std::move(name);
    family_.help = std::move(help);
  }
  prometheus::ClientMetric& add(const metric_labels& labels);

  prometheus::MetricFamily family_;
};

/// Sum of two histograms.
void merge(storage::latency_histogram& into, const storage::latency_histogram& from);

/// The text that a Prometheus server reads.
[[nodiscard]] std::string prometheus_text(const std::vector<prometheus::MetricFamily>& families);

/// Adds the metrics of a source; values of a name that is there already (two services that count
/// connections) join it.
void append(std::vector<prometheus::MetricFamily>& families, const std::vector<metric>& metrics);

} // namespace warp::actors
