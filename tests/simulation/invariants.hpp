#pragma once

#include "cluster/replication/replica.hpp"
#include "tests/simulation/model_disk.hpp"
#include "tests/simulation/model_etcd.hpp"
#include "tests/simulation/model_table.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace warp::testing {

/// What a node shows the judge.
struct node_view {
  const cluster::replication::replica* machine = nullptr; ///< nullptr: not running
  const model_disk* disk = nullptr;
  const model_table* table = nullptr;
};

/// Watches a run from outside, where everything is seen at once, and remembers the first rule that
/// was broken (I1 to I7, I9, I10, I12, I13; histories are judged at the end of a run). One for each
/// shard.
class invariants {
public:
  invariants(cluster::replication::replication_options options, const model_etcd& etcd)
      : options_(options), etcd_(etcd) {}

  void watch(std::vector<node_view> nodes) { nodes_ = std::move(nodes); }
  node_view& node(std::size_t i) { return nodes_[i]; }

  /// The key has changed (I1, I4). With it a loss may have been accepted (R11): from here on the
  /// truth is what the copy has that was named, and what others have kept of before is history.
  void authority_changed();
  /// A node says something in an epoch (I2).
  void sent(std::size_t node, epoch_t epoch);
  /// A record was written to a copy's log (I6).
  void logged(std::size_t node, const cluster::replication::log_record& record);
  /// A copy has begun a reign (I1, I5).
  void reigns(std::size_t node);
  /// A copy says that everything up to an LSN is committed (I4, I6, I7, I13). `primary`: it
  /// decides.
  void committed(std::size_t node, lsn_t lsn, bool primary);
  /// A copy has applied what it knows to be committed (I10).
  void applied(std::size_t node, lsn_t lsn);
  /// A copy has become what a checkpoint holds, of a sender with this max_epoch (R1).
  void installed(std::size_t node, epoch_t epoch);
  /// A write was acknowledged at the level of the shard (I3).
  void acknowledged(lsn_t lsn);
  /// From time to time: what is in flight and what may have to be undone is bounded (I12).
  void bounded(std::size_t node);
  /// A copy that may forget all that is applied and on disk keeps so many records in memory (I12).
  void kept(std::size_t node, std::size_t records);
  /// A process has ended or begun (I9, I4).
  void restarted(std::size_t node);
  void broken(std::string what);
  /// Called when a loss was accepted.
  void on_loss(std::function<void()> accepted) { on_loss_ = std::move(accepted); }

  [[nodiscard]] const std::string& violation() const { return violation_; }
  [[nodiscard]] std::size_t commits() const { return log_.size(); }
  /// Of what is committed in all.
  [[nodiscard]] lsn_t committed_lsn() const { return log_.empty() ? 0 : log_.back().lsn; }
  using request_name = std::pair<std::uint32_t, std::uint32_t>; ///< client, number
  struct loss {
    std::set<request_name> requests; ///< whose effects were given up
    model_table table;               ///< what is left
  };
  [[nodiscard]] const std::vector<loss>& losses() const { return losses_; }

private:
  struct truth {
    lsn_t lsn;
    epoch_t epoch;
    std::uint64_t hash, table_hash;
    epoch_t by; ///< the reign of the primary that committed it
    std::optional<model_effect> effect;
  };
  using world = std::vector<truth>;
  void loss_accepted();
  void add(truth what);
  /// Whether a copy that was not reached yet has, at its LSN, what was the truth before a loss.
  [[nodiscard]] const truth* before_a_loss(lsn_t lsn, std::uint64_t hash) const;
  [[nodiscard]] static const truth* find(const world& in, lsn_t lsn);
  [[nodiscard]] const truth* at(lsn_t lsn) const { return find(log_, lsn); }
  [[nodiscard]] bool on_disk(std::size_t node, const truth& t) const;
  void check_members(const char* when);
  static std::string name(cluster::replication::member m);

  cluster::replication::replication_options options_;
  const model_etcd& etcd_;
  std::vector<node_view> nodes_;
  std::string violation_;
  world log_;               ///< what is committed
  std::vector<world> past_; ///< what was, at each loss
  std::vector<loss> losses_;
  std::function<void()> on_loss_;
  model_table reference_;
  std::map<epoch_t, cluster::replication::member> primaries_;
  std::map<std::pair<lsn_t, epoch_t>, std::uint64_t> hashes_;
  std::map<cluster::replication::member, lsn_t> commits_;
  std::set<request_name> requests_;
  epoch_t last_epoch_ = 0, reset_epoch_ = 0;
};

} // namespace warp::testing
