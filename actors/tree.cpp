#include "actors/tree.hpp"

namespace warp::actors {

std::string_view to_string(node_state state) noexcept {
  switch (state) {
  case node_state::starting:
    return "starting";
  case node_state::running:
    return "running";
  case node_state::waiting:
    return "waiting";
  case node_state::stopping:
    return "stopping";
  case node_state::stopped:
    return "stopped";
  case node_state::failed:
    return "failed";
  case node_state::abandoned:
    return "abandoned";
  }
  return "unknown";
}

} // namespace warp::actors
