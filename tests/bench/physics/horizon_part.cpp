#include "tests/bench/physics/part.hpp"

namespace warp::bench::physics {

namespace {

void run(report& out, const part_options&) {
  out.begin("event horizon: miss ratios behind a cache", 60);
}

} // namespace

const part horizon_part{"horizon", "what stays in memory: miss ratios beside known policies", run};

} // namespace warp::bench::physics
