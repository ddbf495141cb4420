#include "cluster/node/cluster_node.hpp"

#include "cluster/etcd/blocking_calls.hpp"
#include "cluster/node/shard_port.hpp"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <utility>

namespace warp::cluster {

using namespace replication;
using ms = std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

/// The machines are told the time so often.
constexpr ms tick_interval{20};
/// Between two tries of what etcd, or another node, is to answer.
constexpr ms patience{500};
/// Expired keys of one shard that are removed in one turn.
constexpr std::size_t sweep_keys = 64;

storage::file_system& files_of(const storage::engine& engine) {
  auto* files = engine.options().files;
  return files ? *files : storage::posix_file_system();
}

} // namespace

// Begin and end

op_result<std::shared_ptr<cluster_node>>
cluster_node::make(cluster_node_options options, storage::engine& engine,
                   std::function<void(const std::string&)> fatal) {
  if (!engine.options().replicated)
    return op_status{op_code::invalid_argument, "the universe was not opened as one of a cluster"};
  if (options.id.value == 0)
    return op_status{op_code::invalid_argument, "cluster.node: ids of nodes begin with 1"};
  auto names = etcd::key_names::of(options.cluster);
  if (!names) return names.status();
  if (auto status = etcd::check(options.etcd); !status.ok()) return status;
  if (auto status = links::check(options.links); !status.ok()) return status;
  auto file = begin_start(files_of(engine), engine.options().folder, options.cluster, options.id,
                          static_cast<std::uint64_t>(std::time(nullptr)));
  if (!file) return file.status();
  return std::shared_ptr<cluster_node>{new cluster_node{
      std::move(options), engine, std::move(*names), std::move(*file), std::move(fatal)}};
}

cluster_node::cluster_node(cluster_node_options options, storage::engine& engine,
                           etcd::key_names names, node_file file,
                           std::function<void(const std::string&)> fatal)
    : options_(std::move(options)), engine_(engine), files_(files_of(engine)),
      names_(std::move(names)), file_(std::move(file)), fatal_(std::move(fatal)),
      hosts_(std::make_unique<shard_hosts>(engine)),
      installing_(std::make_unique<std::atomic<bool>[]>(engine.shard_count())),
      map_(std::make_shared<cluster_map>(
          make_map({}, options_.cluster, options_.id, engine.shard_count()))),
      balancer_(engine.shard_count(), {}) {}

cluster_node::~cluster_node() {
  stop(steady_clock::now());
  engine_.set_executor(nullptr);
}

op_status cluster_node::start() {
  std::lock_guard guard{mutex_};
  if (std::exchange(started_, true))
    return {op_code::unavailable, "the cluster's part of a node starts once in a process"};
  hosts_->tell_of_turns(*this);
  engine_.set_executor(hosts_.get());
  engine_.add_round_listener(*this);
  thread_ = std::thread{[this] { run(); }};
  return {};
}

void cluster_node::stop(steady_clock::time_point) {
  {
    std::lock_guard guard{mutex_};
    if (!started_ || std::exchange(stops_, true)) return;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  // Whoever may run a machine ends before what machines call.
  if (network_) network_->stop(steady_clock::now() + ms{500});
  watch_.reset();
  lease_.reset();
  couriers_.reset();
  checkpoints_.reset();
  engine_.remove_round_listener(*this);
  if (copies_open_) hosts_->stop();
  etcd_.reset();
}

op_status cluster_node::mark_stopped() {
  return copies_open_ ? hosts_->mark_stopped() : op_status{};
}

void cluster_node::hand_over(ms bound) {
  const auto until = steady_clock::now() + bound;
  std::size_t given = 0;
  for (;;) {
    const auto now = map();
    std::size_t left = 0;
    for (std::uint32_t i = 0; copies_open_ && i < hosts_->count(); ++i)
      left += serves(shard_id{i}) && give_away(shard_id{i}, *now);
    given = std::max(given, left);
    if (left == 0 || steady_clock::now() >= until || !rest(tick_interval)) break;
  }
  if (given != 0) spdlog::info("handed over {} shards", given);
}

/// False: there is nobody to give it to.
bool cluster_node::give_away(shard_id shard, const cluster_map& map) {
  for (const auto to : map.shards[shard.value].isr) {
    const auto* node = map.find(to);
    if (to == options_.id || !node || !node->live) continue;
    hosts_->handle(shard, event::move_requested{to, false}); // once it is under way, ignored
    return true;
  }
  return false;
}

void cluster_node::give_up(const std::string& why) {
  spdlog::critical("{}", why);
  say({op_code::io_error, why});
  fatal_(why);
}

void cluster_node::say(op_status condition) {
  std::lock_guard guard{mutex_};
  condition_ = std::move(condition);
}

bool cluster_node::rest(ms time) {
  std::unique_lock lock{mutex_};
  wake_.wait_for(lock, time, [this] { return stops_; });
  return !stops_;
}

void cluster_node::announce(client_addresses addresses) {
  std::lock_guard guard{mutex_};
  addresses_ = std::move(addresses);
  wake_.notify_all();
}

void cluster_node::run() {
  auto client = etcd::client::create({.connection = options_.etcd});
  if (!client) return give_up(client.status().message());
  etcd_ = std::move(*client);
  etcd::cluster_config config;
  if (!wait_for_config(config)) return;
  if (auto status = accept(config); !status.ok()) return give_up(status.message());
  if (auto status = open_links(config); !status.ok()) return give_up(status.message());
  if (!wait_until_registered()) return;
  if (auto status = open_copies(config); !status.ok()) return give_up(status.message());
  auto watch = etcd::prefix_watch::create(*etcd_, {.prefix = names_.prefix()},
                                          [this](const etcd::doorbell& bell) { ring(bell); });
  if (!watch) return give_up(watch.status().message());
  watch_ = std::move(*watch);
  say({});
  spdlog::info("cluster \"{}\": node {} is linked on port {}, and has joined", options_.cluster,
               options_.id.value, network_->port());
  pump();
}

bool cluster_node::wait_for_config(etcd::cluster_config& config) {
  std::string said;
  do {
    const auto got = etcd::range_now(*etcd_, {.keys = {names_.config()}});
    op_status why;
    if (!got) {
      why = {op_code::unavailable, "etcd does not answer: " + got.status().message()};
    } else if (got->keys.empty()) {
      why = {op_code::unavailable,
             fmt::format("there is no cluster \"{}\" in this etcd yet: make it with 'warp cluster "
                         "init'",
                         options_.cluster)};
    } else {
      auto read = etcd::read_cluster_config(got->keys[0].key, got->keys[0].value);
      if (read) {
        config = std::move(*read);
        return true;
      }
      why = read.status();
    }
    if (why.message() != said) spdlog::warn("waiting: {}", why.message());
    said = why.message();
    say(std::move(why));
  } while (rest(patience));
  return false;
}

/// Whether this node can be one of that cluster.
op_status cluster_node::accept(const etcd::cluster_config& config) {
  if (config.shards != engine_.shard_count())
    return {op_code::invalid_argument,
            fmt::format("the cluster \"{}\" has {} shards, and this data folder {}: start this "
                        "node in a new folder with storage.shards = {}",
                        options_.cluster, config.shards, engine_.shard_count(), config.shards)};
  if (config.slots != etcd::equal_slots(config.shards))
    return {op_code::not_supported,
            fmt::format("etcd: {}: its slots are not equal ranges, the only ones that this version "
                        "knows",
                        names_.config())};
  if (config.log_format != 1 || config.message_format != links::envelope_format)
    return {op_code::not_supported,
            fmt::format("the cluster \"{}\" has log format {} and message format {}, this version "
                        "knows 1 and {}: run the same version of warpd on all nodes",
                        options_.cluster, config.log_format, config.message_format,
                        links::envelope_format)};
  return join_cluster(files_, engine_.options().folder, file_, config.id);
}

op_status cluster_node::open_links(const etcd::cluster_config& config) {
  const links::node_identity self{links::cluster_id{config.id}, options_.cluster, options_.id,
                                  boot_id{file_.boot}, file_.instance};
  auto network = links::peer_network::make(self, options_.links, *this);
  if (!network) return network.status();
  network_ = std::move(*network);
  if (auto status = network_->start(); !status.ok()) return status;
  auto server =
      links::checkpoint_server::start(self, options_.checkpoints, options_.links.tls, files_);
  if (!server) return server.status();
  checkpoints_ = std::move(*server);
  couriers_ = std::make_unique<checkpoint_couriers>(
      engine_, *checkpoints_,
      checkpoint_couriers::surroundings{
          self, options_.links.tls,
          [this](node_id node) -> std::optional<links::peer_address> {
            std::lock_guard guard{mutex_};
            if (!facts_) return {};
            const auto at = facts_->nodes.find(node);
            if (at == facts_->nodes.end()) return {};
            const auto& text = at->second.value.checkpoints;
            const auto colon = text.rfind(':');
            if (colon == std::string::npos) return {};
            auto host = text.substr(0, colon);
            if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
            return links::peer_address{
                host, static_cast<std::uint16_t>(std::stoul(text.substr(colon + 1)))};
          },
          [this](shard_id shard, lsn_t end) {
            post({shard, event::checkpoint_coming{end}});
          },
          [this](const checkpoint_couriers::arrival& a) {
            installing_[a.shard.value] = true;
            const auto status = hosts_->checkpoint_arrived(a.shard, a.max_epoch, a.path);
            installing_[a.shard.value] = false;
            if (status.ok())
              spdlog::info("shard {}: took a checkpoint of another copy", a.shard.value);
            else
              spdlog::warn("shard {}: the checkpoint that came is of no use: {}", a.shard.value,
                           status.to_string());
          }});
  return {};
}

op_status cluster_node::open_copies(const etcd::cluster_config& config) {
  replication_host_options host;
  host.machine.level = config.level;
  host.machine.min_isr = config.min_isr;
  host.first_boot = file_.boot;
  for (std::uint32_t i = 0; i < engine_.shard_count(); ++i) {
    ports_.push_back(std::make_unique<shard_port>(*this, shard_id{i}));
    if (auto status = hosts_->open(shard_id{i}, options_.id, host, *ports_.back()); !status.ok())
      return status;
  }
  copies_open_ = true;
  return {};
}

// The pump: one thread that tells the machines what has happened

void cluster_node::post(event_for what) {
  std::lock_guard guard{mutex_};
  events_.push_back(std::move(what));
  wake_.notify_all();
}

/// The network's thread tells the machines: what they answer leaves with what it answers itself.
void cluster_node::on_round() noexcept {
  if (copies_open_ && !round_.exchange(true)) network_->wake();
}

void cluster_node::on_turn() noexcept {
  tell_of_round();
}

void cluster_node::tell_of_round() {
  if (copies_open_ && round_.exchange(false))
    hosts_->on_round([this](shard_id s) { return !installing_[s.value]; });
}

void cluster_node::pump() {
  auto next_tick = steady_clock::now();
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait_until(lock, next_tick, [this] {
      return stops_ || !events_.empty() || (list_wanted_ && !list_under_way_);
    });
    if (stops_) return;
    auto events = std::exchange(events_, {});
    const bool lists = list_wanted_ && !list_under_way_;
    if (lists) {
      list_wanted_ = false;
      list_under_way_ = true;
    }
    lock.unlock();
    std::vector<event_for> later;
    for (auto& e : events) {
      if (installing_[e.shard.value])
        later.push_back(std::move(e));
      else
        hosts_->handle(e.shard, std::move(e.what));
    }
    if (lists) list();
    if (const auto now = steady_clock::now(); now >= next_tick) {
      next_tick = now + tick_interval;
      tell_of_round(); // where the network did not
      tick(boot_time());
    }
    lock.lock();
    for (auto& e : later) events_.push_back(std::move(e)); // with the next tick at the latest
    if (!later.empty()) wake_.wait_until(lock, next_tick, [this] { return stops_; });
  }
}

void cluster_node::tick(moment now) {
  for (std::uint32_t i = 0; i < hosts_->count(); ++i)
    if (!installing_[i]) hosts_->handle(shard_id{i}, event::tick{});
  // One shard after the other, each about once a second.
  const auto turn =
      static_cast<std::uint32_t>(now / (20 * replication::milliseconds)) % hosts_->count();
  if (!installing_[turn]) hosts_->sweep(shard_id{turn}, sweep_keys);

  renew_record(now);

  std::vector<std::vector<node_id>> desired;
  std::shared_ptr<const cluster_map> map;
  {
    std::lock_guard guard{mutex_};
    if (facts_ && facts_->desired) desired = facts_->desired->value.shards;
    map = map_;
  }
  const auto move = balancer_.next(
      *map, desired, [this](shard_id s) { return serves(s); }, now);
  if (!move) return;
  counts_.moves.fetch_add(1, std::memory_order_relaxed);
  hosts_->handle(move->first, event::move_requested{move->second, false});
}

// Links

void cluster_node::on_messages(node_id, std::vector<links::shard_message> messages) {
  if (!copies_open_) return; // sent again
  shard_hosts::turn all{*hosts_};
  for (auto& m : messages)
    if (m.shard.value < hosts_->count() && !installing_[m.shard.value])
      hosts_->handle(m.shard, event::received{std::move(m.what)}, all);
}

void cluster_node::on_link(const links::link_event& what) {
  if (what.linked)
    spdlog::info("node {}: linked", what.node.value);
  else
    spdlog::warn("node {}: not linked: {}", what.node.value, what.reason.message());
  std::lock_guard guard{mutex_};
  std::erase(refusing_, what.node);
  if (!what.linked && what.refused) {
    refusing_.push_back(what.node);
    for (std::uint32_t i = 0; copies_open_ && i < hosts_->count(); ++i)
      events_.push_back({shard_id{i}, event::node_gone{what.node}});
  }
  list_wanted_ = true;
  wake_.notify_all();
}

std::shared_ptr<const cluster_map> cluster_node::map() const {
  std::lock_guard guard{mutex_};
  return map_;
}

op_status cluster_node::health() const {
  std::lock_guard guard{mutex_};
  if (!condition_.ok()) return condition_;
  std::size_t headless = 0;
  for (const auto& s : map_->shards) {
    const auto* primary = map_->find(s.primary);
    headless += s.epoch == 0 || !primary || !primary->live;
  }
  if (headless == 0) return {};
  return {op_code::unavailable,
          fmt::format("cluster \"{}\": {} of {} shards have no primary that is known to live",
                      options_.cluster, headless, map_->shards.size())};
}

} // namespace warp::cluster
