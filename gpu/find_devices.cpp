#include "gpu/find_devices.hpp"

namespace warp::gpu {

device_list find_devices() {
  return {{}, "no device: this build has no device backend"};
}

} // namespace warp::gpu
