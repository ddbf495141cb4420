#include "actors/supervisor.hpp"

#include "actors/message_types.hpp"
#include "actors/restart_budget.hpp"
#include "actors/status_error.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <spdlog/spdlog.h>

namespace warp::actors {

namespace {

/// After a kill, how long until a child that still has not ended is given up.
constexpr std::chrono::seconds kill_bound{1};

constexpr auto none = std::numeric_limits<std::size_t>::max();

/// Everything a supervisor does, as one state machine: events change children, advance() does what
/// follows from it.
///
///   idle --start--> starting --ready--> running --failure--> idle or waiting (delay) --> starting
///   ...
///                                          |  \--normal end--> done
///                                          +--stop--> stopping --ended--> idle (rest_for_one) or
///                                          done
class supervisor : public std::enable_shared_from_this<supervisor> {
public:
  supervisor(caf::event_based_actor* self, child_context context, supervisor_spec spec)
      : self_(self), context_(std::move(context)), spec_(std::move(spec)),
        budget_(spec_.intensity) {
    for (auto& child : spec_.children) children_.push_back({.spec = std::move(child)});
  }

  caf::behavior behavior() {
    self_->set_down_handler([me = shared_from_this()](caf::down_msg& m) { me->on_down(m); });
    self_->set_exit_handler([me = shared_from_this()](caf::exit_msg&) { me->on_exit(); });
    self_->attach_functor([alive = alive_] { end_all(*alive); });
    if (!context_.parent) // a root: others are entered by their supervisors
      spec_.registry->attach(context_.path, {true, false, self_->address(), {}},
                             node_state::starting);
    advance();
    auto me = shared_from_this();
    return {
        [me](ready_atom) { me->on_ready(); },
        [me](restart_atom, std::uint64_t child, std::uint64_t life) { me->on_delay(child, life); },
        [me](overdue_atom, std::uint64_t child, std::uint64_t life) {
          me->on_overdue(child, life);
        },
        [me](add_child_atom, const child_spec_ptr& spec) { me->add(*spec); },
    };
  }

private:
  enum class phase : std::uint8_t { idle, starting, running, waiting, stopping, killed, done };

  struct child {
    child_spec spec;
    caf::actor handle; ///< null: not alive
    phase at = phase::idle;
    std::uint64_t life = 0; ///< counts incarnations, so that late timers find nothing
  };

  struct living {
    caf::actor_addr address;
    std::function<void()> interrupt;
  };
  using living_children = std::map<std::size_t, living>;

  /// What is left of its children when a supervisor ends: some only if it was killed. CAF's links
  /// would do it too, but they also end the supervisor when a child is killed.
  static void end_all(const living_children& alive) {
    for (auto& [i, who] : alive) {
      if (auto child = caf::actor_cast<caf::actor>(who.address))
        caf::anon_send<caf::message_priority::high>(
            child, caf::exit_msg{who.address, caf::exit_reason::kill});
      if (who.interrupt) who.interrupt();
    }
  }

  [[nodiscard]] std::string path_of(const child& c) const {
    return context_.path + "/" + c.spec.name;
  }

  void forget(std::size_t i) {
    children_[i].handle = {};
    alive_->erase(i);
  }

  void show(const child& c, node_state state) { spec_.registry->set_state(path_of(c), state); }

  [[nodiscard]] bool stopping_all() const { return ending_; }

  // -- what follows from the state
  // --------------------------------------------------------------------------------------

  void advance() {
    if (stop_from_ != none) {
      for (auto i = children_.size(); i-- > stop_from_;) {
        auto& c = children_[i];
        if (!c.handle) {
          if (c.at == phase::waiting) c.at = phase::idle;
          continue;
        }
        if (c.at != phase::stopping && c.at != phase::killed) stop(i);
        return; // one at a time, the last first
      }
      stop_from_ = none;
      if (stopping_all()) return finish();
    }
    for (std::size_t i = 0; i < children_.size(); ++i) {
      auto& c = children_[i];
      if (c.at == phase::idle) start(i);
      if (c.spec.wait_ready && (c.at == phase::starting || c.at == phase::waiting)) return;
    }
    if (announced_) return;
    announced_ = true;
    spec_.registry->set_state(context_.path, node_state::running);
    context_.ready(self_);
  }

  void start(std::size_t i) {
    auto& c = children_[i];
    ++c.life;
    child_context context{path_of(c), self_->address()};
    auto body = [spec = c.spec, context](caf::event_based_actor* self) -> caf::behavior {
      self->set_exception_handler(
          [](caf::scheduled_actor*, std::exception_ptr& e) { return to_error(e); });
      return spec.body(self, context);
    };
    const bool detached = c.spec.kind == child_kind::detached;
    const auto state = c.spec.wait_ready ? node_state::starting : node_state::running;
    c.at = c.spec.wait_ready ? phase::starting : phase::running;
    // In the tree before it lives, since a detached child runs at once; with its address after.
    tree_registry::member entry{c.spec.supervisor, detached, {}, c.spec.interrupt};
    spec_.registry->attach(path_of(c), entry, state);
    c.handle = detached ? self_->spawn<caf::monitored + caf::detached>(body)
                        : self_->spawn<caf::monitored>(body);
    entry.address = c.handle.address();
    spec_.registry->attach(path_of(c), std::move(entry), state);
    (*alive_)[i] = {c.handle.address(), c.spec.interrupt};
  }

  void stop(std::size_t i) {
    auto& c = children_[i];
    c.at = phase::stopping;
    show(c, node_state::stopping);
    self_->send_exit(c.handle, caf::exit_reason::user_shutdown);
    if (c.spec.interrupt) c.spec.interrupt();
    self_->delayed_send(self_, c.spec.stop_bound, overdue_atom_v, std::uint64_t{i}, c.life);
  }

  void finish() {
    spec_.registry->set_state(context_.path,
                              reason_is_failure_ ? node_state::failed : node_state::stopped);
    if (reason_is_failure_ && spec_.on_give_up) spec_.on_give_up(cause_);
    self_->quit(reason_is_failure_ ? to_error(op_status{op_code::unavailable, cause_})
                                   : caf::error{caf::exit_reason::user_shutdown});
  }

  // -- events
  // -----------------------------------------------------------------------------------------------------------

  void on_ready() {
    auto sender = self_->current_sender();
    for (auto& c : children_) {
      if (!c.handle || sender != caf::actor_cast<caf::strong_actor_ptr>(c.handle)) continue;
      if (c.at != phase::starting) return;
      c.at = phase::running;
      show(c, node_state::running);
      return advance();
    }
  }

  void on_down(const caf::down_msg& m) {
    auto it = std::ranges::find_if(
        children_, [&](const child& c) { return c.handle && c.handle.address() == m.source; });
    if (it == children_.end()) return;
    const auto i = static_cast<std::size_t>(it - children_.begin());
    auto& c = *it;
    const bool asked = c.at == phase::stopping || c.at == phase::killed;
    forget(i);
    if (stopping_all() || asked || (stop_from_ != none && i >= stop_from_)) {
      c.at = stopping_all() ? phase::done : phase::idle;
      show(c, node_state::stopped);
    } else if (!m.reason) {
      c.at = phase::done;
      show(c, node_state::stopped);
    } else {
      on_failure(i, cause_text(m.reason));
    }
    advance();
  }

  void on_failure(std::size_t i, const std::string& cause) {
    auto& c = children_[i];
    const auto path = path_of(c);
    if (!budget_.spend(self_->clock().now())) {
      show(c, node_state::failed);
      cause_ = fmt::format("{} gave up: more than {} restarts in {} s; the last was {} ({})",
                           context_.path, spec_.intensity.restarts_max, spec_.intensity.window_s,
                           path, cause);
      spdlog::error("{}", cause_);
      c.at = phase::done;
      return end(true);
    }
    const bool at_once = c.spec.restart_delay.count() == 0;
    c.at = at_once ? phase::idle : phase::waiting;
    // Whoever sees the restart counted must not take the life before it for the next one.
    show(c, at_once ? node_state::starting : node_state::waiting);
    spec_.registry->count_restart(path, cause);
    spdlog::warn("{} ended ({}); restarting it", path, cause);
    if (spec_.strategy == restart_strategy::rest_for_one) stop_from_ = std::min(stop_from_, i + 1);
    if (at_once) return;
    self_->delayed_send(self_, c.spec.restart_delay, restart_atom_v, std::uint64_t{i}, c.life);
  }

  void on_delay(std::size_t i, std::uint64_t life) {
    auto& c = children_[i];
    if (c.life != life || c.at != phase::waiting) return;
    c.at = phase::idle;
    advance();
  }

  void on_overdue(std::size_t i, std::uint64_t life) {
    auto& c = children_[i];
    if (c.life != life || !c.handle) return;
    if (c.at == phase::stopping) {
      spdlog::warn("{} did not end within {} ms; killing it", path_of(c),
                   c.spec.stop_bound.count());
      c.at = phase::killed;
      self_->send_exit(c.handle, caf::exit_reason::kill);
      if (c.spec.interrupt) c.spec.interrupt();
      self_->delayed_send(self_, kill_bound, overdue_atom_v, std::uint64_t{i}, life);
    } else if (c.at == phase::killed) {
      spdlog::error("{} does not end; going on without it", path_of(c));
      self_->demonitor(c.handle.address());
      forget(i);
      c.at = stopping_all() ? phase::done : phase::idle;
      show(c, node_state::abandoned);
      advance();
    }
  }

  void on_exit() {
    end(false);
    advance();
  }

  void end(bool failure) {
    if (ending_) return;
    ending_ = true;
    reason_is_failure_ = failure;
    spec_.registry->set_state(context_.path, node_state::stopping);
    stop_from_ = 0;
  }

  void add(const child_spec& spec) {
    if (ending_) return;
    auto known = [&](const child& c) { return c.spec.name == spec.name; };
    auto it = std::ranges::find_if(children_, known);
    if (it == children_.end()) {
      children_.push_back({.spec = spec});
    } else if (it->at == phase::done) { // the name is free again
      it->spec = spec;
      it->at = phase::idle;
    }
    advance();
  }

  caf::event_based_actor* self_;
  child_context context_;
  supervisor_spec spec_;
  restart_budget budget_;
  std::vector<child> children_;
  std::shared_ptr<living_children> alive_ = std::make_shared<living_children>();
  std::size_t stop_from_ = none; ///< children from here on are being stopped, the last first
  bool ending_ = false;
  bool reason_is_failure_ = false;
  bool announced_ = false;
  std::string cause_;
};

} // namespace

void child_context::ready(caf::event_based_actor* self) const {
  if (auto to = caf::actor_cast<caf::actor>(parent)) self->send(to, ready_atom_v);
}

caf::behavior supervise(caf::event_based_actor* self, const child_context& context,
                        supervisor_spec spec) {
  return std::make_shared<supervisor>(self, context, std::move(spec))->behavior();
}

child_spec supervisor_child(std::string name, std::function<supervisor_spec()> make) {
  return {
      .name = std::move(name),
      .body =
          [make = std::move(make)](caf::event_based_actor* self, const child_context& context) {
            return supervise(self, context, make());
          },
      .supervisor = true,
      .wait_ready = true,
      .stop_bound = std::chrono::seconds{60}, // its children have bounds of their own
  };
}

} // namespace warp::actors
