#include "tests/simulation/model_etcd.hpp"

#include <utility>

namespace warp::testing {

namespace {
/// Shorter than a real one, so that a run sees it end.
constexpr event_queue::time lease_us = 3'000'000;
} // namespace

model_etcd::model_etcd(event_queue& queue, std::uint64_t seed, std::size_t nodes, authority first)
    : queue_(queue), random_(seed, 2), reachable_(nodes, true), value_(std::move(first)) {}

void model_etcd::heal() {
  reachable_.assign(reachable_.size(), true);
  weather_ = {};
}

event_queue::time model_etcd::delay() {
  auto us = random_.between(150, 1'500);
  if (random_.chance(weather_.lateness)) us += random_.between(0, weather_.late_us);
  return us;
}

void model_etcd::request(std::size_t from, std::function<void()> at_server) {
  if (!reachable_[from] || random_.chance(weather_.loss)) return;
  if (random_.chance(weather_.doubling)) queue_.after(delay(), at_server);
  queue_.after(delay(), std::move(at_server));
}

void model_etcd::reply(std::size_t to, std::function<void()> at_client) {
  if (!random_.chance(weather_.loss))
    queue_.after(delay(), [this, to, what = std::move(at_client)] {
      if (reachable_[to]) what();
    });
}

void model_etcd::compare_and_set(std::size_t from, std::uint64_t compared, authority value,
                                 std::function<void(answer)> told) {
  request(from, [this, from, compared, value = std::move(value), told = std::move(told)] {
    const bool holds = compared == revision_;
    if (holds) {
      value_ = value;
      ++revision_;
      for (std::size_t node = 0; node < reachable_.size(); ++node) {
        if (!random_.chance(weather_.watch_loss))
          queue_.after(delay(), [this, node] {
            if (reachable_[node]) ring_(node);
          });
        if (random_.chance(weather_.watch_replay))
          queue_.after(random_.between(0, 2'000'000), [this, node] { ring_(node); });
      }
      changed_();
    }
    reply(from, [told, a = answer{holds, revision_, holds ? value : value_}] { told(a); });
  });
}

void model_etcd::read(std::size_t from, std::function<void(answer)> told) {
  request(from, [this, from, told = std::move(told)] {
    reply(from, [told, a = answer{true, revision_, value_}] { told(a); });
  });
}

void model_etcd::keep_alive(member who) {
  request(who.node.value, [this, who] {
    auto& l = leases_[who.node];
    if (l.who.boot <= who.boot) l = {who, queue_.now() + lease_us};
  });
}

void model_etcd::revoke(std::size_t node) {
  leases_.erase(cluster::replication::node_id{static_cast<std::uint32_t>(node)});
}

void model_etcd::list_nodes(std::size_t from, std::function<void(std::vector<member>)> told) {
  request(from, [this, from, told = std::move(told)] {
    std::vector<member> live;
    for (const auto& [node, l] : leases_)
      if (l.ends > queue_.now()) live.push_back(l.who);
    reply(from, [told, live] { told(live); });
  });
}

} // namespace warp::testing
