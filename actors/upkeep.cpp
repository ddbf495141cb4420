#include "actors/upkeep.hpp"

#include "actors/checkpointer.hpp"
#include "actors/message_types.hpp"
#include "actors/shard_life.hpp"

#include <atomic>
#include <set>

namespace warp::actors {

namespace {

constexpr std::size_t checkpoints_ordered_max = 2; ///< one being written, one waiting behind it
constexpr std::uint64_t sweep_every_turns = 8;
constexpr std::uint32_t sweep_turns_max = 32; ///< of 256 buckets, per shard and order

/// Wakes upkeep before its turn when the log has become so long that writers may have to wait, or
/// has failed.
class log_watch final : public storage::round_listener {
public:
  log_watch(storage::engine& engine, caf::weak_actor_ptr upkeep)
      : engine_(engine), upkeep_(std::move(upkeep)) {
    engine_.add_round_listener(*this);
  }
  ~log_watch() override { engine_.remove_round_listener(*this); }

  void on_round() noexcept override {
    if ((!engine_.log_presses() && !engine_.log_failed()) || told_.exchange(true)) return;
    if (auto upkeep = upkeep_.lock())
      caf::anon_send(caf::actor_cast<caf::actor>(std::move(upkeep)), hurry_atom_v);
  }
  void on_answers() noexcept override {}
  void heard() noexcept { told_ = false; }

private:
  storage::engine& engine_;
  const caf::weak_actor_ptr upkeep_;
  std::atomic<bool> told_{false};
};

struct upkeep_state {
  upkeep_state(node& of, std::chrono::milliseconds turns, caf::event_based_actor* self)
      : n(of), interval(turns), log(*of.engine, caf::actor_cast<caf::weak_actor_ptr>(self)) {}

  node& n;
  std::chrono::milliseconds interval;
  std::uint64_t turn = 0;
  std::set<std::uint32_t> ordered; ///< shards whose checkpoint is on its way
  bool mending = false;            ///< a failed log is being mended
  log_watch log;
};

void order_sweeps(caf::event_based_actor* self, upkeep_state& s) {
  for (std::uint32_t i = 0; i < s.n.engine->shard_count(); ++i) {
    const bool its_turn = i % sweep_every_turns == s.turn % sweep_every_turns;
    if (!its_turn && !s.n.sweep_again[i].load(std::memory_order_relaxed)) continue;
    if (s.n.engine->stats(shard_id{i}).table.expiring_keys == 0) continue;
    if (auto shard = s.n.registry->find(shard_life_path(shard_id{i}))) {
      self->send(shard, sweep_atom_v, sweep_turns_max);
      s.n.upkeep_orders.fetch_add(1, std::memory_order_relaxed);
    }
  }
}

void order_mending(caf::event_based_actor* self, const std::shared_ptr<upkeep_state>& s) {
  if (s->mending || !s->n.engine->log_failed()) return;
  auto checkpointer = s->n.registry->find(checkpointer_path);
  if (!checkpointer) return;
  s->mending = true;
  s->n.upkeep_orders.fetch_add(1, std::memory_order_relaxed);
  self->request(checkpointer, caf::infinite, mend_atom_v)
      .then([s] { s->mending = false; }, [s](const caf::error&) { s->mending = false; });
}

void order_checkpoints(caf::event_based_actor* self, const std::shared_ptr<upkeep_state>& s) {
  if (s->ordered.size() >= checkpoints_ordered_max) return;
  for (auto id : s->n.engine->due_checkpoints()) {
    if (s->ordered.size() >= checkpoints_ordered_max) return;
    if (s->ordered.contains(id.value)) continue;
    auto shard = s->n.registry->find(shard_life_path(id));
    if (!shard) continue;
    s->ordered.insert(id.value);
    s->n.upkeep_orders.fetch_add(1, std::memory_order_relaxed);
    // A lost shard actor or checkpointer answers with an error, so an order never stays open.
    self->request(shard, caf::infinite, save_atom_v)
        .then(
            [self, s, id] {
              s->ordered.erase(id.value);
              order_checkpoints(self, s);
            },
            [s, id](const caf::error&) { s->ordered.erase(id.value); });
  }
}

} // namespace

child_spec upkeep(node& n, std::chrono::milliseconds interval) {
  return {
      .name = "upkeep",
      .body = [&n, interval](caf::event_based_actor* self, const child_context&) -> caf::behavior {
        auto state = std::make_shared<upkeep_state>(n, interval, self);
        self->delayed_send(self, interval, turn_atom_v);
        return {
            [self, state](turn_atom) {
              self->delayed_send(self, state->interval, turn_atom_v);
              ++state->turn;
              order_mending(self, state);
              order_sweeps(self, *state);
              order_checkpoints(self, state);
              state->n.upkeep_turns.fetch_add(1, std::memory_order_relaxed);
            },
            [self, state](hurry_atom) {
              state->log.heard();
              order_mending(self, state);
              order_checkpoints(self, state);
            },
        };
      },
  };
}

} // namespace warp::actors
