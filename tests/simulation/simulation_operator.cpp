#include "tests/simulation/simulation_run.hpp"

#include <algorithm>
#include <tuple>

namespace warp::testing {

using namespace cluster::replication;

namespace {
constexpr event_queue::time second = 1'000'000;
}

/// No listed boot lives, and none of the listed nodes that run may claim its seat: all copies are
/// damaged or were repaired, the nodes are gone, or at level replicated all have ended (R11).
bool simulation_run::waits_for_operator(std::size_t shard) const {
  const bool claims = world_->options.level == ack_level::durable;
  return std::ranges::none_of(world_->etcd[shard]->value().isr, [&](const member& m) {
    const auto& c = world_->nodes[m.node.value]->copy(shard);
    return c.is_up() && (c.machine().self() == m ||
                         (claims && !c.machine().incomplete() && !c.machine().repaired()));
  });
}

/// Looks after the shards as somebody would who knows which machines are gone for good.
void simulation_run::operate() {
  const auto patience = about_ == scenario::losses ? second : 3 * second;
  for (std::size_t s = 0; s < shards_; ++s) {
    if (!waits_for_operator(s)) {
      waiting_since_[s] = -1;
      continue;
    }
    if (waiting_since_[s] < 0) waiting_since_[s] = queue_.now();
    if (queue_.now() - waiting_since_[s] > patience) accept_loss(s);
  }
  after(300'000, [this] { operate(); });
}

/// The longest copy of those that run and are whole; where there is none, one that was damaged.
void simulation_run::accept_loss(std::size_t shard) {
  model_node* best = nullptr;
  const auto rank = [shard](const model_node& n) {
    const auto& machine = n.copy(shard).machine();
    const auto end = machine.log().last();
    return std::tuple{!machine.incomplete(), end.epoch, end.lsn};
  };
  for (auto& n : world_->nodes)
    if (n->is_up() && (best == nullptr || rank(*n) > rank(*best))) best = n.get();
  if (best == nullptr) return;
  if (best->copy(shard).machine().incomplete()) best->repair(shard);
  best->copy(shard).accept_loss();
}

/// Other nodes, or more, or fewer.
void simulation_run::place() {
  const auto shard = some_shard();
  auto& wanted = wanted_[shard];
  if (wanted.size() > 1 && random_.chance(0.3)) {
    wanted.erase(wanted.begin() + static_cast<std::ptrdiff_t>(random_.below(wanted.size())));
  } else {
    const node_id node{static_cast<std::uint32_t>(some_node())};
    const auto replaced = random_.below(wanted.size());
    if (std::ranges::find(wanted, node) != wanted.end()) return;
    if (wanted.size() < 3 && random_.chance(0.6))
      wanted.push_back(node);
    else
      wanted[replaced] = node;
  }
}

/// What placement wants is told again and again, and does not reach everybody each time.
void simulation_run::tell_wanted() {
  for (std::size_t s = 0; s < shards_; ++s)
    for (auto& n : world_->nodes)
      if (n->is_up() && random_.chance(0.8))
        n->run(n->life(), [this, s, &n] { n->copy(s).want(wanted_[s]); });
  after(400'000, [this] { tell_wanted(); });
}

} // namespace warp::testing
