#pragma once

#include "cluster/links/peer_network.hpp"
#include "tests/links/random_messages.hpp"

#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <spdlog/spdlog.h>

namespace warp::cluster::links {

/// Keeps what a network tells, and lets a test wait for it.
class noting_listener final : public link_listener {
public:
  void on_messages(node_id from, std::vector<shard_message> messages) override {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return !held_; });
    ++envelopes;
    for (auto& m : messages) {
      if (m.what.from.node != from) ++strangers;
      got.push_back(std::move(m));
    }
    changed_.notify_all();
  }
  void on_link(const link_event& what) override {
    std::lock_guard guard{mutex_};
    events.push_back(what);
    changed_.notify_all();
  }

  /// While held, on_messages() does not return.
  void hold(bool held) {
    std::lock_guard guard{mutex_};
    held_ = held;
    changed_.notify_all();
  }
  /// Waits until it holds; false after a minute.
  template <class Condition>
  bool wait(Condition condition) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, std::chrono::seconds{60}, condition);
  }
  /// The last event about a node satisfies this.
  bool wait_event(node_id node, const std::function<bool(const link_event&)>& is) {
    return wait([&] {
      for (auto e = events.rbegin(); e != events.rend(); ++e)
        if (e->node == node) return is(*e);
      return false;
    });
  }
  bool wait_linked(node_id node) {
    return wait_event(node, [](const link_event& e) { return e.linked; });
  }
  bool wait_lost(node_id node) {
    return wait_event(node, [](const link_event& e) { return !e.linked; });
  }
  /// A link was ever refused with this.
  bool wait_refusal(node_id node, op_code code) {
    return wait([&] {
      for (const auto& e : events)
        if (e.node == node && e.reason.code() == code) return true;
      return false;
    });
  }

  // Guarded by the mutex: read them in wait(), or when the network is quiet.
  std::vector<shard_message> got;
  std::vector<link_event> events;
  std::size_t envelopes = 0;
  std::size_t strangers = 0; ///< messages that say they are of another node

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
};

/// A node of a test: its listener and its network, started.
struct test_node {
  explicit test_node(node_identity who, link_options how = fast_options()) : self(std::move(who)) {
    spdlog::set_level(spdlog::level::off);
    auto made = peer_network::make(self, std::move(how), seen);
    REQUIRE(made.ok());
    network = std::move(*made);
    const auto started = network->start();
    INFO(started.to_string());
    REQUIRE(started.ok());
  }
  ~test_node() {
    seen.hold(false);
    network.reset();
  }

  static link_options fast_options() {
    link_options o;
    o.retry_min = std::chrono::milliseconds{10};
    o.retry_max = std::chrono::milliseconds{200};
    // What a loaded machine needs; a test that waits for the silence sets less.
    o.silence_max = std::chrono::seconds{20};
    o.dial_max = std::chrono::seconds{10};
    return o;
  }

  void knows(const test_node& other) { knows(other.self.node, other.network->port()); }
  void knows(node_id other, std::uint16_t port) { network->set_peer(other, {"127.0.0.1", port}); }

  [[nodiscard]] link_report report(node_id peer) const {
    for (auto& r : network->report())
      if (r.node == peer) return r;
    return {};
  }
  /// An Append with one record, told apart by its LSN.
  [[nodiscard]] shard_message record(lsn_t lsn, std::string body = "x") const {
    replication::append a{1, lsn - 1, 1, 0, 0, {{lsn, 1, false, std::move(body)}}};
    return {shard_id{7}, {{self.node, self.boot}, std::move(a)}};
  }

  node_identity self;
  noting_listener seen;
  std::unique_ptr<peer_network> network;
};

inline lsn_t lsn_of(const shard_message& m) {
  return std::get<replication::append>(m.what.body).records[0].lsn;
}

} // namespace warp::cluster::links
