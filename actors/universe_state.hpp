#pragma once

#include "actors/metrics.hpp"
#include "actors/node.hpp"
#include "actors/universe.hpp"
#include "actors/watch_delivery.hpp"

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

namespace warp {

/// What is behind a universe. Shared with the thread that stops it, which may outlive the universe
/// when something is stuck: so nothing that an actor borrows ever goes before the actor.
struct universe::state {
  /// A fact that is waited for.
  class event {
  public:
    void set();
    [[nodiscard]] bool is_set() const;
    void wait() const;

  private:
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    bool set_ = false;
  };

  /// The end, seen from whoever waits for it.
  struct ending {
    std::mutex mutex;
    std::condition_variable changed;
    bool begun = false;
    std::uint64_t hurries = 0; ///< calls of stop_now: each ends the waits of that moment
    std::optional<op_status> result;
  };

  state(universe_options o, std::unique_ptr<storage::engine> engine)
      : options(std::move(o)), node(std::move(engine)) {
    node.backups.configure(options.backups);
    auto learning = options.learning;
    if (!options.physics) learning.tier = physics_tier::t0;
    auto computing = options.compute;
    if (!options.physics) computing.mode = actors::compute_mode::off;
    const auto& engine_options = node.engine->options();
    node.compute = std::make_unique<actors::compute_manager>(
        std::move(computing),
        engine_options.files ? *engine_options.files : storage::posix_file_system(),
        engine_options.folder);
    node.physics = std::make_unique<actors::live_physics>(*node.engine, std::move(learning),
                                                          node.compute.get());
  }

  /// Spawns the tree and waits until it is up.
  op_status start();
  /// All of a stop, on a thread of its own; returns when everything has ended.
  op_status shut_down(const stop_options& how, std::chrono::steady_clock::time_point deadline);

  [[nodiscard]] std::uint64_t now_ms() const noexcept;
  [[nodiscard]] bool stopping() const noexcept { return stopping_.load(); }
  [[nodiscard]] bool hurried() const;

  universe_options options;
  actors::node node;
  actors::node_metrics metrics{node};
  std::shared_ptr<actors::watch_delivery> watches = std::make_shared<actors::watch_delivery>();
  std::shared_ptr<ending> end = std::make_shared<ending>();
  std::atomic<bool> stopping_{false};
  std::shared_ptr<event> root_ended = std::make_shared<event>();
  std::unique_ptr<caf::actor_system_config> config;
  std::unique_ptr<caf::actor_system> system;
  /// Keeps the tree alive: CAF ends what nobody refers to. Dropped before the system.
  caf::actor root;
};

} // namespace warp
