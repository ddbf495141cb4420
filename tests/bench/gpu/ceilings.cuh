#pragma once

#include <cstddef>

namespace warp::bench {

/// What a device can do at most, measured on it: what a batch is held against.
struct device_ceilings {
  double copy_bytes_s = 0; ///< read and written, from its memory to its memory
  double operations_s = 0; ///< float32, a fused multiply-add is two
  double gathers_s = 0;    ///< of 4 bytes, from anywhere in a vector of so many values
  std::size_t gather_values = 0;
};

/// On the first device; all 0 if it fails. Takes about a second.
[[nodiscard]] device_ceilings measured_ceilings(std::size_t gather_values);

} // namespace warp::bench
