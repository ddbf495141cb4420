#include "tests/simulation/simulation.hpp"

#include "tests/simulation/simulation_run.hpp"
#include "tests/simulation/trace_text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace warp::testing {

using namespace cluster::replication;

namespace {

constexpr event_queue::time second = 1'000'000;
/// I14: so long after the last trouble at most, or after an operator's decision.
constexpr event_queue::time recovery_us = 10 * second;

scenario scenario_of(sim_random& random) {
  const auto pick = random.below(100);
  return pick < 51   ? scenario::mixed
         : pick < 63 ? scenario::usurpers
         : pick < 71 ? scenario::hand_overs
         : pick < 80 ? scenario::losses
         : pick < 89 ? scenario::placements
         : pick < 96 ? scenario::rebuilds
                     : scenario::laggards;
}

} // namespace

std::string_view to_string(scenario s) {
  constexpr std::string_view names[scenarios] = {"mixed",      "usurpers", "hand-overs", "losses",
                                                 "placements", "rebuilds", "laggards"};
  return names[static_cast<std::size_t>(s)];
}

simulation_run::simulation_run(const simulation_options& options)
    : options_(options), random_(options.seed, 3) {
  about_ = scenario_of(random_);
  if (options.about) about_ = *options.about;
  const auto size = random_.below(20);
  count_ = size < 1 ? 1 : size < 3 ? 2 : size < 14 ? 3 : size < 17 ? 4 : 5;
  if (about_ == scenario::placements) count_ = 4 + size % 2;
  if (about_ != scenario::mixed) count_ = std::max<std::size_t>(count_, 3);
  shards_ = random_.chance(0.75) ? 1 : 2 + random_.below(3);
  replication_options replication;
  replication.level = random_.chance(0.8) ? ack_level::durable : ack_level::replicated;
  replication.min_isr = count_ > 1 && random_.chance(0.4) ? 2 : 1;
  if (about_ == scenario::placements) replication.min_isr = 1; // there may be one copy
  replication.window = 64;
  replication.loss_leap = 10'000;
  replication.pin_max = random_.chance(0.5) ? 1'000'000 : 400;
  replication.batch_max = std::size_t{2} << (2 * random_.below(3)) >> 1; // 1, 4, 16
  replication.authority_reread = 3 * seconds;
  skewed_ = random_.chance(0.06);
  if (options.skewed) skewed_ = *options.skewed;
  if (options.clock_ratio) skewed_ = *options.clock_ratio > 1 + replication.clock_ratio;
  sim_random more{options.seed, 5};
  replication.reads_log = more.chance(0.4);
  if (about_ == scenario::laggards) {
    replication.reads_log = true;
    replication.window = 8;
    replication.pin_max = 40;
  }
  // Each batch of what is read back takes a read of the disk and a round trip.
  if (replication.reads_log)
    replication.batch_max = std::max<std::size_t>(replication.batch_max, 16);

  network_ = std::make_unique<model_network>(queue_, options.seed, count_ + client_count_);
  world_ = std::make_unique<simulation_world>(simulation_world{queue_, *network_, replication});
  waiting_since_.assign(shards_, -1);
  wanted_.resize(shards_);
  losses_.resize(shards_);
  for (std::size_t s = 0; s < shards_; ++s) {
    const auto first_node = random_.below(count_);
    authority first{1, {node_id{static_cast<std::uint32_t>(first_node)}, boot_id{1}}, {}, {}, 0};
    for (std::uint32_t i = 0; i < count_; ++i)
      if (i == first_node || (about_ == scenario::placements ? i % 2 == 0 : !random_.chance(0.1)))
        first.isr.push_back({node_id{i}, boot_id{1}});
      else if (about_ != scenario::placements)
        first.learners.push_back(node_id{i});
    if (about_ == scenario::placements)
      for (const auto& m : first.isr) wanted_[s].push_back(m.node);
    world_->etcd.push_back(std::make_unique<model_etcd>(queue_, options.seed + s, count_, first));
    world_->judges.push_back(std::make_unique<invariants>(replication, *world_->etcd[s]));
  }
  if (options.trace)
    world_->trace = [this](std::string line) {
      if (!line.empty())
        trace_.push_back(fmt::format("{:10.3f} ms {}", queue_.now() / 1000.0, line));
    };
  world_->reply = [this](std::uint32_t client, std::size_t from, client_reply reply) {
    if (client >= client_count_) return;
    network_->send(from, count_ + client,
                   [this, client, reply = std::move(reply)] { clients_[client]->receive(reply); });
  };
  world_->on_proposal = [this](std::size_t node, std::size_t shard, const authority& value) {
    proposed(node, shard, value);
  };
  for (std::size_t i = 0; i < count_; ++i) {
    auto rate = skewed_ ? 0.4 + 2 * random_.part() : 1 + 0.05 * random_.part();
    if (options.clock_ratio) rate = more.chance(0.5) ? 1 : *options.clock_ratio;
    world_->nodes.push_back(std::make_unique<model_node>(*world_, options.seed, i, rate));
  }
  for (std::size_t s = 0; s < shards_; ++s) {
    std::vector<node_view> views;
    for (auto& n : world_->nodes) views.push_back(n->copy(s).view());
    auto& judge = *world_->judges[s];
    judge.watch(std::move(views));
    judge.authority_changed();
    judge.on_loss([this, s] {
      recorded_history::client clock{history_, 1'000};
      const auto first = clock.begin(register_call::get).began;
      losses_[s].push_back({first, clock.begin(register_call::get).began});
      last_loss_ = queue_.now();
    });
    world_->etcd[s]->on_watch([this, s](std::size_t node) { world_->nodes[node]->ring(s); });
    world_->etcd[s]->on_change([this, s, &judge] {
      judge.authority_changed();
      world_->note([&] {
        return fmt::format("etcd: shard {} has revision {}", s, world_->etcd[s]->revision());
      });
    });
  }
  for (std::uint32_t c = 0; c < client_count_; ++c)
    clients_.push_back(std::make_unique<model_client>(
        queue_, history_, options.seed, c, count_, shards_,
        [this, c](std::size_t node, const client_request& r) {
          network_->send(count_ + c, node, [this, node, r] { world_->nodes[node]->receive(r); });
        }));
}

std::string simulation_run::violation() const {
  for (std::size_t s = 0; s < shards_; ++s)
    if (const auto& v = world_->judges[s]->violation(); !v.empty())
      return shards_ == 1 ? v : fmt::format("{} (shard {})", v, s);
  return {};
}

bool simulation_run::until(event_queue::time end) {
  while (queue_.run_next(end))
    for (const auto& judge : world_->judges)
      if (!judge->violation().empty()) return false;
  return true;
}

void simulation_run::heal() {
  world_->note([] { return std::string{"all trouble is over"}; });
  siege_ = {};
  network_->heal();
  for (auto& e : world_->etcd) e->heal();
  for (auto& n : world_->nodes) {
    n->slow_disk(0, 0);
    n->pause(0);
    n->start();
  }
}

/// I14: a primary serves and the in-sync set is what it should be.
bool simulation_run::is_whole(std::size_t shard) const {
  const auto& a = world_->etcd[shard]->value();
  const auto& wanted = wanted_[shard];
  if (a.isr.size() != (wanted.empty() ? count_ : wanted.size())) return false;
  const auto& primary = world_->nodes[a.primary.node.value]->copy(shard);
  return primary.serves() && primary.machine().reign() == a.epoch &&
         std::ranges::all_of(a.isr, [&](const member& m) {
           const auto& c = world_->nodes[m.node.value]->copy(shard);
           return c.is_up() && c.machine().self() == m &&
                  (wanted.empty() || std::ranges::find(wanted, m.node) != wanted.end());
         });
}

bool simulation_run::all_whole() const {
  for (std::size_t s = 0; s < shards_; ++s)
    if (!is_whole(s)) return false;
  return true;
}

void simulation_run::judge_recovery() {
  const auto patience = recovery_us * (skewed_ ? 3 : 1);
  const auto began = queue_.now();
  auto deadline = began + patience;
  if (!until(queue_.now() + second / 10)) return;
  while (!all_whole() && queue_.now() < deadline && queue_.now() < began + 60 * second) {
    if (!until(queue_.now() + second / 10)) return;
    // An operator takes the time that he takes.
    for (std::size_t s = 0; s < shards_; ++s)
      if (waits_for_operator(s)) deadline = queue_.now() + patience;
    deadline = std::max(deadline, last_loss_ + patience);
  }
  for (std::size_t s = 0; s < shards_; ++s)
    if (!is_whole(s))
      world_->judges[s]->broken(
          fmt::format("I14: 10 s after the last trouble there is no primary, or the in-sync set is "
                      "not whole: {}",
                      text(world_->etcd[s]->value())));
}

/// What was acknowledged is there: the last reads belong to the histories.
void simulation_run::read_everything() {
  for (std::size_t s = 0; s < shards_; ++s) {
    unsigned answered = 0, asked = 0;
    for (const auto* key : {"a", "b", "n"})
      clients_[asked++]->read_once(fmt::format("{}{}", key, s), s, 3 * second,
                                   [&answered](bool ok) { answered += ok ? 1 : 0; });
    if (!until(queue_.now() + 3 * second + second / 2)) return;
    if (answered != asked)
      world_->judges[s]->broken("I14: a key cannot be read after all trouble is over");
  }
}

simulation_result simulation_run::go() {
  simulation_result result;
  result.setting =
      fmt::format("{}, {} nodes, {} shards, level {}, min_isr {}{}", to_string(about_), count_,
                  shards_, world_->options.level == ack_level::durable ? "durable" : "replicated",
                  world_->options.min_isr, skewed_ ? ", clocks beyond rho" : "");
  for (auto& n : world_->nodes) n->start();
  for (auto& c : clients_) c->start();
  if (about_ == scenario::usurpers || about_ == scenario::hand_overs) clients_[0]->only_read();
  if (about_ == scenario::usurpers) clients_[1]->hurry();
  if (about_ == scenario::laggards) after(300'000, [this] { flood(); });
  set_weather();
  calm_from_ = queue_.now() + options_.trouble_us;
  after(random_.between(0, 1'500'000), [this] { befall(); });
  after(random_.between(200'000, 1'500'000), [this] { plot(); });
  after(500'000, [this] { operate(); });
  if (about_ == scenario::placements) after(100'000, [this] { tell_wanted(); });
  if (until(calm_from_)) {
    heal();
    judge_recovery();
  }
  if (violation().empty()) {
    for (auto& c : clients_) c->stop();
    if (until(queue_.now() + 5 * second)) read_everything();
  }
  if (violation().empty()) judge_histories(result);
  result.violation = violation();
  result.trace = std::move(trace_);
  result.fingerprint = world_->fingerprint;
  result.shards = shards_;
  result.events = queue_.count();
  for (const auto& c : clients_) result.answers += c->answers();
  for (std::size_t s = 0; s < shards_; ++s) {
    result.commits += world_->judges[s]->commits();
    result.epochs += world_->etcd[s]->value().epoch;
    result.losses += world_->judges[s]->losses().size();
    for (const auto& l : world_->judges[s]->losses()) result.lost_requests += l.requests.size();
  }
  result.reigns = world_->reigns;
  result.checkpoints = world_->checkpoints_installed;
  result.chunks = world_->chunks;
  result.chunks_resumed = world_->chunks_resumed;
  result.outdated = world_->outdated;
  result.moves = world_->moves;
  result.packets = world_->packets;
  result.messages = world_->messages;
  result.syncs = world_->syncs;
  result.syncs_wanted = world_->syncs_wanted;
  result.read_backs = world_->read_backs;
  result.records_read_back = world_->records_read_back;
  result.refused_full = world_->refused_full;
  result.held_max = world_->held_max;
  return result;
}

simulation_result simulate(const simulation_options& options) {
  return simulation_run{options}.go();
}

std::string shortened(const simulation_options& options) {
  auto least = options;
  least.trace = false;
  const auto rule_of = [](const std::string& violation) { return violation.substr(0, 3); };
  const auto rule = rule_of(simulate(least).violation);
  const auto still = [&](const simulation_options& o) {
    const auto r = simulate(o);
    return !r.violation.empty() && rule_of(r.violation) == rule;
  };
  for (unsigned t = 0; t < troubles; ++t) {
    auto fewer = least;
    fewer.without |= 1u << t;
    if (still(fewer)) least = fewer;
  }
  for (auto us = least.trouble_us / 2; us > 100'000; us /= 2) {
    auto shorter = least;
    shorter.trouble_us = us;
    if (!still(shorter)) break;
    least = shorter;
  }
  least.trace = true;
  const auto r = simulate(least);
  std::string lines = fmt::format("seed {} ({}), without troubles {:#x}, {} ms of them:\n",
                                  options.seed, r.setting, least.without, least.trouble_us / 1000);
  constexpr std::size_t lines_max = 60;
  const auto from = r.trace.size() > lines_max ? r.trace.size() - lines_max : 0;
  for (auto i = from; i < r.trace.size(); ++i) lines += r.trace[i] + '\n';
  return lines + r.violation;
}

} // namespace warp::testing
