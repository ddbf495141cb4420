#pragma once

#include <string>
#include <utility>
#include <vector>

namespace warp::actors {

/// One number of a metric, with its labels (name, value), in the order they are printed.
struct metric_value {
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};

/// A metric with all its numbers. The name starts with `warp_`, ends with its unit, and with
/// `_total` when it counts.
struct metric {
  enum class kind { counter, gauge };

  std::string name;
  std::string help; ///< one sentence
  kind type = kind::gauge;
  std::vector<metric_value> values;
};

/// Something that has numbers to show beside the engine's: a front end with its connections,
/// requests and bytes. Asked at scrape time, on the scraping thread, while it works: keep plain
/// atomic counters and copy them here.
class metric_source {
public:
  virtual ~metric_source() = default;
  virtual void collect(std::vector<metric>& out) const = 0;
};

} // namespace warp::actors
