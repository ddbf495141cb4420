#pragma once

#include "gpu/cuda/simt.cuh"

namespace warp::gpu {

// Sorting and running sums over the whole device: the toolkit's own (CUB).

/// Bytes of scratch for so many; SIZE_MAX where CUB can't say.
[[nodiscard]] std::size_t sort_room(std::size_t count);
/// Greatest first.
void sort_keys(const std::uint64_t* keys, std::uint64_t* sorted, std::size_t count, void* scratch,
               std::size_t room, device_stream stream);
[[nodiscard]] std::size_t scan_room(std::size_t count);
/// before[i] = sum of values[0 .. i).
void scan_values(const std::uint32_t* values, std::uint32_t* before, std::size_t count,
                 void* scratch, std::size_t room, device_stream stream);

} // namespace warp::gpu
