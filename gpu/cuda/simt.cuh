#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

// What the kernels of this folder are written in: a few words for the threads of a block, which
// mean the device's own instructions to a CUDA compiler. To any other compiler they are calls to
// whoever runs the kernels there (simt::machine below): the tests run every kernel on the CPU, a
// fiber a thread, and compare with the judge. So this header and all .cuh files compile without
// CUDA.
//
// A team is 32 threads side by side that run in step; what all of its lanes must call together says
// so. A kernel's threads never return while others of the block wait.

// WARP_KERNEL(threads) or WARP_KERNEL(threads, blocks): threads of a block, and how many blocks a
// multiprocessor should have room for, which bounds the registers.
#if defined(__CUDACC__)
#define WARP_ON_DEVICE __device__ __forceinline__
#define WARP_ON_BOTH __host__ __device__
#define WARP_KERNEL(...) static __global__ void __launch_bounds__(__VA_ARGS__)
#define WARP_SHARED __shared__
#define WARP_CONSTANT static __device__ __constant__ const
#else
#define WARP_ON_DEVICE inline
#define WARP_ON_BOTH
#define WARP_KERNEL(...) inline void
#define WARP_SHARED static
#define WARP_CONSTANT inline constexpr
#endif

namespace warp::gpu {

/// A queue of the device in which work is done in order; owned by the runtime (device_runtime.hpp).
using device_stream = void*;

inline constexpr unsigned team_lanes = 32;

} // namespace warp::gpu

namespace warp::gpu::simt {

#if !defined(__CUDACC__)

/// Runs kernels where there is no CUDA compiler: whoever links kernels so defines it.
struct machine {
  unsigned thread = 0, block = 0, threads = 0, blocks = 0; ///< of the thread that is running

  /// Calls body(context) for every thread of every block.
  static void run(unsigned blocks, unsigned threads, void (*body)(void*), void* context);
  /// The thread that is running.
  static const machine& here() noexcept;
  /// Returns when all threads of the block have called it.
  static void meet_block() noexcept;
  /// The same for a team; each lane gives a number and gets those of all 32, valid until its next
  /// call.
  static const std::uint64_t* meet_team(std::uint64_t given) noexcept;
};

#endif

WARP_ON_DEVICE unsigned thread() noexcept {
#if defined(__CUDACC__)
  return threadIdx.x;
#else
  return machine::here().thread;
#endif
}
WARP_ON_DEVICE unsigned block() noexcept {
#if defined(__CUDACC__)
  return blockIdx.x;
#else
  return machine::here().block;
#endif
}
/// Threads of a block.
WARP_ON_DEVICE unsigned threads() noexcept {
#if defined(__CUDACC__)
  return blockDim.x;
#else
  return machine::here().threads;
#endif
}
/// Blocks of the grid.
WARP_ON_DEVICE unsigned blocks() noexcept {
#if defined(__CUDACC__)
  return gridDim.x;
#else
  return machine::here().blocks;
#endif
}
/// Number of this thread among all of the grid, and how many there are.
WARP_ON_DEVICE std::size_t thread_of_grid() noexcept {
  return std::size_t{block()} * threads() + thread();
}
WARP_ON_DEVICE std::size_t threads_of_grid() noexcept {
  return std::size_t{blocks()} * threads();
}
WARP_ON_DEVICE unsigned lane() noexcept {
  return thread() % team_lanes;
}

/// All threads of the block together: what they wrote to shared memory is seen by all.
WARP_ON_DEVICE void sync_block() noexcept {
#if defined(__CUDACC__)
  __syncthreads();
#else
  machine::meet_block();
#endif
}

/// All lanes of a team together, with values of 4 or 8 bytes: that of another lane.
template <class T>
WARP_ON_DEVICE T shuffle(T v, unsigned from) noexcept {
#if defined(__CUDACC__)
  return __shfl_sync(0xffffffffu, v, from);
#else
  std::uint64_t given = 0;
  std::memcpy(&given, &v, sizeof v);
  T out;
  std::memcpy(&out, machine::meet_team(given) + from % team_lanes, sizeof out);
  return out;
#endif
}
template <class T>
WARP_ON_DEVICE T shuffle_xor(T v, unsigned distance) noexcept {
#if defined(__CUDACC__)
  return __shfl_xor_sync(0xffffffffu, v, distance);
#else
  return shuffle(v, lane() ^ distance);
#endif
}
/// That of the lane `by` below; its own where there is none.
template <class T>
WARP_ON_DEVICE T shuffle_up(T v, unsigned by) noexcept {
#if defined(__CUDACC__)
  return __shfl_up_sync(0xffffffffu, v, by);
#else
  return shuffle(v, lane() < by ? lane() : lane() - by);
#endif
}
/// All lanes of a team together: bit i is lane i's answer.
WARP_ON_DEVICE std::uint32_t ballot(bool answer) noexcept {
#if defined(__CUDACC__)
  return __ballot_sync(0xffffffffu, answer);
#else
  const auto* const all = machine::meet_team(answer);
  std::uint32_t bits = 0;
  for (unsigned i = 0; i < team_lanes; ++i) bits |= static_cast<std::uint32_t>(all[i] & 1) << i;
  return bits;
#endif
}

/// All lanes of a team together: the sum over groups of `lanes` neighbours (a power of two), the
/// same in each lane of a group.
template <class T>
WARP_ON_DEVICE T team_sum(T v, unsigned lanes = team_lanes) noexcept {
  for (unsigned d = lanes / 2; d > 0; d /= 2) v += shuffle_xor(v, d);
  return v;
}
/// All lanes of a team together: the sum up to and with this lane.
WARP_ON_DEVICE std::uint32_t team_running_sum(std::uint32_t v) noexcept {
  for (unsigned d = 1; d < team_lanes; d *= 2) {
    const auto below = shuffle_up(v, d);
    if (lane() >= d) v += below;
  }
  return v;
}

WARP_ON_DEVICE unsigned count_of(std::uint32_t bits) noexcept {
#if defined(__CUDACC__)
  return static_cast<unsigned>(__popc(bits));
#else
  return static_cast<unsigned>(__builtin_popcount(bits));
#endif
}
/// Place of the lowest bit that is set; bits != 0.
WARP_ON_DEVICE unsigned lowest_of(std::uint32_t bits) noexcept {
#if defined(__CUDACC__)
  return static_cast<unsigned>(__ffs(static_cast<int>(bits))) - 1;
#else
  return static_cast<unsigned>(__builtin_ctz(bits));
#endif
}
WARP_ON_DEVICE std::uint64_t high_product(std::uint64_t a, std::uint64_t b) noexcept {
#if defined(__CUDACC__)
  return __umul64hi(a, b);
#else
  __extension__ using wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<wide>(a) * b >> 64);
#endif
}
/// a / b within two units in the last place, b in [2^-126, 2^126].
WARP_ON_DEVICE float quick_quotient(float a, float b) noexcept {
#if defined(__CUDACC__)
  return __fdividef(a, b);
#else
  return a / b;
#endif
}
template <class To, class From>
WARP_ON_DEVICE To bits_as(From v) noexcept {
  static_assert(sizeof(To) == sizeof(From));
  To out;
  memcpy(&out, &v, sizeof out);
  return out;
}

/// Puts `to` there if `expected` is there; what was there.
WARP_ON_DEVICE std::uint32_t exchange_if(std::uint32_t* at, std::uint32_t expected,
                                         std::uint32_t to) noexcept {
#if defined(__CUDACC__)
  return atomicCAS(at, expected, to);
#else
  const auto was = *at;
  if (was == expected) *at = to;
  return was;
#endif
}
WARP_ON_DEVICE void raise_to(std::uint64_t* at, std::uint64_t value) noexcept {
#if defined(__CUDACC__)
  atomicMax(reinterpret_cast<unsigned long long*>(at), static_cast<unsigned long long>(value));
#else
  if (*at < value) *at = value;
#endif
}

/// Four floats that are read or written at once; their address is a multiple of 16.
struct quad {
  float at[4];
};
/// What is read once: it need not stay in the caches.
WARP_ON_DEVICE quad read_quad(const float* from) noexcept {
#if defined(__CUDACC__)
  const float4 v = __ldcs(reinterpret_cast<const float4*>(from));
  return {{v.x, v.y, v.z, v.w}};
#else
  quad v;
  std::memcpy(&v, from, sizeof v);
  return v;
#endif
}
/// What is read again, by this thread or others.
WARP_ON_DEVICE quad reread_quad(const float* from) noexcept {
#if defined(__CUDACC__)
  const float4 v = __ldg(reinterpret_cast<const float4*>(from));
  return {{v.x, v.y, v.z, v.w}};
#else
  return read_quad(from);
#endif
}
WARP_ON_DEVICE void write_quad(float* to, quad v) noexcept {
#if defined(__CUDACC__)
  *reinterpret_cast<float4*>(to) = make_float4(v.at[0], v.at[1], v.at[2], v.at[3]);
#else
  std::memcpy(to, &v, sizeof v);
#endif
}
template <class T>
WARP_ON_DEVICE T read_once(const T* from) noexcept {
#if defined(__CUDACC__)
  return __ldcs(from);
#else
  return *from;
#endif
}
template <class T>
WARP_ON_DEVICE T reread(const T* from) noexcept {
#if defined(__CUDACC__)
  return __ldg(from);
#else
  return *from;
#endif
}
/// Brings a place nearer that will be read soon.
WARP_ON_DEVICE void fetch_ahead(const void* from) noexcept {
#if defined(__CUDACC__)
  asm volatile("prefetch.global.L2 [%0];" ::"l"(from));
#else
  static_cast<void>(from);
#endif
}

/// Starts a kernel. No blocks: nothing. Threads a multiple of a team.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), std::size_t blocks, unsigned threads,
            device_stream stream, const Arguments&... arguments) {
  if (blocks == 0) return;
#if defined(__CUDACC__)
  kernel<<<static_cast<unsigned>(blocks), threads, 0, static_cast<cudaStream_t>(stream)>>>(
      arguments...);
#else
  static_cast<void>(stream);
  auto call = [&] { kernel(arguments...); };
  machine::run(
      static_cast<unsigned>(blocks), threads, [](void* c) { (*static_cast<decltype(call)*>(c))(); },
      &call);
#endif
}

/// Blocks for so many items, `items_a_block` each, at most `most`: kernels go round.
inline std::size_t blocks_for(std::size_t items, std::size_t items_a_block,
                              std::size_t most = 1 << 16) noexcept {
  const auto blocks = items / items_a_block + (items % items_a_block != 0);
  return blocks < most ? blocks : most;
}

} // namespace warp::gpu::simt
