#pragma once

#include "actors/message_types.hpp"
#include "actors/status_error.hpp"
#include "actors/supervisor.hpp"

#include <caf/scheduler/test_coordinator.hpp>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>
#include <vector>

namespace warp::actors {

struct test_config : caf::actor_system_config {
  test_config() {
    add_message_types<caf::id_block::warp_actors>();
    register_errors(*this);
    set("scheduler.policy", caf::atom("testing"));
  }
};

/// A supervision tree on CAF's test scheduler: one thread, virtual time, nothing happens until the
/// test says so.
class actor_fixture {
public:
  actor_fixture() { spdlog::set_level(spdlog::level::off); }
  ~actor_fixture() {
    stop();
    // timers of actors that have ended hold references: let them pass
    scheduler.advance_time(std::chrono::hours{1});
    scheduler.run();
    spdlog::set_level(spdlog::level::info);
  }

  /// Spawns the root with this specification and runs until all is quiet.
  void start(supervisor_spec spec) { start_as("root", std::move(spec)); }
  void start_as(const std::string& path, supervisor_spec spec) {
    spec.registry = registry;
    if (!spec.on_give_up) spec.on_give_up = [this](const std::string& why) { gave_up = why; };
    root_keeper = system.spawn([spec = std::move(spec), path](caf::event_based_actor* self) {
      return supervise(self, {.path = path}, spec);
    });
    root = root_keeper.address();
    scheduler.run();
  }

  /// Tells the root to end.
  void stop() {
    if (auto handle = std::exchange(root_keeper, {}))
      caf::anon_send(handle, caf::exit_msg{handle.address(), caf::exit_reason::user_shutdown});
    scheduler.run();
  }

  /// A child that notes "+name" when it starts and "-name" when it is told to stop; it fails on
  /// "fail", ends on "end", throws on "throw".
  child_spec child(std::string name) {
    auto& notes = events;
    return {.name = name,
            .body = [name, &notes](caf::event_based_actor* self,
                                   const child_context& context) -> caf::behavior {
              notes.push_back("+" + name);
              self->set_exit_handler([self, name, &notes](caf::exit_msg& m) {
                notes.push_back("-" + name);
                self->quit(m.reason);
              });
              return {[self, context](const std::string& order) {
                if (order == "ready") context.ready(self);
                if (order == "end") self->quit();
                if (order == "throw") throw std::runtime_error("no more");
                if (order == "fail") self->quit(to_error({op_code::io_error, "the disk is gone"}));
              }};
            }};
  }

  void tell(std::string_view path, const std::string& order) {
    caf::anon_send(registry->find(path), order);
    scheduler.run();
  }
  void pass(std::chrono::milliseconds time) {
    scheduler.advance_time(time);
    scheduler.run();
  }
  [[nodiscard]] tree_node node(std::string_view path) const {
    for (auto& n : registry->snapshot())
      if (n.path == path) return n;
    return {};
  }
  /// What happened since the last call.
  std::vector<std::string> happened() { return std::exchange(events, {}); }

  std::vector<std::string> events;
  std::string gave_up;
  std::shared_ptr<tree_registry> registry = std::make_shared<tree_registry>();
  test_config config;
  caf::actor_system system{config};
  caf::scheduler::test_coordinator& scheduler =
      dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  caf::actor root_keeper; ///< nobody else refers to a root, and CAF ends what nobody refers to
  caf::actor_addr root;
};

} // namespace warp::actors
