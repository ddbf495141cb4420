#pragma once

#include "cluster/replication/replica.hpp"
#include "tests/links/link_fixture.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace warp::cluster::links {

/// The authority key of one shard, as etcd would keep it: in memory, linearizable.
class memory_authority {
public:
  explicit memory_authority(replication::authority first) : value_(std::move(first)) {}

  replication::event::authority_read read() {
    std::lock_guard guard{mutex_};
    return {revision_, value_};
  }
  /// What the answer is: the new value, or that the compare did not hold.
  replication::replica_event compare_and_set(const replication::action::compare_and_set& a) {
    std::lock_guard guard{mutex_};
    if (a.compared_revision != revision_)
      return replication::event::compare_failed{a.compared_revision};
    ++revision_;
    value_ = a.value;
    return replication::event::authority_read{revision_, value_};
  }

private:
  std::mutex mutex_;
  std::uint64_t revision_ = 1;
  replication::authority value_;
};

/// One copy of a shard on a thread of its own: the machine, a log in memory that is synced at once,
/// and the real network between nodes.
class wired_replica final : public link_listener {
public:
  wired_replica(node_identity who, memory_authority& etcd, replication::replication_options options)
      : self_(std::move(who)), etcd_(etcd), options_(options) {
    auto made = peer_network::make(self_, test_node::fast_options(), *this);
    REQUIRE(made.ok());
    network_ = std::move(*made);
    const auto started = network_->start();
    INFO(started.to_string());
    REQUIRE(started.ok());
  }
  ~wired_replica() { stop(); }

  void knows(const wired_replica& other) {
    network_->set_peer(other.self_.node, {"127.0.0.1", other.network_->port()});
  }
  void start() {
    thread_ = std::thread{[this] { run(); }};
  }
  /// As a process that ends: nothing is said to anybody.
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    network_.reset();
  }

  [[nodiscard]] replication::member member() const { return {self_.node, self_.boot}; }
  [[nodiscard]] epoch_t serves() const { return serves_; } ///< 0: does not

  /// Hands a write in; its answer comes from answer_of().
  std::uint64_t write(std::string body) {
    std::lock_guard guard{mutex_};
    events_.push_back(replication::event::client_writes{
        {{++tokens_, replication::ack_level::durable, std::move(body)}}});
    changed_.notify_all();
    return tokens_;
  }
  /// Nothing: none within a minute.
  std::optional<op_code> answer_of(std::uint64_t token) {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, std::chrono::seconds{60},
                           [&] { return answers_.contains(token); }))
      return {};
    return answers_.at(token);
  }
  /// What is committed here, in order, without no-ops.
  [[nodiscard]] std::vector<std::string> committed() {
    std::lock_guard guard{mutex_};
    return committed_;
  }
  [[nodiscard]] std::string broken() {
    std::lock_guard guard{mutex_};
    return broken_;
  }
  [[nodiscard]] std::vector<link_report> links() const { return network_->report(); }

  // -- link_listener ----------------------------------------------------------------------------

  void on_messages(node_id, std::vector<shard_message> messages) override {
    std::lock_guard guard{mutex_};
    for (auto& m : messages) events_.push_back(replication::event::received{std::move(m.what)});
    changed_.notify_all();
  }
  void on_link(const link_event&) override {}

private:
  static replication::moment now() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  void run() {
    using namespace replication;
    replica machine{options_, member(), {}, now()};
    lsn_t applied = 0;
    while (!stop_) {
      std::deque<replica_event> work;
      {
        std::unique_lock lock{mutex_};
        changed_.wait_for(lock, std::chrono::milliseconds{10}, [&] { return !events_.empty(); });
        work.swap(events_);
      }
      work.push_back(event::tick{});
      while (!work.empty()) {
        const auto e = std::move(work.front());
        work.pop_front();
        for (auto& a : machine.step(e, now())) perform(machine, applied, work, a);
      }
    }
  }

  void perform(replication::replica& machine, lsn_t& applied,
               std::deque<replication::replica_event>& work, replication::replica_action& a) {
    using namespace replication;
    if (auto* s = std::get_if<action::send>(&a)) {
      static_cast<void>(network_->send(s->to, shard_id{0}, std::move(s->what)));
    } else if (const auto* w = std::get_if<action::write_wal>(&a)) {
      written_ = w->position;
    } else if (std::holds_alternative<action::sync_wal>(a)) {
      work.push_back(event::wal_synced{written_});
    } else if (std::holds_alternative<action::read_authority>(a)) {
      work.push_back(etcd_.read());
    } else if (const auto* c = std::get_if<action::compare_and_set>(&a)) {
      work.push_back(etcd_.compare_and_set(*c));
    } else if (const auto* k = std::get_if<action::committed>(&a)) {
      std::lock_guard guard{mutex_};
      for (const auto& r : machine.log().behind(applied, 1'000'000))
        if (r.lsn <= k->lsn) {
          if (!r.no_op) committed_.emplace_back(r.body);
          applied = r.lsn;
        }
    } else if (const auto* answer = std::get_if<action::answer>(&a)) {
      std::lock_guard guard{mutex_};
      answers_[answer->token] = answer->code;
      changed_.notify_all();
    } else if (const auto* s = std::get_if<action::serving>(&a)) {
      serves_ = s->begins ? s->epoch : 0;
    } else if (const auto* b = std::get_if<action::broken_rule>(&a)) {
      std::lock_guard guard{mutex_};
      broken_ = b->what;
    }
  }

  node_identity self_;
  memory_authority& etcd_;
  replication::replication_options options_;
  std::unique_ptr<peer_network> network_;
  std::uint64_t written_ = 0;
  std::atomic<epoch_t> serves_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<replication::replica_event> events_;
  std::uint64_t tokens_ = 0;
  std::map<std::uint64_t, op_code> answers_;
  std::vector<std::string> committed_;
  std::string broken_;
  std::thread thread_;
};

} // namespace warp::cluster::links
