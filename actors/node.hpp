#pragma once

#include "actors/backup_gate.hpp"
#include "actors/change_bell.hpp"
#include "actors/checkpoint_gate.hpp"
#include "actors/compute_manager.hpp"
#include "actors/live_physics.hpp"
#include "actors/scrub.hpp"
#include "actors/service_slot.hpp"
#include "actors/stream_lease.hpp"
#include "actors/tree_registry.hpp"
#include "storage/engine.hpp"
#include "storage/segment_maker.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace warp::actors {

/// What the actors of one node borrow and no restart may lose: the engine, the locks beside it,
/// what was counted. Owned by the universe; outlives every actor.
struct node {
  explicit node(std::unique_ptr<storage::engine> opened)
      : engine(std::move(opened)), registry(std::make_shared<tree_registry>()),
        checkpoints(*engine), backups(*engine, job_changes), sweep_again(engine->shard_count()) {
    for (std::uint32_t i = 0; i < engine->stream_count(); ++i)
      streams.push_back(std::make_unique<stream_lease>(*engine, i));
    if (streams.empty()) return;
    segments = std::make_unique<storage::segment_maker>(*engine);
    scrubs = std::make_unique<scrub>(*engine, job_changes);
  }

  std::unique_ptr<storage::engine> engine;
  std::shared_ptr<tree_registry> registry;
  change_bell job_changes; ///< a backup or a scrub has progressed or ended
  std::vector<std::unique_ptr<stream_lease>> streams;
  std::unique_ptr<storage::segment_maker> segments; ///< null in memory only
  std::unique_ptr<scrub> scrubs;                    ///< null in memory only
  checkpoint_gate checkpoints;
  backup_gate backups;
  // Set by the universe before anything runs
  std::unique_ptr<compute_manager> compute;
  std::unique_ptr<live_physics> physics; ///< borrows compute
  /// Per shard: the last sweep found something, so the next one should not wait for its turn.
  std::vector<std::atomic<bool>> sweep_again;
  service_list services;

  /// Messages that actors have handled: what an idle node does shows here.
  std::atomic<std::uint64_t> writer_turns{0}, upkeep_turns{0}, upkeep_orders{0};
};

} // namespace warp::actors
