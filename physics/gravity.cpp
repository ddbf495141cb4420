#include "physics/gravity.hpp"

#include "physics/mixing.hpp"

#include <cassert>
#include <cmath>

namespace warp::physics {

place_index rendezvous_place(std::uint64_t group_id, std::span<const std::uint64_t> place_ids,
                             std::span<const double> capacities) noexcept {
  assert(place_ids.size() == capacities.size());
  place_index best = no_place;
  double best_score = -1;
  for (std::size_t i = 0; i < place_ids.size(); ++i) {
    const auto hash = mix(group_id ^ mix(place_ids[i]));
    const double u = (static_cast<double>(hash >> 11) + 0.5) * 0x1p-53;
    const double score = capacities[i] / -std::log(u);
    if (score > best_score) {
      best_score = score;
      best = static_cast<place_index>(i);
    }
  }
  return best;
}

} // namespace warp::physics
