#include "tests/simulation/model_node.hpp"

#include "tests/simulation/trace_text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace warp::testing {

using namespace cluster::replication;

namespace {
node_id node_of(std::size_t number) {
  return node_id{static_cast<std::uint32_t>(number)};
}
} // namespace

model_node::model_node(simulation_world& world, std::uint64_t seed, std::size_t number,
                       double clock_rate)
    : world_(world), random_(seed, 32 + number), disk_random_(seed, 48 + number), number_(number),
      rate_(clock_rate), clock_begin_(random_.between(0, 3'600 * seconds)) {}

moment model_node::clock() const {
  return clock_begin_ + static_cast<moment>(rate_ * static_cast<double>(world_.queue.now()));
}

void model_node::run(std::uint64_t life, std::function<void()> what) {
  if (life != life_ || !machine_) return;
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
  if (machine_) return;
  ++life_;
  const member self{node_of(number_), boot_id{++boots_}};
  auto found = disk_.start(table_);
  applied_ = found.commit_lsn;
  machine_.emplace(world_.options, self, std::move(found), clock());
  world_.judge.node(number_) = view();
  world_.note(
      [&] { return fmt::format("node {} starts, boot {}, {}", number_, boots_, text(*machine_)); });
  world_.judge.restarted(number_);
  syncing_ = sync_wanted_ = sync_fails_ = false;
  paused_until_ = 0;
  tick();
  list_nodes();
}

void model_node::crash() {
  if (!machine_) return;
  world_.note([&] { return fmt::format("node {} crashes", number_); });
  machine_.reset();
  ++life_;
  open_.clear();
  disk_.crash(disk_random_);
  world_.judge.node(number_) = view();
  world_.judge.restarted(number_);
}

void model_node::stop_cleanly() {
  if (!machine_) return;
  world_.note([&] { return fmt::format("node {} stops cleanly", number_); });
  disk_.stop(machine_->self().boot);
  crash();
}

void model_node::pause(event_queue::time how_long) {
  if (!machine_) return;
  world_.note([&] { return fmt::format("node {} pauses for {} ms", number_, how_long / 1000); });
  paused_until_ = world_.queue.now() + how_long;
}

void model_node::slow_disk(event_queue::time until, event_queue::time sync_us) {
  slow_until_ = until;
  slow_sync_us_ = sync_us;
}

void model_node::tick() {
  feed(event::tick{});
  after(random_.between(40'000, 50'000), [this] { tick(); });
}

void model_node::list_nodes() {
  world_.etcd.keep_alive(machine_->self());
  world_.etcd.list_nodes(number_, [this, life = life_](std::vector<member> live) {
    run(life, [this, live] { feed(event::nodes_seen{live}); });
  });
  after(700'000, [this] { list_nodes(); });
}

void model_node::take_checkpoint() {
  // As in storage: not before the log is durable up to its end.
  if (!machine_ || machine_->incomplete() || !disk_.all_synced() || table_.pending() != 0) return;
  auto c = std::make_shared<model_checkpoint>();
  c->end = machine_->log().at_or_below(applied_);
  if (c->end.lsn != applied_) return;
  c->table = table_;
  disk_.publish(std::move(c));
  feed(event::checkpoint_published{applied_});
}

void model_node::damage() {
  if (!machine_) return;
  world_.note([&] { return fmt::format("the copy of node {} is damaged", number_); });
  feed(event::copy_damaged{});
}

void model_node::move_to(std::size_t target, bool leave) {
  if (!serves()) return;
  world_.note(
      [&] { return fmt::format("node {} is asked to hand over to node {}", number_, target); });
  ++world_.moves;
  feed(event::move_requested{node_of(target), leave});
}

// The machine

void model_node::feed(replica_event e) {
  const auto before = machine_->reign();
  auto actions = machine_->step(e, clock());
  world_.fingerprint = (world_.fingerprint ^ (static_cast<std::uint64_t>(world_.queue.now()) * 64 +
                                              number_ * 8 + e.index() + actions.size())) *
                       0x9e37'79b9'7f4a'7c15u;
  if (before == 0 && machine_->reign() != 0) {
    ++world_.reigns;
    world_.note([&] { return fmt::format("node {} reigns: {}", number_, text(*machine_)); });
    world_.judge.reigns(number_);
  }
  for (auto& a : actions) perform(a);
}

void model_node::perform(replica_action& a) {
  if (auto* send = std::get_if<action::send>(&a)) {
    if (const auto* m = std::get_if<append>(&send->what.body)) world_.judge.sent(number_, m->epoch);
    if (const auto* m = std::get_if<append_ack>(&send->what.body))
      world_.judge.sent(number_, m->epoch);
    const auto to = send->to.value;
    world_.network.send(number_, to,
                        [this, to, m = std::make_shared<message>(std::move(send->what))] {
                          world_.nodes[to]->receive(*m);
                        });
  } else if (auto* w = std::get_if<action::write_wal>(&a)) {
    if (const auto* r = std::get_if<wal::record>(&w->what)) world_.judge.logged(number_, r->what);
    if (std::holds_alternative<wal::installation>(w->what)) {
      table_ = incoming_->table;
      applied_ = incoming_->end.lsn;
      ++world_.checkpoints_installed;
      disk_.write(w->position, std::move(w->what), incoming_);
      world_.judge.applied(number_, applied_);
      world_.judge.installed(number_, incoming_epoch_);
    } else {
      disk_.write(w->position, std::move(w->what), {});
    }
  } else if (std::holds_alternative<action::sync_wal>(a)) {
    sync_wanted_ = true;
    if (!syncing_) sync();
  } else if (std::holds_alternative<action::read_authority>(a)) {
    world_.etcd.read(number_, [this, life = life_](const model_etcd::answer& got) {
      run(life, [this, got] { feed(event::authority_read{got.revision, got.value}); });
    });
  } else if (auto* c = std::get_if<action::compare_and_set>(&a)) {
    world_.note([&] {
      return fmt::format("node {} wants {} where revision is {}", number_, text(c->value),
                         c->compared_revision);
    });
    world_.etcd.compare_and_set(
        number_, c->compared_revision, c->value,
        [this, life = life_, compared = c->compared_revision](const model_etcd::answer& got) {
          run(life, [this, got, compared] {
            world_.note([&] {
              return fmt::format("node {} hears that its change of revision {} {}", number_,
                                 compared, got.succeeded ? "was made" : "did not compare");
            });
            if (got.succeeded)
              feed(event::authority_read{got.revision, got.value});
            else
              feed(event::compare_failed{compared});
          });
        });
  } else if (const auto* l = std::get_if<action::logged>(&a)) {
    table_.pend(l->lsn, open_.at(l->token).effect);
  } else if (const auto* d = std::get_if<action::answer>(&a)) {
    const auto at = open_.find(d->token);
    if (at == open_.end()) return;
    auto [request, what, effect] = std::move(at->second);
    open_.erase(at);
    if (d->code == op_code::outcome_unknown) return; // the client's patience finds out
    if (d->code != op_code::ok) {
      what = {};
      what.number = request.number;
      what.code = op_code::unavailable;
    } else if (d->lsn != 0) {
      if (request.call != register_call::erase) what.version = d->lsn;
      if (!request.weak) world_.judge.acknowledged(d->lsn);
    }
    reply(request.client, std::move(what));
  } else if (const auto* k = std::get_if<action::committed>(&a)) {
    world_.judge.committed(number_, k->lsn, machine_->stands() == replica::standing::primary);
    apply(k->lsn);
  } else if (std::holds_alternative<action::undo_pending>(a)) {
    table_.undo();
    world_.note([&] { return fmt::format("node {} steps down", number_); });
  } else if (const auto* s = std::get_if<action::serving>(&a)) {
    world_.note([&] {
      return fmt::format("node {} {} in epoch {}", number_, s->begins ? "serves" : "serves no more",
                         s->epoch);
    });
  } else if (std::holds_alternative<action::draw_boot>(a)) {
    after(0, [this, boot = boot_id{++boots_}] { feed(event::boot_drawn{boot}); });
  } else if (const auto* o = std::get_if<action::offer_checkpoint>(&a)) {
    // The newest on disk, which may be older than what the copy had that asks.
    std::shared_ptr<const model_checkpoint> checkpoint = disk_.on_disk().base;
    const auto applied = machine_->log().at_or_below(applied_);
    if (random_.chance(0.5) && table_.pending() == 0 && applied.lsn == applied_) {
      auto fresh = std::make_shared<model_checkpoint>();
      fresh->end = applied;
      fresh->table = table_;
      checkpoint = std::move(fresh);
    }
    const auto to = o->to.value;
    const auto epoch = o->max_epoch;
    world_.queue.after(random_.between(2'000, 200'000), [this, to, checkpoint, epoch] {
      world_.network.send(number_, to, [this, to, checkpoint, epoch] {
        world_.nodes[to]->receive(checkpoint, epoch);
      });
    });
  } else if (auto* b = std::get_if<action::broken_rule>(&a)) {
    world_.judge.broken(fmt::format("node {}: {}", number_, b->what));
  }
}

void model_node::sync() {
  syncing_ = true;
  sync_wanted_ = false;
  const bool slow = world_.queue.now() < slow_until_;
  const auto us = slow ? disk_random_.between(slow_sync_us_ / 2, slow_sync_us_)
                       : disk_random_.between(60, 1'500);
  after(us, [this, target = disk_.written()] {
    if (sync_fails_) { // what is on disk nobody knows: the process ends
      world_.note([&] { return fmt::format("node {}: the sync fails", number_); });
      crash();
      world_.queue.after(1'000'000, [this] { start(); });
      return;
    }
    disk_.synced(target);
    syncing_ = false;
    if (sync_wanted_) sync();
    feed(event::wal_synced{target});
  });
}

void model_node::apply(lsn_t lsn) {
  for (const auto& r : machine_->log().behind(applied_, machine_->log().size())) {
    if (r.lsn > lsn) break;
    if (!r.no_op) table_.commit(r.lsn, model_effect::decode(r.body));
    applied_ = r.lsn;
  }
  world_.judge.applied(number_, applied_);
}

// What it hears

void model_node::receive(const message& m) {
  run(life_, [this, m] {
    world_.note([&] { return text(number_, m); });
    feed(event::received{m});
  });
}

void model_node::receive(std::shared_ptr<const model_checkpoint> checkpoint, epoch_t max_epoch) {
  run(life_, [this, checkpoint = std::move(checkpoint), max_epoch] {
    world_.note([&] {
      return fmt::format("node {} receives a checkpoint up to {} of epoch {}", number_,
                         checkpoint->end.lsn, max_epoch);
    });
    incoming_ = checkpoint;
    incoming_epoch_ = max_epoch;
    feed(event::checkpoint_received{max_epoch, checkpoint->end});
  });
}

void model_node::ring() {
  run(life_, [this] { feed(event::authority_doorbell{}); });
}

void model_node::reply(std::uint32_t client, client_reply what) {
  what.hint = machine_->known().primary.node.value;
  world_.reply(client, number_, std::move(what));
}

void model_node::read_reply(const client_request& request, client_reply what, lsn_t depends_on) {
  open_[++tokens_] = {request, std::move(what), {}};
  // The value is read; what comes between here and the look at the clock may take its time.
  const auto delay = random_.chance(0.05) ? random_.between(0, 300'000) : random_.between(0, 50);
  after(delay, [this, token = tokens_, depends_on] {
    feed(event::client_read{token, depends_on});
  });
}

void model_node::receive(const client_request& request) {
  run(life_, [this, request] {
    client_reply what;
    what.number = request.number;
    if (!machine_->serves()) {
      what.code = op_code::unavailable;
      return reply(request.client, what);
    }
    const auto found = table_.look_up(request.key);
    if (request.call == register_call::get) {
      what.code = found.present ? op_code::ok : op_code::not_found;
      what.value = found.value;
      what.version = found.version;
      return read_reply(request, what, found.depends_on);
    }
    const auto last = table_.last_of(request.client);
    if (request.number < last.number) return; // below the window: refused, and nobody waits for it
    if (request.number == last.number) {
      if (request.call != register_call::erase) what.version = last.version;
      what.sum = last.sum;
      return read_reply(request, what, last.depends_on);
    }
    model_effect effect{request.key, true, request.value, request.client, request.number, 0};
    if (request.call == register_call::compare_and_set && found.version != request.expected) {
      what.code = op_code::version_mismatch;
      what.version = found.version;
      return read_reply(request, what, found.depends_on);
    }
    if (request.call == register_call::erase) {
      if (!found.present) {
        what.code = op_code::not_found;
        return read_reply(request, what, found.depends_on);
      }
      effect.present = false;
      effect.value.clear();
    }
    if (request.call == register_call::increment) {
      effect.sum = (found.present ? std::stoll(found.value) : 0) + 1;
      effect.value = std::to_string(effect.sum);
      what.sum = effect.sum;
    }
    const auto body = effect.encode();
    open_[++tokens_] = {request, what, std::move(effect)};
    feed(
        event::client_write{tokens_, request.weak ? ack_level::async : world_.options.level, body});
  });
}

} // namespace warp::testing
