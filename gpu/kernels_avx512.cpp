#include "gpu/kernel_set.hpp"

namespace warp::gpu {

constexpr kernels avx512_kernels = kernel_set<lanes<16>>("AVX-512");

} // namespace warp::gpu
