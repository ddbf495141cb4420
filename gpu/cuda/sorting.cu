#include "gpu/cuda/sorting.cuh"

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include <cuda_runtime.h>

namespace warp::gpu {

std::size_t sort_room(std::size_t count) {
  std::size_t room = 0;
  const auto error = cub::DeviceRadixSort::SortKeysDescending(
      nullptr, room, static_cast<const std::uint64_t*>(nullptr),
      static_cast<std::uint64_t*>(nullptr), count);
  return error == cudaSuccess ? room : SIZE_MAX;
}

// What these calls return is also the stream's error, which its wait reports.
void sort_keys(const std::uint64_t* keys, std::uint64_t* sorted, std::size_t count, void* scratch,
               std::size_t room, device_stream stream) {
  static_cast<void>(cub::DeviceRadixSort::SortKeysDescending(
      scratch, room, keys, sorted, count, 0, 64, static_cast<cudaStream_t>(stream)));
}

std::size_t scan_room(std::size_t count) {
  std::size_t room = 0;
  const auto error =
      cub::DeviceScan::ExclusiveSum(nullptr, room, static_cast<const std::uint32_t*>(nullptr),
                                    static_cast<std::uint32_t*>(nullptr), count);
  return error == cudaSuccess ? room : SIZE_MAX;
}

void scan_values(const std::uint32_t* values, std::uint32_t* before, std::size_t count,
                 void* scratch, std::size_t room, device_stream stream) {
  static_cast<void>(cub::DeviceScan::ExclusiveSum(scratch, room, values, before, count,
                                                  static_cast<cudaStream_t>(stream)));
}

} // namespace warp::gpu
