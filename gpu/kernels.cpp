#include "gpu/kernels.hpp"

namespace warp::gpu {

cpu_level best_level() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    return cpu_level::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return cpu_level::avx2;
#endif
  return cpu_level::portable;
}

const kernels& kernels_for(cpu_level level) noexcept {
  const auto best = best_level();
  switch (level < best ? level : best) {
  case cpu_level::one_lane:
    return one_lane_kernels;
#if defined(__x86_64__)
  case cpu_level::avx2:
    return avx2_kernels;
  case cpu_level::avx512:
    return avx512_kernels;
#endif
  default:
    return portable_kernels;
  }
}

} // namespace warp::gpu
