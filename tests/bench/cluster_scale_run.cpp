#include "tests/bench/cluster_scale_run.hpp"

#include "cluster/replication/replica.hpp"
#include "tests/simulation/event_queue.hpp"
#include "tests/simulation/sim_random.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <utility>

namespace warp::bench {

using namespace cluster::replication;
using testing::event_queue;

namespace {

constexpr event_queue::time second = 1'000'000;
constexpr event_queue::time loss_at = 3 * second;
/// Leases have to end before anybody knows who is gone for good.
constexpr event_queue::time lease = 10 * second;
constexpr event_queue::time end_at = 60 * second;
/// What waits for so long is not sent: its client gives up.
constexpr double patience = 3 * second;

class big_cluster {
public:
  explicit big_cluster(const scale_run& what)
      : what_(what), random_(1), lost_(what.lost.begin(), what.lost.end()),
        keys_(what.plan.size()) {
    for (std::size_t s = 0; s < keys_.size(); ++s) {
      authority first{1, member_of(what.plan[s][0]), {}, {}, 0};
      for (const auto n : what.plan[s]) first.isr.push_back(member_of(n));
      keys_[s].value = first;
      for (const auto n : what.plan[s]) add(s, n);
    }
  }

  scale_figures go() {
    run_until(loss_at);
    for (auto& k : keys_) k.lost_primary = lost_.contains(k.value.primary.node);
    const auto half =
        static_cast<std::size_t>(std::ranges::count(keys_, true, &key::lost_primary) / 2);
    for (auto& c : copies_)
      if (lost_.contains(c->node)) c->is_up = false;
    figures_ = {};
    told_ = loss_at + lease;
    std::size_t back = 0;
    queue_.after(lease, [this] { tell_plan(); });
    while (queue_.now() < end_at) {
      run_until(queue_.now() + 50'000);
      std::size_t served = 0, whole = 0;
      back = 0;
      for (std::size_t s = 0; s < keys_.size(); ++s) {
        const bool now = is_served(s);
        served += now ? 1 : 0;
        back += now && keys_[s].lost_primary ? 1 : 0;
        whole += now && queue_.now() > told_ && is_whole(s) ? 1 : 0;
      }
      const auto since = static_cast<double>(queue_.now() - loss_at) / second;
      if (figures_.served_half_s == 0 && back >= half) figures_.served_half_s = since;
      if (figures_.served_s == 0 && served == keys_.size()) figures_.served_s = since;
      if (whole == keys_.size()) {
        figures_.whole_s = static_cast<double>(queue_.now() - told_) / second;
        figures_.ended = true;
        break;
      }
    }
    return figures_;
  }

private:
  struct copy {
    std::size_t shard;
    node_id node;
    replica machine;
    bool is_up = true;
  };
  struct key {
    authority value;
    std::uint64_t revision = 1;
    std::vector<copy*> copies;
    bool lost_primary = false;
  };

  static member member_of(node_id n) { return {n, boot_id{1}}; }

  void add(std::size_t shard, node_id node) {
    auto& made = *copies_.emplace_back(
        std::make_unique<copy>(copy{shard, node, replica{{}, member_of(node), {}, queue_.now()}}));
    keys_[shard].copies.push_back(&made);
    feed(made, event::authority_read{keys_[shard].revision, keys_[shard].value});
    feed(made, event::nodes_seen{live(shard)});
    queue_.after(random_.between(0, 50'000), [this, &made] { tick(made); });
  }
  /// Of the members; leases last.
  [[nodiscard]] std::vector<member> live(std::size_t shard) const {
    auto all = keys_[shard].value.isr;
    if (told_ != 0 && queue_.now() >= told_)
      std::erase_if(all, [&](const member& m) { return lost_.contains(m.node); });
    return all;
  }
  void tell_plan() {
    for (std::size_t s = 0; s < keys_.size(); ++s) {
      for (const auto n : what_.after[s])
        if (std::ranges::none_of(keys_[s].copies, [&](copy* c) { return c->node == n; })) add(s, n);
      for (auto* c : keys_[s].copies) {
        feed(*c, event::nodes_seen{live(s)});
        feed(*c, event::members_wanted{what_.after[s]});
      }
    }
  }
  void tick(copy& c) {
    if (!c.is_up) return;
    feed(c, event::tick{});
    queue_.after(50'000, [this, &c] { tick(c); });
  }
  void run_until(event_queue::time end) {
    while (queue_.run_next(end)) continue;
  }
  [[nodiscard]] bool is_served(std::size_t shard) const {
    return std::ranges::any_of(keys_[shard].copies,
                               [](copy* c) { return c->is_up && c->machine.serves(); });
  }
  [[nodiscard]] bool is_whole(std::size_t shard) const {
    const auto& isr = keys_[shard].value.isr;
    const auto& wanted = what_.after[shard];
    return isr.size() == wanted.size() && std::ranges::all_of(isr, [&](const member& m) {
             return std::ranges::find(wanted, m.node) != wanted.end();
           });
  }

  void feed(copy& c, replica_event e) {
    if (!c.is_up) return;
    for (auto& a : c.machine.step(e, queue_.now())) std::visit([&](auto& what) { on(c, what); }, a);
  }
  void later(event_queue::time delay, copy& c, replica_event e) {
    queue_.after(delay, [this, &c, e = std::move(e)] { feed(c, e); });
  }

  /// Has etcd do something that takes so long, behind what it has to do already.
  void at_etcd(double us, std::function<void()> done) {
    const auto now = static_cast<double>(queue_.now());
    const auto begins = std::max(etcd_free_, now);
    figures_.etcd_waits_s = std::max(figures_.etcd_waits_s, (begins - now) / second);
    if (begins - now > patience) {
      ++figures_.given_up;
      return;
    }
    etcd_free_ = begins + us;
    queue_.after(static_cast<event_queue::time>(etcd_free_ - now), std::move(done));
  }

  void on(copy& c, action::send& a) {
    for (auto* to : keys_[c.shard].copies)
      if (to->node == a.to) later(random_.between(200, 1'000), *to, event::received{a.what});
  }
  void on(copy& c, action::write_wal& a) { later(1'000, c, event::wal_synced{a.position}); }
  void on(copy& c, action::read_authority&) {
    ++figures_.reads;
    at_etcd(what_.read_us, [this, &c] {
      const auto& k = keys_[c.shard];
      later(500, c, event::authority_read{k.revision, k.value});
    });
  }
  void on(copy& c, action::compare_and_set& a) {
    ++figures_.asked;
    at_etcd(what_.change_us, [this, &c, a] {
      auto& k = keys_[c.shard];
      if (k.revision != a.compared_revision)
        return later(500, c, event::compare_failed{a.compared_revision});
      k.value = a.value;
      ++k.revision;
      ++figures_.changes;
      later(500, c, event::authority_read{k.revision, k.value});
      for (auto* other : k.copies)
        if (other != &c) later(random_.between(500, 2'000), *other, event::authority_doorbell{});
    });
  }
  template <class Other>
  void on(copy&, Other&) {}

  const scale_run& what_;
  testing::sim_random random_;
  event_queue queue_;
  std::set<node_id> lost_;
  std::vector<key> keys_;
  std::vector<std::unique_ptr<copy>> copies_;
  double etcd_free_ = 0;
  event_queue::time told_ = 0;
  scale_figures figures_;
};

} // namespace

scale_figures run(const scale_run& what) {
  return big_cluster{what}.go();
}

} // namespace warp::bench
