#pragma once

#include "cluster/node/cluster_node.hpp"
#include "cluster/operate/cluster_operator.hpp"
#include "storage/stream_threads.hpp"
#include "tests/support/etcd_process.hpp"
#include "tests/support/temp_folder.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace warp::testing {

/// A node of a cluster in this process, as warpd has it but for the servers.
class live_node {
public:
  live_node(std::uint32_t id, const std::string& etcd, std::uint32_t shards = 4);
  ~live_node() { stop(); }

  [[nodiscard]] cluster::cluster_node& node() { return *node_; }
  [[nodiscard]] storage::engine& engine() { return *db_; }
  [[nodiscard]] cluster::replication::node_id id() const { return id_; }
  /// What made it give up; empty: nothing.
  [[nodiscard]] std::string fatal();

  /// Cleanly; start() takes the same folder up.
  void stop();
  void start();

  /// A write at the cluster's level, or a read, answered when it may be told.
  op_code put(std::string_view key, std::string_view value);
  std::pair<op_code, std::string> get(std::string_view key);
  [[nodiscard]] bool serves(std::string_view key) { return node_->serves(db_->shard_of(key)); }

private:
  op_code settle(const storage::op_reply& reply, bool writes);

  const cluster::replication::node_id id_;
  const std::string etcd_;
  const std::uint32_t shards_;
  temp_folder folder_;
  std::unique_ptr<storage::engine> db_;
  std::optional<storage::stream_threads> driver_;
  std::shared_ptr<cluster::cluster_node> node_;
  std::mutex mutex_;
  std::string fatal_;
};

/// Looks until it holds, for half a minute at most: what other processes and threads bring about
/// here has no event that a test could wait for.
[[nodiscard]] bool comes_true(const std::function<bool()>& condition);

/// Who serves the key now, among these; null: nobody.
[[nodiscard]] live_node* server_of(std::string_view key,
                                   const std::vector<std::unique_ptr<live_node>>& nodes);

} // namespace warp::testing
