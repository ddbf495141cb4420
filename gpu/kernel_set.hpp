#pragma once

#include "gpu/column_kernel.hpp"
#include "gpu/entropy_kernel.hpp"
#include "gpu/evolution_kernel.hpp"
#include "gpu/graph_kernels.hpp"
#include "gpu/gravity_kernel.hpp"
#include "gpu/softmax_kernel.hpp"

namespace warp::gpu {

/// All inner loops for a width. The sources kernels_*.cpp hold one each and differ in the flags
/// they are compiled with: a width belongs to one of them alone, so the linker has nothing to
/// confuse.
template <class L>
constexpr kernels kernel_set(const char* name) noexcept {
  return {name,
          L::count,
          &gravity_kernel<L>,
          &entropy_kernel<L>,
          &walk_kernel<L>,
          &walk_single_kernel<L>,
          &heat_kernel<L>,
          &evolution_kernel<L>,
          &score_kernel<L>,
          &train_kernel<L>,
          &sum_kernel<L>,
          &dot_kernel<L>,
          &top_kernel<L>,
          &filter_kernel<L>};
}

} // namespace warp::gpu
