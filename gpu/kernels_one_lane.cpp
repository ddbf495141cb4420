#include "gpu/kernel_set.hpp"

namespace warp::gpu {

constexpr kernels one_lane_kernels = kernel_set<lanes<1>>("one number at a time");

} // namespace warp::gpu
