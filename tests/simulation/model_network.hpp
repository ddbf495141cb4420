#pragma once

#include "tests/simulation/event_queue.hpp"
#include "tests/simulation/sim_random.hpp"

#include <cstddef>
#include <functional>
#include <vector>

namespace warp::testing {

/// Messages between places (nodes, then clients): late, lost, doubled, overtaken; each direction of
/// each link can be cut.
class model_network {
public:
  struct weather {
    double loss = 0;
    double doubling = 0;
    double lateness = 0; ///< the share of messages that take up to `late_us`
    event_queue::time late_us = 0;
  };

  model_network(event_queue& queue, std::uint64_t seed, std::size_t places)
      : queue_(queue), random_(seed, 1), cut_(places, std::vector<bool>(places)) {}

  void set(weather to) { weather_ = to; }
  void cut(std::size_t from, std::size_t to, bool on) { cut_[from][to] = on; }
  void heal();
  /// `deliver` runs at each arrival: never, once or twice.
  void send(std::size_t from, std::size_t to, std::function<void()> deliver);

private:
  event_queue& queue_;
  sim_random random_;
  weather weather_;
  std::vector<std::vector<bool>> cut_;
};

} // namespace warp::testing
