#pragma once

#include "actors/child_spec.hpp"
#include "actors/service_slot.hpp"

#include <chrono>
#include <memory>

namespace warp::actors {

/// Puts a service under a supervisor: a detached actor that starts it, waits, and stops it when
/// told to end. It ends with an error when the service says that it has failed; its successor stops
/// and starts the service. A first start that fails is answered through slot->first_start() and not
/// tried again.
child_spec service_actor(std::shared_ptr<service_slot> slot,
                         std::chrono::milliseconds stop_bound = std::chrono::seconds{10});

} // namespace warp::actors
