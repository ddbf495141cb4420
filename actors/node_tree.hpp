#pragma once

#include "actors/node.hpp"
#include "actors/supervisor.hpp"
#include "actors/tree.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace warp::actors {

struct node_tree_options {
  restart_intensity intensity;
  bool physics = true;
  std::function<void(const std::string& cause)> on_give_up;
};

/// The supervision tree of one node, from the root down:
///
///     universe                one_for_one
///     ├── storage             one_for_one: wal-writer-0.., segment-maker, watch-pump, shard-0..,
///     │                       checkpointer, upkeep
///     ├── physics             one_for_one: observer, gpu-manager-0..
///     └── front               one_for_one: the services, in the order they were added
///
/// Storage is ready before the others start, and stops after them; within it the log writers stop
/// last, since a checkpoint under way needs them.
supervisor_spec node_tree(node& n, const node_tree_options& options);

inline constexpr std::string_view root_path = "universe";
/// The supervisor that takes services.
inline constexpr std::string_view front_path = "universe/front";

} // namespace warp::actors
