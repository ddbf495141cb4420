#include "tests/simulation/model_node.hpp"

#include <fmt/format.h>
#include <utility>

namespace warp::testing {

using namespace cluster::replication;

model_node::model_node(simulation_world& world, std::uint64_t seed, std::size_t number,
                       double clock_rate)
    : world_(world), random_(seed, 32 + number), disk_random_(seed, 48 + number), number_(number),
      rate_(clock_rate), clock_begin_(random_.between(0, 3'600 * seconds)) {
  for (std::size_t s = 0; s < world.etcd.size(); ++s)
    copies_.push_back(std::make_unique<model_copy>(world, *this, seed, s));
}

moment model_node::clock() const {
  return clock_begin_ + static_cast<moment>(rate_ * static_cast<double>(world_.queue.now()));
}

void model_node::run(std::uint64_t life, std::function<void()> what) {
  if (life != life_ || !up_) return;
  if (const auto wait = paused_until_ - world_.queue.now(); wait > 0) {
    world_.queue.after(wait, [this, life, what = std::move(what)] { run(life, what); });
    return;
  }
  what();
}

void model_node::after(event_queue::time delay, std::function<void()> what) {
  world_.queue.after(delay, [this, life = life_, what = std::move(what)] { run(life, what); });
}

// Life and death

void model_node::start() {
  if (up_) return;
  ++life_;
  up_ = true;
  syncing_ = sync_wanted_ = sync_fails_ = false;
  paused_until_ = 0;
  world_.note([&] { return fmt::format("node {} starts", number_); });
  for (auto& c : copies_) c->start();
  tick();
}

void model_node::end(bool cleanly) {
  if (!up_) return;
  world_.note([&] { return fmt::format("node {} {}", number_, cleanly ? "stops" : "crashes"); });
  up_ = false;
  ++life_;
  outbox_.clear();
  // A beginning of what is not synced has got to disk.
  auto kept = synced_ + disk_random_.below(written_ - synced_ + 1);
  if (cleanly) kept = written_;
  for (auto& c : copies_) {
    if (cleanly) c->stop_cleanly();
    c->end(kept, disk_random_);
  }
  synced_ = written_;
}

void model_node::crash() {
  end(false);
}

void model_node::stop_cleanly() {
  end(true);
}

void model_node::pause(event_queue::time how_long) {
  if (!up_) return;
  world_.note([&] { return fmt::format("node {} pauses for {} ms", number_, how_long / 1000); });
  paused_until_ = world_.queue.now() + how_long;
}

void model_node::slow_disk(event_queue::time until, event_queue::time sync_us) {
  slow_until_ = until;
  slow_sync_us_ = sync_us;
}

void model_node::repair(std::size_t shard) {
  crash();
  copies_[shard]->repair(disk_random_);
  start();
}

void model_node::tick() {
  for (auto& c : copies_) {
    c->tick();
    if (!up_) return;
  }
  if (written_ > synced_ && !syncing_) sync(); // what nobody has asked for gets to disk as well
  after(random_.between(40'000, 50'000), [this] { tick(); });
}

// The log

void model_node::want_sync() {
  ++world_.syncs_wanted;
  sync_wanted_ = true;
  if (!syncing_) sync();
}

void model_node::sync() {
  syncing_ = true;
  // Not at once: what the other copies log in this moment goes with it.
  after(0, [this] {
    if (std::exchange(sync_wanted_, false)) ++world_.syncs;
    const bool slow = world_.queue.now() < slow_until_;
    const auto us = slow ? disk_random_.between(slow_sync_us_ / 2, slow_sync_us_)
                         : disk_random_.between(60, 1'500);
    after(us, [this, target = written_] {
      if (sync_fails_) { // what is on disk nobody knows: the process ends
        world_.note([&] { return fmt::format("node {}: the sync fails", number_); });
        crash();
        world_.queue.after(1'000'000, [this] { start(); });
        return;
      }
      synced_ = target;
      syncing_ = false;
      if (sync_wanted_) sync();
      for (auto& c : copies_) c->synced(target);
    });
  });
}

// The network

void model_node::say(std::size_t to, std::size_t shard, message m) {
  auto& box = outbox_[to];
  box.emplace_back(shard, std::move(m));
  ++world_.messages;
  if (box.size() != 1) return;
  after(0, [this, to] {
    ++world_.packets;
    auto p = std::make_shared<packet>(std::exchange(outbox_[to], {}));
    world_.network.send(number_, to, [this, to, p] { world_.nodes[to]->receive(*p); });
  });
}

void model_node::receive(const packet& p) {
  run(life_, [this, p] {
    for (const auto& [shard, m] : p) {
      copies_[shard]->receive(m);
      if (!up_) return;
    }
  });
}

void model_node::receive(std::size_t shard, std::size_t from, const transfer_message& m) {
  run(life_, [this, shard, from, m] { copies_[shard]->receive(from, m); });
}

void model_node::receive(const client_request& request) {
  run(life_, [this, request] { copies_[request.shard]->receive(request); });
}

void model_node::ring(std::size_t shard) {
  run(life_, [this, shard] { copies_[shard]->ring(); });
}

} // namespace warp::testing
