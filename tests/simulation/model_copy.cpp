#include "tests/simulation/model_copy.hpp"

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
constexpr transfer_options transfers{.checksum = &model_checksum};
} // namespace

model_copy::model_copy(simulation_world& world, model_node& node, std::uint64_t seed,
                       std::size_t shard)
    : world_(world), node_(node), random_(seed, 64 + node.number() * 16 + shard), shard_(shard) {}

std::string model_copy::name() const {
  return world_.etcd.size() == 1 ? fmt::format("node {}", node_.number())
                                 : fmt::format("node {} shard {}", node_.number(), shard_);
}

// The life of the process

void model_copy::start() {
  auto found = disk_.start(table_);
  applied_ = found.commit_lsn;
  const member self{node_of(node_.number()), next_boot()};
  machine_.emplace(world_.options, self, std::move(found), node_.clock());
  std::optional<checkpoint_receiver::found_chunks> chunks;
  if (disk_.incoming && machine_->incomplete()) {
    chunks.emplace();
    chunks->what = disk_.incoming->manifest;
    chunks->have.resize(chunk_count(chunks->what));
    for (const auto& [index, bytes] : disk_.incoming->chunks) chunks->have[index] = true;
    world_.chunks_resumed += disk_.incoming->chunks.size();
  }
  if (!chunks) disk_.incoming.reset();
  receiver_.emplace(transfers, std::move(chunks), node_.clock());
  world_.judges[shard_]->node(node_.number()) = view();
  world_.note([&] {
    return fmt::format("{} starts, boot {}, {}", name(), self.boot.value, text(*machine_));
  });
  world_.judges[shard_]->restarted(node_.number());
  list_nodes();
}

void model_copy::end(std::uint64_t wal_order, sim_random& disk_random) {
  machine_.reset();
  receiver_.reset();
  fresh_.reset();
  open_.clear();
  gathered_.clear();
  disk_.crash(wal_order, disk_random);
  world_.judges[shard_]->node(node_.number()) = view();
  world_.judges[shard_]->restarted(node_.number());
}

void model_copy::stop_cleanly() {
  disk_.stop(machine_->self().boot);
}

void model_copy::tick() {
  feed(event::tick{});
  if (machine_->incomplete()) do_transfer(receiver_->tick(node_.clock()));
  if (world_.options.reads_log) forget();
  world_.judges[shard_]->bounded(node_.number());
}

/// What is on disk need not be in memory as well.
void model_copy::forget() {
  if (machine_->incomplete()) return;
  feed(event::checkpoint_published{std::min(applied_, disk_.last_lsn())});
  // What is not on disk yet is the disk's to bound. At level replicated that may be much, and come
  // to disk at once in a moment in which something is pinned.
  const auto& log = machine_->log();
  const auto unsynced = log.behind(disk_.last_lsn(), log.size()).size();
  const bool pinned = log.base().lsn < std::min(applied_, disk_.last_lsn());
  if (!pinned) late_to_disk_ = unsynced;
  const auto held = log.size() - unsynced;
  world_.held_max = std::max<std::uint64_t>(world_.held_max, held);
  world_.judges[shard_]->kept(node_.number(), held - std::min(held, late_to_disk_));
}

void model_copy::synced(std::uint64_t wal_order) {
  if (const auto position = disk_.synced(wal_order); position != 0)
    feed(event::wal_synced{position});
}

void model_copy::list_nodes() {
  world_.etcd[shard_]->keep_alive(machine_->self());
  world_.etcd[shard_]->list_nodes(
      node_.number(), [this, life = node_.life()](std::vector<member> live) {
        node_.run(life, [this, live] { feed(event::nodes_seen{live}); });
      });
  node_.after(700'000, [this] { list_nodes(); });
}

// What befalls it

void model_copy::take_checkpoint() {
  // As in storage: not before the log is durable up to its end.
  if (!machine_ || machine_->incomplete() || !disk_.all_synced() || table_.pending() != 0) return;
  const auto end = machine_->log().at_or_below(applied_);
  if (end.lsn != applied_) return;
  // I11: what it takes the place of is deleted only when the manifest that names it is on disk; a
  // crash before that finds the old ones.
  node_.after(random_.between(0, 300'000),
              [this, boot = machine_->self().boot, checkpoint = make_checkpoint(end, table_)] {
                if (machine_->self().boot != boot || machine_->incomplete()) return;
                disk_.publish(checkpoint);
                feed(event::checkpoint_published{checkpoint->end.lsn});
              });
}

void model_copy::damage() {
  if (!machine_) return;
  world_.note([&] { return fmt::format("the copy of {} is damaged", name()); });
  feed(event::copy_damaged{});
}

void model_copy::repair(sim_random& random) {
  disk_.repair(random);
}

void model_copy::move_to(std::size_t target, bool leave) {
  if (!serves()) return;
  world_.note([&] { return fmt::format("{} is asked to hand over to node {}", name(), target); });
  ++world_.moves;
  feed(event::move_requested{node_of(target), leave});
}

void model_copy::want(const std::vector<node_id>& nodes) {
  if (machine_) feed(event::members_wanted{nodes});
}

void model_copy::accept_loss() {
  if (!machine_) return;
  world_.note([&] { return fmt::format("{} is told to accept what is lost", name()); });
  feed(event::accept_loss{});
}

// The machine

void model_copy::feed(replica_event e) {
  const auto before = machine_->reign();
  auto actions = machine_->step(e, node_.clock());
  world_.fingerprint =
      (world_.fingerprint ^ (static_cast<std::uint64_t>(world_.queue.now()) * 64 +
                             node_.number() * 8 + shard_ * 512 + e.index() + actions.size())) *
      0x9e37'79b9'7f4a'7c15u;
  if (before == 0 && machine_->reign() != 0) {
    ++world_.reigns;
    world_.note([&] { return fmt::format("{} reigns: {}", name(), text(*machine_)); });
    world_.judges[shard_]->reigns(node_.number());
  }
  for (auto& a : actions) std::visit([this](auto& what) { on(what); }, a);
}

void model_copy::on(action::send& a) {
  auto& judge = *world_.judges[shard_];
  if (const auto* m = std::get_if<append>(&a.what.body)) judge.sent(node_.number(), m->epoch);
  if (const auto* m = std::get_if<append_ack>(&a.what.body)) judge.sent(node_.number(), m->epoch);
  node_.say(a.to.value, shard_, std::move(a.what));
}

void model_copy::on(action::write_wal& a) {
  auto& judge = *world_.judges[shard_];
  if (const auto* r = std::get_if<wal::records>(&a.what))
    for (const auto& one : r->what) judge.logged(node_.number(), one);
  if (std::holds_alternative<wal::installation>(a.what)) {
    table_ = incoming_->table;
    applied_ = incoming_->end.lsn;
    ++world_.checkpoints_installed;
    disk_.write(node_.next_wal_order(), a.position, std::move(a.what), incoming_);
    judge.applied(node_.number(), applied_);
    judge.installed(node_.number(), incoming_epoch_);
    disk_.incoming.reset();
    receiver_->give_up();
  } else {
    disk_.write(node_.next_wal_order(), a.position, std::move(a.what), {});
  }
}

void model_copy::on(action::sync_wal&) {
  node_.want_sync();
}

void model_copy::on(action::read_authority&) {
  world_.etcd[shard_]->read(
      node_.number(), [this, life = node_.life()](const model_etcd::answer& got) {
        node_.run(life, [this, got] { feed(event::authority_read{got.revision, got.value}); });
      });
}

void model_copy::on(action::compare_and_set& a) {
  world_.note([&] {
    return fmt::format("{} wants {} where revision is {}", name(), text(a.value),
                       a.compared_revision);
  });
  world_.etcd[shard_]->compare_and_set(
      node_.number(), a.compared_revision, a.value,
      [this, life = node_.life(), compared = a.compared_revision](const model_etcd::answer& got) {
        node_.run(life, [this, got, compared] {
          world_.note([&] {
            return fmt::format("{} hears that its change of revision {} {}", name(), compared,
                               got.succeeded ? "was made" : "did not compare");
          });
          if (got.succeeded)
            feed(event::authority_read{got.revision, got.value});
          else
            feed(event::compare_failed{compared});
        });
      });
  if (world_.on_proposal) world_.on_proposal(node_.number(), shard_, a.value);
}

void model_copy::on(action::logged& a) {
  if (a.first != executed_.first || a.count != executed_.count)
    world_.judges[shard_]->broken(
        fmt::format("{}: {} writes were executed from LSN {} on, {} logged from LSN {} on", name(),
                    executed_.count, executed_.first, a.count, a.first));
  executed_ = {};
}

void model_copy::on(const action::answer& a) {
  const auto at = open_.find(a.token);
  if (at == open_.end()) return;
  auto [request, what] = std::move(at->second);
  open_.erase(at);
  if (a.code == op_code::outcome_unknown) return; // the client's patience finds out
  if (a.code != op_code::ok) {
    if (a.code == op_code::overloaded) ++world_.refused_full;
    what = {};
    what.number = request.number;
    what.code = op_code::unavailable;
  } else if (a.lsn != 0) {
    if (what.code == op_code::ok && request.call != register_call::erase) what.version = a.lsn;
    if (!request.weak) world_.judges[shard_]->acknowledged(a.lsn);
  }
  reply(request.client, std::move(what));
}

void model_copy::on(action::committed& a) {
  world_.judges[shard_]->committed(node_.number(), a.lsn,
                                   machine_->stands() == replica::standing::primary);
  apply(a.lsn);
}

void model_copy::on(action::undo_pending&) {
  table_.undo();
  world_.note([&] { return fmt::format("{} steps down", name()); });
}

void model_copy::on(action::serving& a) {
  world_.note([&] {
    return fmt::format("{} {} in epoch {}", name(), a.begins ? "serves" : "serves no more",
                       a.epoch);
  });
}

void model_copy::on(action::draw_boot&) {
  node_.after(0, [this, boot = next_boot()] { feed(event::boot_drawn{boot}); });
}

void model_copy::on(action::loss_accepted& a) {
  world_.note(
      [&] { return fmt::format("{} is the truth from epoch {} on", name(), a.reset_epoch); });
}

void model_copy::on(action::loss_refused& a) {
  world_.note([&] { return fmt::format("{} refuses: {}", name(), a.why); });
}

void model_copy::on(action::checkpoint_outdated&) {
  ++world_.outdated;
  disk_.incoming.reset();
  receiver_->give_up();
}

void model_copy::on(action::broken_rule& a) {
  world_.judges[shard_]->broken(fmt::format("{}: {}", name(), a.what));
}

void model_copy::on(action::read_log& a) {
  if (!world_.options.reads_log)
    world_.judges[shard_]->broken(name() + " reads back a log that it was not promised");
  const auto delay =
      random_.chance(0.02) ? random_.between(0, 500'000) : random_.between(50, 5'000);
  node_.after(delay, [this, a] {
    ++world_.read_backs;
    event::log_read read{a.to, a.after, 0, {}};
    if (const auto at = disk_.epoch_at(a.after)) {
      read.after_epoch = *at;
      read.records = disk_.behind(a.after, applied_, a.count_max);
    }
    world_.records_read_back += read.records.size();
    world_.note([&] {
      return fmt::format("{} reads {} records behind {} for node {}", name(), read.records.size(),
                         a.after, a.to.value);
    });
    feed(std::move(read));
  });
}

void model_copy::apply(lsn_t lsn) {
  for (const auto& r : machine_->log().behind(applied_, machine_->log().size())) {
    if (r.lsn > lsn) break;
    if (!r.no_op) table_.commit(r.lsn, model_effect::decode(r.body));
    applied_ = r.lsn;
  }
  world_.judges[shard_]->applied(node_.number(), applied_);
}

// Checkpoints on their way

void model_copy::on(action::offer_checkpoint& a) {
  // The newest on disk, which may be older than what the copy had that asks, or one of now.
  const auto applied = machine_->log().at_or_below(applied_);
  if (random_.chance(0.3) && table_.pending() == 0 && applied.lsn == applied_)
    fresh_ = make_checkpoint(applied, table_);
  auto offered = fresh_ && fresh_->end.lsn >= disk_.on_disk().base->end.lsn && random_.chance(0.5)
                     ? fresh_
                     : disk_.on_disk().base;
  send_transfer(a.to.value, transfer::offer{a.max_epoch, offered->manifest});
}

void model_copy::send_transfer(std::size_t to, transfer_message m) {
  world_.network.send(
      node_.number(), to,
      [this, to, from = node_.number(), m = std::make_shared<transfer_message>(std::move(m))] {
        world_.nodes[to]->receive(shard_, from, *m);
      });
}

void model_copy::receive(std::size_t from, const transfer_message& m) {
  if (const auto* asked = std::get_if<transfer::chunk_request>(&m)) {
    for (const auto& held : {fresh_, disk_.on_disk().base}) {
      if (!held || held->manifest.id != asked->id) continue;
      const auto begin = std::size_t{asked->index} * model_chunk_bytes;
      if (begin > held->bytes.size()) return;
      return send_transfer(from, transfer::chunk{asked->id, asked->index,
                                                 held->bytes.substr(begin, model_chunk_bytes)});
    }
    return send_transfer(from, transfer::gone{asked->id});
  }
  world_.note([&] {
    return fmt::format("{} gets {} of a checkpoint from node {}, {} chunks missing", name(),
                       std::holds_alternative<transfer::offer>(m)   ? "the offer"
                       : std::holds_alternative<transfer::chunk>(m) ? "a chunk"
                                                                    : "word of the end",
                       from, receiver_->chunks_missing());
  });
  if (machine_->incomplete()) do_transfer(receiver_->received(node_of(from), m, node_.clock()));
}

void model_copy::do_transfer(transfer_actions actions) {
  for (auto& a : actions) {
    if (auto* send = std::get_if<transfer_action::send>(&a)) {
      send_transfer(send->to.value, std::move(send->what));
    } else if (auto* begin = std::get_if<transfer_action::begin_file>(&a)) {
      disk_.incoming = model_disk::arriving{std::move(begin->what), {}};
      feed(event::checkpoint_coming{disk_.incoming->manifest.end.lsn});
    } else if (auto* store = std::get_if<transfer_action::store>(&a)) {
      ++world_.chunks;
      if (disk_.incoming) disk_.incoming->chunks[store->index] = std::move(store->bytes);
    } else if (auto* whole = std::get_if<transfer_action::whole>(&a)) {
      if (!disk_.incoming) continue;
      std::string bytes;
      for (const auto& [index, some] : disk_.incoming->chunks) bytes += some;
      incoming_ = make_checkpoint(whole->what, std::move(bytes));
      incoming_epoch_ = whole->max_epoch;
      world_.note([&] {
        return fmt::format("{} has a whole checkpoint up to {} of epoch {}", name(),
                           incoming_->end.lsn, incoming_epoch_);
      });
      feed(event::checkpoint_received{whole->max_epoch, incoming_->end});
    }
  }
}

// What it hears

void model_copy::receive(const message& m) {
  world_.note([&] { return text(node_.number(), m); });
  feed(event::received{m});
}

void model_copy::ring() {
  feed(event::authority_doorbell{});
}

void model_copy::reply(std::uint32_t client, client_reply what) {
  what.hint = machine_->known().primary.node.value;
  world_.reply(client, node_.number(), std::move(what));
}

void model_copy::read_reply(const client_request& request, client_reply what, lsn_t depends_on) {
  open_[++tokens_] = {request, std::move(what)};
  // The value is read; what comes between here and the look at the clock may take its time.
  const auto delay = random_.chance(0.05) ? random_.between(0, 300'000) : random_.between(0, 50);
  node_.after(delay, [this, token = tokens_, depends_on, reign = machine_->reign()] {
    // What was read in an earlier reign tells nothing about this one.
    if (machine_->reign() != reign)
      on(action::answer{token, op_code::unavailable, 0});
    else
      feed(event::client_read{token, depends_on});
  });
}

/// Alone, or together with what comes in this moment, as a server gathers it.
void model_copy::receive(const client_request& request) {
  gathered_.push_back(request);
  if (gathered_.size() > 1) return;
  if (random_.chance(0.25))
    node_.after(random_.between(0, 300), [this] { execute(); });
  else
    execute();
}

/// One after the other, each on what those before it have left; and then they are logged.
void model_copy::execute() {
  event::client_writes all;
  executed_ = {machine_->log().last().lsn + 1, 0};
  for (const auto& request : std::exchange(gathered_, {})) execute(request, all.writes);
  if (all.writes.empty()) return;
  feed(std::move(all));
  if (executed_.count != 0)
    world_.judges[shard_]->broken(name() + " has executed writes that were not logged");
}

void model_copy::execute(const client_request& request, std::vector<client_write>& writes) {
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
    what.code = last.code;
    if (last.code != op_code::ok)
      what.version = last.met;
    else if (request.call != register_call::erase)
      what.version = last.version;
    what.sum = last.sum;
    return read_reply(request, what, last.depends_on);
  }
  model_effect effect{request.key, true, request.value, request.client, request.number};
  if (request.call == register_call::compare_and_set && found.version != request.expected) {
    effect.code = what.code = op_code::version_mismatch;
    effect.met = what.version = found.version;
  }
  if (request.call == register_call::erase) {
    if (!found.present) effect.code = what.code = op_code::not_found;
    effect.present = false;
    effect.value.clear();
  }
  if (request.call == register_call::increment) {
    effect.sum = (found.present ? std::stoll(found.value) : 0) + 1;
    effect.value = std::to_string(effect.sum);
    what.sum = effect.sum;
  }
  open_[++tokens_] = {request, what};
  writes.push_back(
      {tokens_, request.weak ? ack_level::async : world_.options.level, effect.encode()});
  // Else it will be refused.
  if (machine_->may_write(writes.size() - 1) != op_code::ok) return;
  table_.pend(executed_.first + executed_.count++, std::move(effect));
}

} // namespace warp::testing
