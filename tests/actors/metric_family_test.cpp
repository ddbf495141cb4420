#include "actors/metric_family.hpp"

#include <catch2/catch_test_macros.hpp>

#include <limits>

using namespace warp::actors;

TEST_CASE("a histogram is cumulative, trimmed, and ends with all of them", "[actors][metrics]") {
  warp::storage::latency_histogram h;
  h.buckets[3] = 5;  // below 8 ns: in the first bucket that is shown
  h.buckets[10] = 7; // [512, 1024) ns
  h.buckets[39] = 2; // beyond the last bound
  h.count = 14;
  h.sum_ns = 3'000'000'000;
  auto family = family_builder::histogram("warp_test_seconds", "A test.").durations(h).done();
  auto& out = family.metric.at(0).histogram;
  CHECK(out.sample_count == 14);
  CHECK(out.sample_sum == 3.0);
  CHECK(out.bucket.front().cumulative_count == 5);
  CHECK(out.bucket.front().upper_bound == 256e-9);
  CHECK(out.bucket[1].cumulative_count == 12); // below 1,024 ns
  CHECK(out.bucket[out.bucket.size() - 2].cumulative_count == 12);
  CHECK(out.bucket.back().cumulative_count == 14);
  CHECK(out.bucket.back().upper_bound == std::numeric_limits<double>::infinity());
  CHECK(out.bucket.size() == 15);
}

TEST_CASE("metrics of one name from two services become one family", "[actors][metrics]") {
  std::vector<prometheus::MetricFamily> families;
  const metric rpc{
      "warp_connections", "Open connections.", metric::kind::gauge, {{{{"service", "rpc"}}, 3}}};
  const metric http{
      "warp_connections", "Open connections.", metric::kind::gauge, {{{{"service", "http"}}, 1}}};
  append(families, {rpc});
  append(families, {http});
  REQUIRE(families.size() == 1);
  const auto text = prometheus_text(families);
  CHECK(text.find("warp_connections{service=\"rpc\"} 3\n") != std::string::npos);
  CHECK(text.find("warp_connections{service=\"http\"} 1\n") != std::string::npos);
}
