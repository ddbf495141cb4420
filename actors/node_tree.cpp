#include "actors/node_tree.hpp"

#include "actors/backup_making.hpp"
#include "actors/checkpointer.hpp"
#include "actors/computing.hpp"
#include "actors/observer.hpp"
#include "actors/scrubbing.hpp"
#include "actors/segment_making.hpp"
#include "actors/service_actor.hpp"
#include "actors/shard_life.hpp"
#include "actors/upkeep.hpp"
#include "actors/wal_writer.hpp"
#include "actors/watch_pump.hpp"

namespace warp::actors {

namespace {

std::vector<child_spec> storage_children(node& n) {
  std::vector<child_spec> children;
  for (std::uint32_t i = 0; i < n.streams.size(); ++i) children.push_back(wal_writer(n, i));
  if (n.segments) children.push_back(segment_making(n));
  children.push_back(watch_pump(n));
  for (std::uint32_t i = 0; i < n.engine->shard_count(); ++i)
    children.push_back(shard_life(n, shard_id{i}));
  children.push_back(checkpointer(n));
  if (n.segments) children.push_back(backup_making(n));
  children.push_back(upkeep(n));
  if (n.scrubs) children.push_back(scrubbing(n));
  return children;
}

std::vector<child_spec> physics_children(node& n) {
  std::vector<child_spec> children{observer(n)};
  const auto& settings = n.compute->settings();
  if (settings.mode != compute_mode::off)
    for (std::uint32_t i = 0; i < settings.workers; ++i) children.push_back(computing(n, i));
  return children;
}

std::vector<child_spec> front_children(node& n) {
  std::vector<child_spec> children;
  for (auto& slot : n.services.all()) children.push_back(service_actor(slot));
  return children;
}

} // namespace

supervisor_spec node_tree(node& n, const node_tree_options& options) {
  auto branch = [&n, intensity = options.intensity](std::string name, auto children) {
    return supervisor_child(std::move(name), [&n, intensity, children] {
      return supervisor_spec{
          .intensity = intensity, .children = children(n), .registry = n.registry};
    });
  };
  supervisor_spec root{
      .intensity = options.intensity, .registry = n.registry, .on_give_up = options.on_give_up};
  root.children.push_back(branch("storage", storage_children));
  if (options.physics) root.children.push_back(branch("physics", physics_children));
  root.children.push_back(branch("front", front_children));
  return root;
}

} // namespace warp::actors
