#include "tests/simulation/simulation_run.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::testing {

using namespace cluster::replication;

namespace {
constexpr event_queue::time second = 1'000'000;
}

/// What the scenario does when nobody gives it a cue.
void simulation_run::plot() {
  if (queue_.now() >= calm_from_ || about_ == scenario::mixed || !with(trouble::plots)) return;
  event_queue::time next = random_.between(300'000, 1'500'000);
  const auto shard = some_shard();
  const auto& now = world_->etcd[shard]->value();
  switch (about_) {
  case scenario::mixed:
    return;
  case scenario::usurpers:
    if (siege_.on) break;
    if (random_.chance(0.3)) { // somebody has to be added again
      const auto node = some_node();
      world_->nodes[node]->crash();
      start_later(node, second / 2);
    } else {
      besiege(now.primary.node.value, true, 0);
    }
    break;
  case scenario::hand_overs:
    world_->nodes[now.primary.node.value]->copy(shard).move_to(some_node(), random_.chance(0.6));
    next = random_.between(50'000, 600'000);
    break;
  case scenario::losses:
    lose_members();
    next = random_.between(2 * second, 5 * second);
    break;
  case scenario::placements:
    place();
    break;
  case scenario::rebuilds: {
    const auto node = some_node();
    if (world_->options.min_isr == 1 && random_.chance(0.4))
      world_->nodes[node]->copy(shard).damage();
    else if (random_.chance(0.2))
      world_->nodes[node]->crash(), start_later(node, second);
    else
      for (auto& n : world_->nodes)
        if (random_.chance(0.7)) n->copy(shard).take_checkpoint();
    next = random_.between(20'000, 400'000);
    break;
  }
  case scenario::laggards: {
    const auto node = some_node();
    const auto how_long = random_.between(200'000, 2'500'000);
    if (random_.chance(0.3)) {
      if (world_->options.min_isr == 1) world_->nodes[node]->copy(shard).damage();
    } else if (random_.chance(0.3)) {
      world_->nodes[node]->crash(), start_later(node, 2 * second);
    } else if (random_.chance(0.3)) {
      world_->nodes[node]->pause(how_long);
    } else {
      cut_off(node, true);
      after(how_long, [this, node] { cut_off(node, false); });
    }
    if (random_.chance(0.3))
      for (auto& n : world_->nodes) n->copy(shard).take_checkpoint();
    next = random_.between(300'000, 1'500'000);
    break;
  }
  }
  after(next, [this] { plot(); });
}

/// Writes that ask for no more than the primary's log, each behind the other: what is in flight and
/// what is kept for those who lag has only the machines' own bounds.
void simulation_run::flood() {
  if (queue_.now() >= calm_from_) return;
  const auto shard = some_shard();
  client_request r{.client = 900, .number = ++flooded_, .shard = shard, .call = register_call::put};
  r.key = "w" + std::to_string(shard);
  r.value = std::to_string(flooded_);
  r.weak = true;
  const auto node = world_->etcd[shard]->value().primary.node.value;
  network_->send(count_ + 2, node, [this, node, r] { world_->nodes[node]->receive(r); });
  after(random_.between(1'000, 12'000), [this] { flood(); });
}

/// Cut off until somebody wants the place (or for so long), then it turns.
void simulation_run::besiege(std::size_t node, bool whole, std::size_t from) {
  const auto number = siege_.number + 1;
  siege_ = {true, false, node, from, whole, number};
  world_->note([&] {
    return whole ? fmt::format("node {} is cut off", node)
                 : fmt::format("node {} is cut off from etcd and node {}", node, from);
  });
  // Client 1 is on the other side.
  network_->cut(node, count_ + 1, true), network_->cut(count_ + 1, node, true);
  if (whole)
    cut_off(node, true);
  else
    network_->cut(node, from, true), network_->cut(from, node, true);
  if (!whole || random_.chance(0.85)) reach_etcd(node, false);
  if (random_.chance(0.7)) revoke(node);
  after(random_.between(1'050'000, 2'600'000), [this, number] { turn(number); });
}

void simulation_run::turn(std::uint64_t number) {
  if (!siege_.on || siege_.turned || siege_.number != number) return;
  siege_.turned = true;
  world_->note([&] { return fmt::format("the siege of node {} turns", siege_.node); });
  event_queue::time open = 0;
  if (siege_.whole) {
    cut_off(siege_.node, false);
    open = random_.between(5'000, 300'000);
  }
  after(open, [this, number] {
    if (siege_.on && siege_.number == number) cut_off(siege_.node, true);
  });
  after(open + random_.between(200'000, 1'300'000), [this, number] { end_siege(number); });
}

void simulation_run::end_siege(std::uint64_t number) {
  if (!siege_.on || siege_.number != number) return;
  siege_.on = false;
  network_->cut(siege_.node, count_ + 1, false), network_->cut(count_ + 1, siege_.node, false);
  cut_off(siege_.node, false);
  reach_etcd(siege_.node, true);
}

/// One that lags is left, and all members go, for long.
void simulation_run::lose_members() {
  const auto shard = some_shard();
  const auto kind = random_.below(4);
  world_->note([&] { return fmt::format("the members of shard {} are lost, {}", shard, kind); });
  if (kind == 0) { // all power fails; at level replicated nobody may go on
    for (std::size_t i = 0; i < count_; ++i) world_->nodes[i]->crash(), start_later(i, second);
    return;
  }
  if (kind == 1 && world_->options.min_isr == 1) { // all copies are damaged, one after the other
    for (std::size_t i = 0; i < count_; ++i)
      after(random_.between(0, second / 2),
            [this, i, shard] { world_->nodes[i]->copy(shard).damage(); });
    return;
  }
  const auto left = some_node();
  cut_off(left, true);
  after(random_.between(1'300'000, 2'500'000), [this, shard, left] {
    if (queue_.now() >= calm_from_) return;
    for (const auto& m : world_->etcd[shard]->value().isr) {
      const auto node = m.node.value;
      if (node == left) continue;
      world_->nodes[node]->crash();
      after(random_.between(2 * second, 9 * second),
            [this, node] { world_->nodes[node]->start(); });
    }
    cut_off(left, false);
  });
}

/// A cue: a node has asked etcd for a change, and the answer is on its way.
void simulation_run::proposed(std::size_t node, std::size_t shard, const authority& value) {
  if (queue_.now() >= calm_from_ || !with(trouble::plots)) return;
  const auto& now = world_->etcd[shard]->value();
  if (about_ == scenario::usurpers) {
    if (siege_.on) {
      if (!siege_.turned && node != siege_.node && value.primary.node.value == node &&
          random_.chance(skewed_ ? 0.2 : 0.8)) // leases that run too long should have the time
        after(random_.between(0, 20'000), [this, n = siege_.number] { turn(n); });
    } else if (now.primary.node.value == node && value.isr.size() > now.isr.size() &&
               random_.chance(0.5)) {
      const auto added = value.isr.back().node.value;
      // Its request goes through, and it does not hear of it.
      after(0, [this, node, added] {
        if (!siege_.on) besiege(node, false, added);
      });
    }
  } else if (about_ == scenario::hand_overs && value.primary.node.value != node && !siege_.on &&
             random_.chance(0.7)) {
    after(random_.between(0, 1'000), [this, node] {
      if (siege_.on || queue_.now() >= calm_from_) return;
      siege_ = {true, true, node, 0, true, siege_.number + 1};
      world_->note([&] { return fmt::format("node {} is cut off as it hands over", node); });
      cut_off(node, true);
      reach_etcd(node, false);
      after(random_.between(300'000, 1'300'000),
            [this, number = siege_.number] { end_siege(number); });
    });
  }
}

} // namespace warp::testing
