#include "tests/simulation/model_network.hpp"

#include <utility>

namespace warp::testing {

void model_network::heal() {
  for (auto& from : cut_) from.assign(from.size(), false);
  weather_ = {};
}

void model_network::send(std::size_t from, std::size_t to, std::function<void()> deliver) {
  const int copies = random_.chance(weather_.doubling) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    auto delay = random_.between(80, 900);
    if (random_.chance(weather_.lateness)) delay += random_.between(0, weather_.late_us);
    if (random_.chance(weather_.loss)) continue;
    // A message that is on its way when the link is cut is lost as well.
    queue_.after(delay, [this, from, to, deliver] {
      if (!cut_[from][to]) deliver();
    });
  }
}

} // namespace warp::testing
