#include "gpu/kernel_set.hpp"

namespace warp::gpu {

constexpr kernels avx2_kernels = kernel_set<lanes<8>>("AVX2");

} // namespace warp::gpu
