#include "actors/universe.hpp"

#include "actors/message_types.hpp"
#include "actors/metric_family.hpp"
#include "actors/node_tree.hpp"
#include "actors/service_actor.hpp"
#include "actors/status_error.hpp"
#include "actors/universe_state.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <ranges>
#include <thread>

namespace warp {

namespace {

constexpr std::uint32_t scheduler_threads_default = 2; ///< actors carry control messages only
constexpr std::chrono::seconds tree_start_bound{60};
constexpr std::chrono::seconds service_start_bound{60};
constexpr std::chrono::seconds service_end_bound{5};
constexpr std::chrono::seconds destructor_bound{5};
constexpr int fatal_exit_code = 70; ///< EX_SOFTWARE: an internal error

std::unique_ptr<caf::actor_system_config> make_config(const universe_options& options) {
  auto config = std::make_unique<caf::actor_system_config>();
  config->add_message_types<caf::id_block::warp_actors>();
  actors::register_errors(*config);
  // `sharing` wakes an idle worker within 50 us; CAF's default policy sleeps up to 10 ms
  config->set("scheduler.policy", caf::atom("sharing"));
  const auto threads =
      options.scheduler_threads != 0 ? options.scheduler_threads : scheduler_threads_default;
  config->set("scheduler.max-threads", static_cast<std::uint64_t>(threads));
  config->set("scheduler.max-throughput", std::uint64_t{100}); // no actor keeps a worker for itself
  return config;
}

/// Takes a service that never started out of the list and, once its actor has ended, out of the
/// tree: its name is free again.
void forget_service(actors::node& n, const std::shared_ptr<actors::service_slot>& slot) {
  n.services.remove(slot);
  const auto path = std::string{actors::front_path} + "/" + slot->get().name();
  const auto ended = [&](const std::vector<actors::tree_node>& nodes) {
    auto it = std::ranges::find(nodes, path, &actors::tree_node::path);
    return it == nodes.end() || it->state == actors::node_state::stopped;
  };
  if (n.registry->wait_until(std::chrono::steady_clock::now() + service_end_bound, ended))
    n.registry->remove(path);
}

void end_process(const std::string& cause) {
  spdlog::critical("{}; ending the process", cause);
  spdlog::default_logger()->flush();
  std::_Exit(fatal_exit_code);
}

} // namespace

// -- the state
// ------------------------------------------------------------------------------------------------------------

void universe::state::event::set() {
  std::lock_guard guard{mutex_};
  set_ = true;
  changed_.notify_all();
}

bool universe::state::event::is_set() const {
  std::lock_guard guard{mutex_};
  return set_;
}

void universe::state::event::wait() const {
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return set_; });
}

op_status universe::state::start() {
  config = make_config(options);
  actors::node_tree_options tree{
      .intensity = options.intensity,
      .physics = options.physics,
      .on_give_up = options.on_fatal ? options.on_fatal : end_process,
  };
  const std::string path{actors::root_path};
  // CAF 0.17 leaves a reference to its logger with every thread that makes a system or spawns from
  // outside, and the system's end waits for all of them: so neither the caller's thread nor any
  // other that lives on may be that one.
  std::thread{[&] {
    system = std::make_unique<caf::actor_system>(*config);
    root = system->spawn([this, tree, path](caf::event_based_actor* self) {
      self->attach_functor([ended = root_ended](const caf::error&) { ended->set(); });
      return actors::supervise(self, {.path = path}, actors::node_tree(node, tree));
    });
  }}.join();
  const auto up = node.registry->wait_until(
      std::chrono::steady_clock::now() + tree_start_bound,
      [&](const std::vector<actors::tree_node>& nodes) {
        return std::ranges::any_of(nodes, [&](const actors::tree_node& n) {
          return n.path == path && n.state == actors::node_state::running;
        });
      });
  if (up) return {};
  return {op_code::timed_out, "the supervision tree did not start within 60 s"};
}

op_status universe::state::shut_down(const stop_options& how,
                                     std::chrono::steady_clock::time_point deadline) {
  op_status first_failure;
  auto note = [&](op_status status) {
    if (first_failure.ok() && !status.ok()) first_failure = std::move(status);
  };
  node.backups.stop(); // the next one goes on where this one is given up
  // intake first, the last service first
  for (auto& slot : std::views::reverse(node.services.all())) slot->close(deadline);
  node.engine->refuse_writes();
  if (how.checkpoint && !node.engine->options().folder.empty())
    for (std::uint32_t i = 0; i < node.engine->shard_count(); ++i) {
      if (hurried() || std::chrono::steady_clock::now() >= deadline) {
        note({op_code::timed_out, "stopped before every shard had its checkpoint"});
        break;
      }
      note(node.checkpoints.run(shard_id{i}));
    }
  if (root) {
    caf::anon_send<caf::message_priority::high>(
        root, caf::exit_msg{root.address(), caf::exit_reason::user_shutdown});
    root_ended->wait();
    root = {};
  }
  system.reset(); // waits for every actor, so from here on nobody else drives a stream
  node.compute->close();
  node.physics->close();
  for (auto& stream : node.streams) stream->wait_free();
  note(node.engine->close());
  watches->stop();
  return first_failure;
}

std::uint64_t universe::state::now_ms() const noexcept {
  const auto* time = node.engine->options().time.get();
  return time ? time->now_ms() : storage::system_clock{}.now_ms();
}

bool universe::state::hurried() const {
  std::lock_guard guard{end->mutex};
  return end->hurries != 0;
}

// -- the universe
// ---------------------------------------------------------------------------------------------------------

op_result<std::unique_ptr<universe>> universe::open(universe_options options) {
  auto engine = storage::engine::open(options.engine);
  if (!engine) return engine.status();
  for (auto& warning : (*engine)->recovery().warnings) spdlog::warn("recovery: {}", warning);
  auto s = std::make_shared<state>(std::move(options), std::move(*engine));
  auto started = s->start();
  std::unique_ptr<universe> opened{new universe{std::move(s)}};
  if (!started.ok()) return started; // the destructor stops what has started
  return opened;
}

universe::universe(std::shared_ptr<state> s) : state_(std::move(s)) {}

universe::~universe() {
  {
    std::lock_guard guard{state_->end->mutex};
    if (state_->end->result) return; // whoever stopped it knows
  }
  if (auto status = stop({.bound = destructor_bound}); !status.ok())
    spdlog::error("stopping the universe: {}", status.to_string());
}

storage::engine& universe::engine() noexcept {
  return *state_->node.engine;
}

op_result<std::unique_ptr<universe_watch>> universe::watch(watch_options options,
                                                           watch_callback on_event) {
  if (state_->stopping()) return op_code::shutting_down;
  return state_->watches->add(engine(), std::move(options), std::move(on_event));
}

op_result<std::uint64_t> universe::order_backup(std::string folder) {
  auto& engine = *state_->node.engine;
  if (engine.options().folder.empty())
    return op_status{op_code::not_supported,
                     "a universe in memory only has no backups: use warp dump"};
  if (folder.empty()) folder = state_->options.backups.folder;
  if (folder.empty())
    return op_status{op_code::invalid_argument,
                     "name a folder for the backup: none is configured (backup.folder)"};
  return state_->node.backups.order(std::move(folder));
}

op_result<actors::backup_state> universe::backup(std::uint64_t ticket) const {
  return state_->node.backups.state(ticket);
}

std::shared_ptr<void> universe::on_job_change(std::function<void()> changed) {
  return state_->node.job_changes.listen(std::move(changed));
}

std::string universe::metrics() const {
  return actors::prometheus_text(state_->metrics.Collect());
}

std::vector<actors::tree_node> universe::tree() const {
  return state_->node.registry->snapshot();
}

op_status universe::chaos(std::string_view path) {
  if (path == actors::root_path)
    return {op_code::invalid_argument,
            "the root has no supervisor that would restart it: stop the server instead"};
  if (state_->node.registry->kill(path)) return {};
  return {op_code::not_found, fmt::format("no living actor '{}': see the tree for paths", path)};
}

op_status universe::add_service(std::shared_ptr<actors::service> service) {
  if (state_->stopping()) return op_code::shutting_down;
  auto slot = std::make_shared<actors::service_slot>(std::move(service));
  auto outcome = slot->first_start();
  auto& n = state_->node;
  if (!n.services.add(slot))
    return {op_code::already_exists,
            fmt::format("there is a service '{}' already", slot->get().name())};
  // When the front supervisor is restarting it finds the slot in the list instead.
  if (auto front = n.registry->find(actors::front_path))
    caf::anon_send(front, actors::add_child_atom_v,
                   std::make_shared<const actors::child_spec>(actors::service_actor(slot)));
  if (outcome.wait_for(service_start_bound) != std::future_status::ready) {
    n.services.remove(slot);
    slot->close(std::chrono::steady_clock::now());
    return {op_code::timed_out,
            fmt::format("service '{}' did not start within 60 s", slot->get().name())};
  }
  auto status = outcome.get();
  if (!status.ok()) forget_service(n, slot);
  return status;
}

op_status universe::stop(const stop_options& options) {
  const auto deadline = std::chrono::steady_clock::now() + options.bound;
  auto end = state_->end;
  std::unique_lock lock{end->mutex};
  const auto hurries = end->hurries;
  if (!end->begun) {
    end->begun = true;
    state_->stopping_ = true;
    // The thread keeps the state alive: if something is stuck, it waits there and nobody else does.
    std::thread{[s = state_, end, options, deadline]() mutable {
      auto result = s->shut_down(options, deadline);
      s.reset();
      std::lock_guard guard{end->mutex};
      end->result = std::move(result);
      end->changed.notify_all();
    }}.detach();
  }
  end->changed.wait_until(lock, deadline, [&] { return end->result || end->hurries != hurries; });
  if (end->result) return *end->result;
  return {op_code::timed_out,
          fmt::format("the stop goes on in the background: not over within {} ms",
                      options.bound.count())};
}

void universe::stop_now() noexcept {
  state_->node.engine->refuse_writes();
  std::lock_guard guard{state_->end->mutex};
  ++state_->end->hurries;
  state_->end->changed.notify_all();
}

} // namespace warp
