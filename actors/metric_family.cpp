#include "actors/metric_family.hpp"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <sstream>

namespace warp::actors {

namespace {

/// Bucket bounds that are shown: 2^8 ns (256 ns) to 2^34 ns (17 s), every second power of two. 40
/// buckets per histogram would make a scrape several times larger and say little more.
constexpr int first_bound = 8, last_bound = 34, bound_step = 2;
constexpr double ns_per_s = 1e9;

} // namespace

prometheus::ClientMetric& family_builder::add(const metric_labels& labels) {
  auto& m = family_.metric.emplace_back();
  for (auto& [name, value] : labels) m.label.push_back({name, value});
  return m;
}

family_builder& family_builder::value(double v, const metric_labels& labels) {
  auto& m = add(labels);
  if (family_.type == prometheus::MetricType::Counter)
    m.counter.value = v;
  else
    m.gauge.value = v;
  return *this;
}

family_builder& family_builder::durations(const storage::latency_histogram& h,
                                          const metric_labels& labels) {
  auto& out = add(labels).histogram;
  std::uint64_t cumulative = 0;
  std::size_t next = 0;
  for (int bound = first_bound; bound <= last_bound; bound += bound_step) {
    // buckets[i] holds what is below 2^i ns
    for (; next <= static_cast<std::size_t>(bound); ++next) cumulative += h.buckets[next];
    out.bucket.push_back({cumulative, std::ldexp(1.0, bound) / ns_per_s});
  }
  for (; next < h.buckets.size(); ++next) cumulative += h.buckets[next];
  out.bucket.push_back({cumulative, std::numeric_limits<double>::infinity()});
  // the counters are read while they are written: the buckets decide, so that count and +Inf agree
  out.sample_count = cumulative;
  out.sample_sum = static_cast<double>(h.sum_ns) / ns_per_s;
  return *this;
}

void merge(storage::latency_histogram& into, const storage::latency_histogram& from) {
  for (std::size_t i = 0; i < into.buckets.size(); ++i) into.buckets[i] += from.buckets[i];
  into.count += from.count;
  into.sum_ns += from.sum_ns;
}

std::string prometheus_text(const std::vector<prometheus::MetricFamily>& families) {
  std::ostringstream out;
  prometheus::TextSerializer{}.Serialize(out, families);
  return out.str();
}

void append(std::vector<prometheus::MetricFamily>& families, const std::vector<metric>& metrics) {
  for (auto& m : metrics) {
    auto built = m.type == metric::kind::counter ? family_builder::counter(m.name, m.help)
                                                 : family_builder::gauge(m.name, m.help);
    for (auto& v : m.values) built.value(v.value, v.labels);
    auto family = built.done();
    auto known = std::ranges::find(families, m.name, &prometheus::MetricFamily::name);
    if (known == families.end())
      families.push_back(std::move(family));
    else
      std::ranges::move(family.metric, std::back_inserter(known->metric));
  }
}

} // namespace warp::actors
