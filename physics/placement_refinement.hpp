#pragma once

#include "physics/coaccess_graph.hpp"
#include "physics/gravity.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace warp::physics {

/// What refine() works on: as many loads as groups, as many capacities and limits as places.
struct refinement_input {
  const coaccess_graph& graph;
  std::span<const double> loads;      ///< of the groups, >= 0
  std::span<const double> capacities; ///< of the places, > 0
  std::span<const double> limits;     ///< load that a place may carry, > 0
  double softening = default_softening;
};

/// Moves groups along gravity, one by one, until no move takes weight off the cut or `passes` are
/// over: a group goes to the place of the highest attraction among those that hold more of its
/// co-access weight than its own place does and have room. Places above their limits give groups
/// away first, those that cost the cut least. The cut never grows but for that.
///
/// placement: a place below capacities.size() for each group; changed. The same for the same seed.
/// O(links) a pass.
void refine(const refinement_input& in, std::vector<place_index>& placement, int passes,
            std::uint64_t seed);

/// Improves the border between each place and the `partners` places that share most weight with
/// it, pair by pair, also through states that are worse for a while (two_way_cut.hpp): finds
/// exchanges of groups that one-by-one moves miss when places are full. Limits as for refine(),
/// which is to be called afterwards; groups without links may leave a place above its limit until
/// then. The same for the same seed. O(links x partners x log).
void refine_pairs(const refinement_input& in, std::vector<place_index>& placement,
                  std::size_t partners, std::uint64_t seed);

} // namespace warp::physics
