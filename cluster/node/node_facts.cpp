// What a node has to do with etcd: it lists what is there when the watch rings, tells the machines,
// and brings what they want changed.

#include "cluster/etcd/blocking_calls.hpp"
#include "cluster/node/cluster_node.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace warp::cluster {

using namespace replication;

namespace {

/// Between two tries to say who this node is.
constexpr std::chrono::milliseconds register_again{500};

} // namespace

void cluster_node::ring(const etcd::doorbell&) {
  std::lock_guard guard{mutex_};
  list_wanted_ = true; // one list serves all rings until it is asked for
  wake_.notify_all();
}

void cluster_node::list() {
  counts_.lists.fetch_add(1, std::memory_order_relaxed);
  etcd_->range({.keys = {names_.prefix(), true}},
               [this](op_result<etcd::range_answer> got) { take(std::move(got)); });
}

/// On etcd's thread: notes only.
void cluster_node::take(op_result<etcd::range_answer> got) {
  std::lock_guard guard{mutex_};
  list_under_way_ = false;
  if (!got) {
    if (got.code() != op_code::shutting_down) list_wanted_ = true;
    return; // the pump asks again: the client has waited before it gave up
  }
  auto facts = read_facts(names_, *got);
  std::vector<std::string> complaints;
  for (const auto& status : facts.refused) {
    if (std::ranges::find(complained_, status.message()) == complained_.end())
      spdlog::error("{}; what was known of it stands", status.message());
    complaints.push_back(status.message());
  }
  counts_.keys_refused.store(complaints.size(), std::memory_order_relaxed);
  complained_ = std::move(complaints);
  if (facts_) { // what cannot be read stays as it was
    if (!facts.config) facts.config = facts_->config;
    if (!facts.desired) facts.desired = facts_->desired;
    for (const auto& [id, e] : facts_->shards) facts.shards.try_emplace(id, e);
  }
  tell_machines(facts);
  tell_who_lives(facts);
  tell_placement(facts);
  take_orders(facts);
  for (const auto& [id, e] : facts.nodes)
    if (id != options_.id) {
      const auto& text = e.value.nodes;
      const auto colon = text.rfind(':');
      auto host = text.substr(0, colon);
      if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
      network_->set_peer(id,
                         {host, static_cast<std::uint16_t>(std::stoul(text.substr(colon + 1)))});
    }
  const auto was_there = facts_ ? facts_->nodes.contains(options_.id) : true;
  map_ = std::make_shared<cluster_map>(
      make_map(facts, options_.cluster, options_.id, engine_.shard_count()));
  if (was_there && !facts.nodes.contains(options_.id)) {
    registered_ = false; // a lease that was revoked, or a hand that has erased it
    wake_.notify_all();
  }
  facts_ = std::move(facts);
}

void cluster_node::tell_machines(const cluster_facts& facts) {
  for (const auto& [shard, e] : facts.shards) {
    if (shard.value >= hosts_->count()) continue;
    auto& told = told_[shard];
    if (e.revision <= told) continue;
    told = e.revision;
    events_.push_back({shard, event::authority_read{e.revision, e.value}});
  }
  wake_.notify_all();
}

void cluster_node::tell_who_lives(const cluster_facts& facts) {
  for (const auto& [shard, e] : facts.shards)
    if (shard.value < hosts_->count())
      events_.push_back(
          {shard, event::nodes_seen{live_members(facts, e.value, options_.id, refusing_)}});
}

void cluster_node::tell_placement(const cluster_facts& facts) {
  if (facts.config &&
      facts.config->value.min_isr != std::exchange(min_isr_told_, facts.config->value.min_isr))
    for (std::uint32_t i = 0; i < hosts_->count(); ++i)
      events_.push_back({shard_id{i}, event::min_isr_wanted{min_isr_told_}});
  if (!facts.desired) return;
  const auto& all = facts.desired->value.shards;
  for (std::uint32_t i = 0; i < hosts_->count() && i < all.size(); ++i)
    events_.push_back({shard_id{i}, event::members_wanted{all[i]}});
}

void cluster_node::take_orders(const cluster_facts& facts) {
  for (const auto& [shard, e] : facts.orders) {
    if (e.value.node != options_.id || !e.value.answer.empty() || shard.value >= hosts_->count())
      continue;
    if (!orders_.emplace(shard, e.revision).second) continue;
    spdlog::warn("shard {}: an operator gives up what this copy does not have", shard.value);
    events_.push_back({shard, event::accept_loss{}});
  }
}

void cluster_node::answer_order(shard_id shard, const op_status& what) {
  etcd::revision_t revision = 0;
  {
    std::lock_guard guard{mutex_};
    const auto at = orders_.find(shard);
    if (at == orders_.end()) return;
    revision = at->second;
  }
  const auto key = names_.order(shard);
  const etcd::shard_order answered{options_.id, what.ok() ? "ok" : what.message()};
  etcd_->txn({.compares = {{key, etcd::compare::target::mod_revision, revision}},
              .success = {etcd::put_request{key, etcd::to_value(answered), 0}},
              .failure = {}},
             [this, shard](const etcd::txn_result&) {
               std::lock_guard guard{mutex_};
               orders_.erase(shard); // unanswered, it is taken up again by the next list
             });
}

void cluster_node::read_shard(shard_id shard) {
  const auto key = names_.shard(shard);
  etcd_->range({.keys = {key}}, [this, shard, key](op_result<etcd::range_answer> got) {
    if (!got || got->keys.empty()) return; // asked again by the machine
    auto record = etcd::read_shard_record(key, got->keys[0].value);
    if (!record) {
      std::lock_guard guard{mutex_};
      list_wanted_ = true; // which complains
      return;
    }
    post({shard, event::authority_read{got->keys[0].mod_revision, std::move(*record)}});
  });
}

void cluster_node::change_shard(shard_id shard, std::uint64_t revision, const authority& value) {
  const auto key = names_.shard(shard);
  etcd_->txn({.compares = {{key, etcd::compare::target::mod_revision, revision}},
              .success = {etcd::put_request{key, etcd::to_value(value), 0}},
              .failure = {}},
             [this, shard, revision, value](const etcd::txn_result& got) {
               using outcome = etcd::txn_result::outcome;
               switch (got.what) {
               case outcome::done:
                 counts_.changes.fetch_add(1, std::memory_order_relaxed);
                 return post({shard, event::authority_read{got.header.revision, value}});
               case outcome::compare_failed:
                 counts_.changes_lost.fetch_add(1, std::memory_order_relaxed);
                 return post({shard, event::compare_failed{revision}});
               case outcome::unknown:
                 counts_.changes_unknown.fetch_add(1, std::memory_order_relaxed);
                 return;
               case outcome::not_done:
                 return; // the machine tries again
               }
             });
}

// The key nodes/<id>

etcd::node_record cluster_node::own_record() const {
  const auto at = [&](const std::string& listen_host, std::uint16_t port) {
    const auto& host = options_.advertise.empty() ? listen_host : options_.advertise;
    return links::to_string(links::peer_address{host, port});
  };
  return {boot_id{file_.boot}, file_.instance,
          options_.zone,       at(options_.links.listen.host, network_->port()),
          addresses_->rpc,     addresses_->resp,
          addresses_->http,    at(options_.checkpoints.host, checkpoints_->port())};
}

/// On the keeper's thread.
void cluster_node::on_lease(const etcd::lease_news& news) {
  using event = etcd::lease_news::event;
  if (news.what == event::doubtful)
    spdlog::warn("etcd has not answered for the time of a lease: reads and writes go on, nothing "
                 "can be reconfigured");
  std::lock_guard guard{mutex_};
  if (news.what == event::granted) {
    lease_id_ = news.lease;
    registered_ = false;
  }
  wake_.notify_all();
}

op_status cluster_node::put_record(etcd::lease_id_t lease) {
  const auto key = names_.node(options_.id);
  const auto got = etcd::range_now(*etcd_, {.keys = {key}});
  if (!got) return got.status();
  etcd::revision_t revision = 0;
  if (!got->keys.empty()) {
    const auto& kv = got->keys[0];
    revision = kv.mod_revision;
    const auto there = etcd::read_node_record(kv.key, kv.value);
    // One that cannot be read goes with its lease, if it has one.
    if (!there && kv.lease != 0) return there.status();
    if (there && (there->instance != file_.instance || there->boot.value > file_.boot))
      return {op_code::already_exists,
              fmt::format("node {} runs already, with another data folder, at {}: give this one "
                          "another id, or wait until that one is gone",
                          options_.id.value, there->nodes)};
  }
  const auto done = etcd::txn_now(
      *etcd_, {.compares = {{key, etcd::compare::target::mod_revision, revision}},
               .success = {etcd::put_request{key, etcd::to_value(own_record()), lease}},
               .failure = {}});
  return done.what == etcd::txn_result::outcome::done
             ? op_status{}
             : op_status{op_code::unavailable, "etcd: " + key + " was not written"};
}

/// After the first time, when the key went with its lease, or a hand has erased it.
void cluster_node::renew_record(moment now) {
  std::string value;
  etcd::lease_id_t lease = 0;
  {
    std::lock_guard guard{mutex_};
    if (registered_ || lease_id_ == 0 || now - renewed_at_ < 1 * seconds) return;
    renewed_at_ = now;
    lease = lease_id_;
    value = etcd::to_value(own_record());
  }
  etcd_->put({names_.node(options_.id), std::move(value), lease},
             [this, lease](const op_result<etcd::put_answer>& got) {
               std::lock_guard guard{mutex_};
               if (got && lease == lease_id_) registered_ = true;
             });
}

bool cluster_node::wait_until_registered() {
  auto keeper = etcd::lease_keeper::create(
      *etcd_,
      {.ttl = std::chrono::duration_cast<std::chrono::seconds>(options_.lease),
       .keepalive = options_.lease * 3 / 10},
      [this](const etcd::lease_news& news) { on_lease(news); });
  if (!keeper) {
    give_up(keeper.status().message());
    return false;
  }
  lease_ = std::move(*keeper);
  std::string said;
  for (;;) {
    etcd::lease_id_t lease = 0;
    {
      std::unique_lock lock{mutex_};
      wake_.wait(lock, [this] { return stops_ || (lease_id_ != 0 && addresses_); });
      if (stops_) return false;
      lease = lease_id_;
    }
    auto status = put_record(lease);
    if (status.ok()) {
      std::lock_guard guard{mutex_};
      registered_ = lease == lease_id_;
      if (registered_) return true;
      continue;
    }
    if (status.message() != said) spdlog::error("not in the cluster: {}", status.message());
    said = status.message();
    say(std::move(status));
    if (!rest(register_again)) return false;
  }
}

} // namespace warp::cluster
