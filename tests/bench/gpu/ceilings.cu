#include "tests/bench/gpu/ceilings.cuh"

#include "gpu/cuda/simt.cuh"

#include <cuda_runtime.h>

#include <cstdint>

namespace warp::bench {

namespace {

namespace simt = gpu::simt;

constexpr unsigned threads = 256;
constexpr int rounds = 10;

WARP_KERNEL(threads)
copy(const float* from, float* to, std::size_t quads) {
  for (std::size_t q = simt::thread_of_grid(); q < quads; q += simt::threads_of_grid())
    simt::write_quad(to + q * 4, simt::read_quad(from + q * 4));
}

constexpr int multiplications = 1024, chains = 8;

WARP_KERNEL(threads)
multiply(float* out, float by) {
  float v[chains];
  for (int c = 0; c < chains; ++c) v[c] = static_cast<float>(simt::thread() + c);
  for (int i = 0; i < multiplications; ++i)
    for (int c = 0; c < chains; ++c) v[c] = v[c] * by + 0.5f;
  float sum = 0;
  for (int c = 0; c < chains; ++c) sum += v[c];
  if (sum == 12345.f) out[0] = sum; // keeps the work
}

/// Places that depend on nothing but the number of the read.
WARP_KERNEL(threads)
gather(const float* from, std::size_t values, const std::uint32_t* at, std::size_t count,
       float* out) {
  float sum = 0;
  const std::size_t step = simt::threads_of_grid();
  for (std::size_t i = simt::thread_of_grid(); i + 3 * step < count; i += 4 * step) {
    float v[4];
    for (int k = 0; k < 4; ++k) v[k] = simt::reread(from + simt::read_once(at + i + k * step));
    sum += (v[0] + v[1]) + (v[2] + v[3]);
  }
  if (sum == 12345.f) out[values - 1] = sum;
}

WARP_KERNEL(threads)
draw(std::uint32_t* at, std::size_t count, std::size_t values) {
  for (std::size_t i = simt::thread_of_grid(); i < count; i += simt::threads_of_grid()) {
    std::uint64_t x = i * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    at[i] = static_cast<std::uint32_t>((x >> 32) * values >> 32);
  }
}

/// Seconds of one call, the best of a few; 0 when the device fails.
template <class Work>
double seconds_of(Work&& work) {
  cudaEvent_t begin{}, end{};
  cudaEventCreate(&begin);
  cudaEventCreate(&end);
  double best = 0;
  for (int r = 0; r < rounds; ++r) {
    cudaEventRecord(begin);
    work();
    cudaEventRecord(end);
    float ms = 0;
    if (cudaEventSynchronize(end) != cudaSuccess ||
        cudaEventElapsedTime(&ms, begin, end) != cudaSuccess) {
      best = 0;
      break;
    }
    if (r > 0 && (best == 0 || static_cast<double>(ms) / 1e3 < best))
      best = static_cast<double>(ms) / 1e3;
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return best;
}

double per_second(double what, double seconds) {
  return seconds > 0 ? what / seconds : 0;
}

} // namespace

device_ceilings measured_ceilings(std::size_t gather_values) {
  constexpr std::size_t bytes = std::size_t{512} << 20, blocks = 8192;
  device_ceilings out;
  out.gather_values = gather_values;
  float *from = nullptr, *to = nullptr;
  if (cudaMalloc(&from, bytes) == cudaSuccess && cudaMalloc(&to, bytes) == cudaSuccess) {
    cudaMemset(from, 0, bytes);
    const double copied =
        seconds_of([&] { simt::launch(&copy, blocks, threads, nullptr, from, to, bytes / 16); });
    out.copy_bytes_s = per_second(2.0 * static_cast<double>(bytes), copied);
    const double multiplied =
        seconds_of([&] { simt::launch(&multiply, blocks, threads, nullptr, to, 0.999f); });
    out.operations_s = per_second(2.0 * blocks * threads * multiplications * chains, multiplied);
    auto* const at = reinterpret_cast<std::uint32_t*>(to);
    constexpr std::size_t count = bytes / 4;
    simt::launch(&draw, blocks, threads, nullptr, at, count, gather_values);
    const double gathered = seconds_of([&] {
      simt::launch(&gather, blocks / 4, threads, nullptr, from, gather_values, at, count, from);
    });
    out.gathers_s = per_second(static_cast<double>(count), gathered);
  }
  cudaFree(from);
  cudaFree(to);
  return out;
}

} // namespace warp::bench
