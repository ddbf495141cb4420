#include "tests/simulation/simulation_run.hpp"

#include <fmt/format.h>
#include <string>

namespace warp::testing {

namespace {
constexpr event_queue::time second = 1'000'000;
}

void simulation_run::set_weather() {
  // Plots need links that work where they are not cut.
  const bool mild = about_ == scenario::usurpers || about_ == scenario::hand_overs;
  if (with(trouble::bad_network))
    network_->set({.loss = mild || random_.chance(0.5) ? 0.0 : 0.15 * random_.part(),
                   .doubling = 0.1 * random_.part(),
                   .lateness = random_.chance(0.4) ? 0.0 : 0.1 * random_.part(),
                   .late_us = random_.between(5'000, 3 * second)});
  if (!with(trouble::bad_etcd)) return;
  const model_etcd::weather weather{.loss = random_.chance(0.4) ? 0.0 : 0.4 * random_.part(),
                                    .doubling = 0.3 * random_.part(),
                                    .lateness = 0.5 * random_.part(),
                                    .late_us = random_.between(10'000, mild ? second : 4 * second),
                                    .watch_loss = 0.5 * random_.part(),
                                    .watch_replay = 0.5 * random_.part()};
  for (auto& e : world_->etcd) e->set(weather);
}

void simulation_run::cut_off(std::size_t node, bool on) {
  for (std::size_t other = 0; other < count_; ++other)
    if (other != node) network_->cut(node, other, on), network_->cut(other, node, on);
}

void simulation_run::reach_etcd(std::size_t node, bool on) {
  for (auto& e : world_->etcd) e->set_reachable(node, on);
}

void simulation_run::revoke(std::size_t node) {
  for (auto& e : world_->etcd) e->revoke(node);
}

void simulation_run::start_later(std::size_t node, event_queue::time at_most) {
  after(random_.between(20'000, at_most), [this, node] { world_->nodes[node]->start(); });
}

void simulation_run::cut_some(std::size_t node, std::uint64_t detail, event_queue::time how_long) {
  sim_random pick{detail};
  const auto kind = pick.below(4);
  const auto places = count_ + client_count_;
  world_->note([&] {
    return fmt::format("links of node {} are cut, kind {}, for {} ms", node, kind, how_long / 1000);
  });
  for (std::size_t other = 0; other < places; ++other) {
    if (other == node) continue;
    const bool client = other >= count_;
    // 0: from everybody; 1: from the nodes; 2: one way; 3: each link by itself, at its own times.
    if (client && kind != 0 && !pick.chance(0.3)) continue;
    if (kind == 3 && pick.chance(0.4)) continue;
    const bool out = kind != 2 || (detail >> 8 & 1) != 0, in = kind != 2 || !out;
    const auto cut = [this, node, other, out, in](bool on) {
      if (out) network_->cut(node, other, on);
      if (in) network_->cut(other, node, on);
    };
    const auto from = kind == 3 ? pick.between(0, how_long) : 0;
    const auto to = kind == 3 ? pick.between(0, how_long) + from : how_long;
    after(from, [this, cut] {
      if (queue_.now() < calm_from_) cut(true);
    });
    after(to, [cut] { cut(false); });
  }
}

/// One piece of trouble, and the time to the next.
void simulation_run::befall() {
  if (queue_.now() >= calm_from_) return;
  const auto node = some_node();
  const auto shard = some_shard();
  auto& n = *world_->nodes[node];
  const auto how_long =
      random_.chance(0.5) ? random_.between(20'000, 600'000) : random_.between(600'000, 4 * second);
  const auto what = random_.below(100);
  const auto detail = random_.next();
  if (what < 14) {
    if (with(trouble::crashes)) n.crash(), start_later(node, 2 * second);
  } else if (what < 17) {
    if (with(trouble::crashes))
      for (std::size_t i = 0; i < count_; ++i)
        world_->nodes[i]->crash(), start_later(i, 2 * second);
  } else if (what < 22) {
    if (with(trouble::clean_stops)) n.stop_cleanly(), start_later(node, 2 * second);
  } else if (what < 32) {
    if (with(trouble::pauses)) n.pause(how_long);
  } else if (what < 58) {
    if (with(trouble::cuts)) cut_some(node, detail, how_long);
  } else if (what < 68) {
    if (with(trouble::etcd_outages)) {
      const bool all = (detail & 3) == 0;
      world_->note([&] {
        return fmt::format("etcd is out of reach of {}", all ? "all" : std::to_string(node));
      });
      for (std::size_t i = 0; i < count_; ++i)
        if (all || i == node) reach_etcd(i, false);
      after(how_long, [this] {
        for (std::size_t i = 0; i < count_; ++i) reach_etcd(i, true);
      });
    }
  } else if (what < 74) {
    if (with(trouble::bad_etcd)) revoke(node);
  } else if (what < 81) {
    if (with(trouble::bad_disks)) n.slow_disk(queue_.now() + how_long, 20'000 << (detail % 7));
  } else if (what < 83) {
    if (with(trouble::bad_disks)) n.fail_next_sync();
  } else if (what < 85) {
    // With fewer copies than min_isr asks for left of what is on its way, I3 would be no fault.
    if (with(trouble::damage) && world_->options.min_isr == 1) n.copy(shard).damage();
  } else if (what < 93) {
    if (with(trouble::checkpoints)) n.copy(shard).take_checkpoint();
  } else if (with(trouble::moves)) {
    for (auto& each : world_->nodes) each->copy(shard).move_to(node, (detail & 1) != 0);
  }
  // Plots leave less to chance, and so to other trouble.
  const auto pause = about_ == scenario::mixed ? 900'000 : 3 * second;
  after(random_.between(30'000, pause), [this] { befall(); });
}

} // namespace warp::testing
