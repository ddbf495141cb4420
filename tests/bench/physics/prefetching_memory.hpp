#pragma once

#include "physics/entanglement_index.hpp"
#include "physics/event_horizon.hpp"
#include "physics/prefetch_governor.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace warp::bench::physics {

struct memory_options {
  double share = 0.01;     ///< of all values' bytes
  bool unit_sizes = false; ///< every value as large as the next, instead of tier_costs' sizes
  bool packs = false;      ///< values are compressed in memory
  bool prefetch = false;
};

struct memory_counts {
  std::size_t reads = 0; ///< from disk, those of values never read before included
  std::size_t first_reads = 0, prefetched = 0, used = 0, wasted = 0;
};

/// A memory behind which values lie in blocks of eight, side by side in the order in which they
/// first came; a value that was never read before has no neighbours yet. A miss reads one block:
/// the value that was missed comes in, and with prefetch those of its block that are partners of
/// it by what was learned until then, strong enough by what became of those before them
/// (prefetch_governor.hpp); they come in as newcomers and take their room in the same memory.
class prefetching_memory {
public:
  prefetching_memory(std::size_t keys, const memory_options& options);

  void access(std::uint32_t key);
  [[nodiscard]] const memory_counts& counts() const noexcept { return counts_; }

private:
  void take_in(std::uint32_t key, bool ghost);
  void learn(std::uint32_t key);
  [[nodiscard]] std::uint32_t size_of(std::uint32_t key) const;

  memory_options options_;
  memory_counts counts_;
  warp::physics::event_horizon horizon_;
  warp::physics::entanglement_index index_;
  warp::physics::prefetch_governor governor_;
  std::vector<warp::physics::resident_id> resident_;
  std::vector<warp::physics::ghost_stamp> stamp_;
  std::vector<std::uint8_t> unused_; ///< prefetched and not used so far: 1 + its grade
  std::vector<std::uint64_t> window_;
  std::uint64_t accesses_ = 0;
  std::uint32_t known_ = 0; ///< keys are numbered as they come
};

} // namespace warp::bench::physics
