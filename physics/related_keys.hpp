#pragma once

#include "physics/entanglement_index.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace warp::physics {

struct relatedness_options {
  double walk_time = 1;       ///< of the quantum walk, unitless, > 0
  double walk_weight = 0.1;   ///< of its probability beside the strength of a direct partner, >= 0
  std::size_t keys_max = 300; ///< of the neighbourhood, the key included; >= 1
};

/// Keys related to a key over several hops, the closest first, at most `max`: its partners
/// (entanglement_index.hpp) and theirs, by strength and by a quantum walk (quantum_walk.hpp) from
/// the key on the graph that the strengths of both hops make,
///     relatedness(b) = strength(key, b) + walk_weight x P(the walk is found at b)
/// so direct partners lead, the walk orders equals and goes on where a key has few partners of its
/// own. `strength` in the result is the relatedness, in (0, 1 + walk_weight]. The ranking by
/// default: it predicts the next access as often as strengths alone or a little more often, and
/// more often than co-occurrence and personalised PageRank, on strengths or on co-occurrence
/// (tests/bench/physics/entanglement_part.cpp). A walk on plain co-occurrence loses to PageRank.
///
/// O(keys_max x partners_max x 20): tens of microseconds. The same for the same index.
[[nodiscard]] std::vector<partner> related_keys(const entanglement_index& index, std::uint64_t key,
                                                std::size_t max = 10,
                                                const relatedness_options& options = {});

} // namespace warp::physics
