#include "tests/simulation/simulation.hpp"

#include "tests/simulation/model_node.hpp"
#include "tests/simulation/trace_text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <utility>

namespace warp::testing {

using namespace cluster::replication;

namespace {

constexpr event_queue::time second = 1'000'000;
/// I14: so long after the last trouble at most.
constexpr event_queue::time recovery_us = 10 * second;

class run {
public:
  explicit run(const simulation_options& options);
  simulation_result go();

private:
  [[nodiscard]] bool with(trouble t) const {
    return (options_.without >> static_cast<unsigned>(t) & 1) == 0;
  }
  [[nodiscard]] std::size_t some_node() { return random_.below(count_); }
  void plan();
  void befall();
  void heal();
  bool until(event_queue::time end);
  [[nodiscard]] bool is_whole() const;
  [[nodiscard]] bool can_go_on() const;
  void judge_histories(simulation_result& result);

  simulation_options options_;
  sim_random random_;
  std::size_t count_ = 3, client_count_ = 3;
  bool skewed_ = false; ///< clocks differ by more than rho (I16)
  event_queue queue_;
  recorded_history history_;
  std::unique_ptr<model_network> network_;
  std::unique_ptr<model_etcd> etcd_;
  std::unique_ptr<invariants> judge_;
  std::unique_ptr<simulation_world> world_;
  std::vector<std::unique_ptr<model_client>> clients_;
  std::vector<std::string> trace_;
  event_queue::time calm_from_ = 0;
};

run::run(const simulation_options& options) : options_(options), random_(options.seed, 3) {
  const auto size = random_.below(20);
  count_ = size < 1 ? 1 : size < 3 ? 2 : size < 14 ? 3 : size < 17 ? 4 : 5;
  replication_options replication;
  replication.level = random_.chance(0.8) ? ack_level::durable : ack_level::replicated;
  replication.min_isr = count_ > 1 && random_.chance(0.4) ? 2 : 1;
  replication.window = 64;
  replication.batch_max = 16;
  replication.authority_reread = 3 * seconds;
  skewed_ = random_.chance(0.08);

  authority first{1, {node_id{0}, boot_id{1}}, {}};
  for (std::size_t i = 0; i < count_; ++i)
    if (i == 0 || !random_.chance(0.1))
      first.isr.push_back({node_id{static_cast<std::uint32_t>(i)}, boot_id{1}});
  network_ = std::make_unique<model_network>(queue_, options.seed, count_ + client_count_);
  etcd_ = std::make_unique<model_etcd>(queue_, options.seed, count_, first);
  judge_ = std::make_unique<invariants>(replication, *etcd_);
  world_ = std::make_unique<simulation_world>(
      simulation_world{queue_, *network_, *etcd_, *judge_, replication, {}, {}, {}, 0});
  if (options.trace)
    world_->trace = [this](std::string line) {
      if (!line.empty())
        trace_.push_back(fmt::format("{:10.3f} ms {}", queue_.now() / 1000.0, line));
    };
  world_->reply = [this](std::uint32_t client, std::size_t from, client_reply reply) {
    network_->send(from, count_ + client,
                   [this, client, reply = std::move(reply)] { clients_[client]->receive(reply); });
  };
  std::vector<node_view> views;
  for (std::size_t i = 0; i < count_; ++i) {
    const auto rate = skewed_ ? 0.4 + 2 * random_.part() : 1 + 0.05 * random_.part();
    world_->nodes.push_back(std::make_unique<model_node>(*world_, options.seed, i, rate));
    views.push_back(world_->nodes[i]->view());
  }
  judge_->watch(std::move(views));
  judge_->authority_changed();
  etcd_->on_watch([this](std::size_t node) { world_->nodes[node]->ring(); });
  etcd_->on_change([this] {
    judge_->authority_changed();
    world_->note([&] { return fmt::format("etcd: revision {}", etcd_->revision()); });
  });
  for (std::uint32_t c = 0; c < client_count_; ++c)
    clients_.push_back(std::make_unique<model_client>(
        queue_, history_, options.seed, c, count_,
        [this, c](std::size_t node, const client_request& r) {
          network_->send(count_ + c, node, [this, node, r] { world_->nodes[node]->receive(r); });
        }));
}

void run::plan() {
  if (with(trouble::bad_network))
    network_->set({.loss = random_.chance(0.5) ? 0.0 : 0.15 * random_.part(),
                   .doubling = 0.1 * random_.part(),
                   .lateness = random_.chance(0.4) ? 0.0 : 0.1 * random_.part(),
                   .late_us = random_.between(5'000, 3 * second)});
  if (with(trouble::bad_etcd))
    etcd_->set({.loss = random_.chance(0.4) ? 0.0 : 0.4 * random_.part(),
                .doubling = 0.3 * random_.part(),
                .lateness = 0.5 * random_.part(),
                .late_us = random_.between(10'000, 4 * second),
                .watch_loss = 0.5 * random_.part(),
                .watch_replay = 0.5 * random_.part()});
  calm_from_ = queue_.now() + options_.trouble_us;
  queue_.after(random_.between(0, 1'500'000), [this] { befall(); });
}

/// One piece of trouble, and the time to the next.
void run::befall() {
  if (queue_.now() >= calm_from_) return;
  const auto node = some_node();
  auto& n = *world_->nodes[node];
  const auto how_long =
      random_.chance(0.5) ? random_.between(20'000, 600'000) : random_.between(600'000, 4 * second);
  const auto start_later = [&](std::size_t which) {
    queue_.after(random_.between(20'000, 2 * second),
                 [this, which] { world_->nodes[which]->start(); });
  };
  const auto what = random_.below(100);
  const auto detail = random_.next();
  if (what < 14) {
    if (with(trouble::crashes)) n.crash(), start_later(node);
  } else if (what < 17) {
    if (with(trouble::crashes))
      for (std::size_t i = 0; i < count_; ++i) world_->nodes[i]->crash(), start_later(i);
  } else if (what < 22) {
    if (with(trouble::clean_stops)) n.stop_cleanly(), start_later(node);
  } else if (what < 32) {
    if (with(trouble::pauses)) n.pause(how_long);
  } else if (what < 58) {
    if (!with(trouble::cuts)) goto next;
    sim_random pick{detail};
    const auto kind = pick.below(4);
    const auto places = count_ + client_count_;
    world_->note([&] {
      return fmt::format("links of node {} are cut, kind {}, for {} ms", node, kind,
                         how_long / 1000);
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
      queue_.after(from, [this, cut] {
        if (queue_.now() < calm_from_) cut(true);
      });
      queue_.after(to, [cut] { cut(false); });
    }
  } else if (what < 68) {
    if (!with(trouble::etcd_outages)) goto next;
    const bool all = (detail & 3) == 0;
    world_->note([&] {
      return fmt::format("etcd is out of reach of {}", all ? "all" : std::to_string(node));
    });
    for (std::size_t i = 0; i < count_; ++i)
      if (all || i == node) etcd_->set_reachable(i, false);
    queue_.after(how_long, [this] {
      for (std::size_t i = 0; i < count_; ++i) etcd_->set_reachable(i, true);
    });
  } else if (what < 74) {
    if (with(trouble::bad_etcd)) etcd_->revoke(node);
  } else if (what < 81) {
    if (with(trouble::bad_disks)) n.slow_disk(queue_.now() + how_long, 20'000 << (detail % 7));
  } else if (what < 83) {
    if (with(trouble::bad_disks)) n.fail_next_sync();
  } else if (what < 85) {
    // With fewer copies than min_isr asks for left of what is on its way, I3 would be no fault.
    if (with(trouble::damage) && world_->options.min_isr == 1) n.damage();
  } else if (what < 93) {
    if (with(trouble::checkpoints)) n.take_checkpoint();
  } else if (with(trouble::moves)) {
    for (auto& each : world_->nodes)
      if (each->serves()) each->move_to(node, (detail & 1) != 0);
  }
next:
  queue_.after(random_.between(30'000, 900'000), [this] { befall(); });
}

void run::heal() {
  world_->note([] { return std::string{"all trouble is over"}; });
  network_->heal();
  etcd_->heal();
  for (auto& n : world_->nodes) {
    n->slow_disk(0, 0);
    n->pause(0);
    n->start();
  }
}

bool run::until(event_queue::time end) {
  while (queue_.run_next(end))
    if (!judge_->violation().empty()) return false;
  return judge_->violation().empty();
}

/// I14: a primary serves and the in-sync set is whole again.
bool run::is_whole() const {
  const auto& a = etcd_->value();
  if (a.isr.size() != count_) return false;
  const auto& primary = *world_->nodes[a.primary.node.value];
  return primary.serves() && primary.machine().reign() == a.epoch &&
         std::ranges::all_of(a.isr, [&](const member& m) {
           const auto& n = *world_->nodes[m.node.value];
           return n.is_up() && n.machine().self() == m;
         });
}

/// A shard waits for an operator when the copies of all its members were damaged, and at level
/// replicated when they have all ended (R11).
bool run::can_go_on() const {
  const bool any_whole = std::ranges::any_of(etcd_->value().isr, [&](const member& m) {
    const auto& n = *world_->nodes[m.node.value];
    return !n.is_up() || !n.machine().incomplete();
  });
  if (!any_whole) return false;
  if (world_->options.level == ack_level::durable) return true;
  return std::ranges::any_of(etcd_->value().isr, [&](const member& m) {
    const auto& n = *world_->nodes[m.node.value];
    return n.is_up() && n.machine().self() == m;
  });
}

/// I8; with clocks that differ too much only of the writes (I16).
void run::judge_histories(simulation_result& result) {
  for (auto& c : clients_) c->finish(history_);
  for (const auto& [key, events] : history_.events()) {
    auto some = events;
    if (skewed_)
      for (auto& e : some)
        if (e.call == register_call::get || e.outcome == register_outcome::not_found ||
            e.outcome == register_outcome::version_mismatch)
          e.outcome = register_outcome::refused;
    const auto verdict = check_linearizable(some, 300'000);
    if (verdict.is == linearizability::undecided) result.undecided = true;
    if (verdict.is == linearizability::no) {
      judge_->broken(fmt::format("I8: no order explains what was answered about '{}':\n{}", key,
                                 verdict.window));
      return;
    }
  }
}

simulation_result run::go() {
  simulation_result result;
  result.setting =
      fmt::format("{} nodes, level {}, min_isr {}{}", count_,
                  world_->options.level == ack_level::durable ? "durable" : "replicated",
                  world_->options.min_isr, skewed_ ? ", clocks beyond rho" : "");
  for (auto& n : world_->nodes) n->start();
  for (auto& c : clients_) c->start();
  plan();
  bool good = until(calm_from_);
  if (good) {
    heal();
    const auto deadline = queue_.now() + recovery_us * (skewed_ ? 3 : 1);
    good = until(queue_.now() + second / 10);
    while (good && !is_whole() && can_go_on() && queue_.now() < deadline)
      good = until(queue_.now() + second / 10);
    if (good && can_go_on() && !is_whole())
      judge_->broken(
          fmt::format("I14: 10 s after the last trouble there is no primary, or the in-sync "
                      "set is not whole: {}",
                      text(etcd_->value())));
    good = judge_->violation().empty();
  }
  if (good) {
    for (auto& c : clients_) c->stop();
    good = until(queue_.now() + 5 * second);
    if (good && can_go_on()) {
      // What was acknowledged is there: the last reads belong to the histories.
      unsigned read = 0;
      for (const auto* key : {"a", "b", "n"})
        clients_[read]->read_once(key, 3 * second,
                                  [&read](bool answered) { read += answered ? 8 : 0; }),
            read = (read & ~7u) | ((read & 7u) + 1);
      good = until(queue_.now() + 3 * second + second / 2);
      if (good && read / 8 != 3)
        judge_->broken("I14: a key cannot be read after all trouble is over");
    }
  }
  if (judge_->violation().empty()) judge_histories(result);
  result.violation = judge_->violation();
  result.trace = std::move(trace_);
  result.fingerprint = world_->fingerprint;
  result.events = queue_.count();
  result.commits = judge_->commits();
  for (const auto& c : clients_) result.answers += c->answers();
  result.reigns = world_->reigns;
  result.epochs = etcd_->value().epoch;
  result.checkpoints = world_->checkpoints_installed;
  result.moves = world_->moves;
  return result;
}

} // namespace

simulation_result simulate(const simulation_options& options) {
  return run{options}.go();
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
