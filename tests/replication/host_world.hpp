#pragma once

#include "cluster/replication_host.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace warp::testing {

/// A clock that stands where it is put, or goes on by a step with each look at it.
class standing_clock final : public storage::clock {
public:
  [[nodiscard]] std::uint64_t now_us() const noexcept override { return at_us += step_us; }
  mutable std::atomic<std::uint64_t> at_us{1'800'000'000'000'000};
  std::uint64_t step_us = 0;
};

/// What a client was answered; the views of the reply are copied.
struct host_answer {
  op_code code = op_code::ok;
  lsn_t version = 0;
  std::int64_t number = 0;
  std::string value;
};

/// Nodes with a copy each of one shard: real hosts, engines and data folders, files in memory; a
/// network and an authority key that are queues of calls. One thread; nothing happens but in the
/// calls of a test.
class host_world {
public:
  struct options {
    std::size_t nodes = 3;
    cluster::replication_host_options host;
    std::uint64_t segment_bytes = 64 * 1024;
  };

  explicit host_world(options with);
  host_world() : host_world(options{}) {}
  ~host_world();

  // -- nodes
  void start(std::size_t node);
  /// Power is lost: what is not synced is gone, or what `policy` says.
  void crash(std::size_t node, crash_policy policy = crash_policy::drop_all,
             std::uint64_t seed = 0);
  void stop_cleanly(std::size_t node);
  void cut_off(std::size_t node, bool from_authority = true);
  void connect(std::size_t node);
  [[nodiscard]] bool is_up(std::size_t node) const;
  [[nodiscard]] cluster::replication_host& host(std::size_t node);
  [[nodiscard]] storage::engine& engine(std::size_t node);
  [[nodiscard]] faulty_file_system& files(std::size_t node);
  /// The node that serves, if one does; of several (one is cut off) the one of the highest epoch.
  [[nodiscard]] std::optional<std::size_t> primary() const;

  // -- time
  /// Hands over what is under way, rounds of the logs included, until nothing is.
  void settle();
  /// Lets time pass, in steps of 50 ms, and settles after each.
  void pass(cluster::replication::moment time);
  /// Until somebody serves with all nodes that are up in its set; false: not within 30 s.
  [[nodiscard]] bool heal();
  standing_clock& clock() { return *clock_; }

  // -- clients
  /// The answer, or none yet; `done` keeps growing.
  struct call {
    std::optional<host_answer> answer;
  };
  /// Of operations that are executed together.
  std::vector<std::shared_ptr<call>> ask_all(std::size_t node, std::span<const operation> ops);
  std::shared_ptr<call> ask(std::size_t node, const operation& op);
  /// Asks and settles; no answer: outcome_unknown.
  host_answer run(std::size_t node, const operation& op);
  /// Asks whoever serves, and again where the answer says so, until it is a definite one.
  host_answer insist(const operation& op);

  /// What the table of a node holds, that is committed.
  [[nodiscard]] std::map<std::string, std::string> table(std::size_t node);

  [[nodiscard]] const cluster::replication::authority& key() const { return key_; }
  /// By somebody else.
  void change_key(const cluster::replication::authority& value) {
    key_ = value;
    ++revision_;
  }
  std::size_t checkpoints_sent = 0;
  std::size_t appends_sent = 0; ///< those with records
  std::vector<std::string> halted;
  bool hold_checkpoints = false;

private:
  class node;
  /// An answer that has a ticket, of one life of a node.
  struct waiting {
    std::shared_ptr<call> of;
    std::size_t node;
    std::uint64_t life, ticket;
    host_answer answer;
    bool is_write;
  };
  void look_at_tickets();
  void send(std::size_t from, std::size_t to, cluster::replication::message what);
  void send_checkpoint(std::size_t from, std::size_t to, epoch_t max_epoch);
  [[nodiscard]] bool linked(std::size_t a, std::size_t b) const;

  options options_;
  std::shared_ptr<standing_clock> clock_ = std::make_shared<standing_clock>();
  cluster::replication::moment now_ = 3'600 * cluster::replication::seconds;
  cluster::replication::authority key_;
  std::uint64_t revision_ = 0;
  std::deque<std::function<void()>> under_way_;
  std::vector<std::unique_ptr<node>> nodes_;
  std::vector<waiting> waiting_;
};

} // namespace warp::testing
