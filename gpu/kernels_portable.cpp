#include "gpu/kernel_set.hpp"

namespace warp::gpu {

constexpr kernels portable_kernels = kernel_set<lanes<4>>("four lanes");

} // namespace warp::gpu
