#pragma once

#include "cluster/cluster_map.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace warp::testing {

/// A cluster whose nodes serve what the test says. Each node has a view of its own, so that some
/// may know more than others. Any thread.
class fake_cluster {
public:
  using node_id = cluster::replication::node_id;

  /// Nodes 1 to `nodes`; nobody serves anything. At most 64 shards.
  fake_cluster(std::uint32_t nodes, std::uint32_t shards) : shards_(shards) {
    cluster::cluster_map map;
    map.name = "test";
    map.shards.resize(shards);
    for (std::uint32_t i = 1; i <= nodes; ++i)
      map.nodes.push_back({.id = node_id{i},
                           .zone = {},
                           .rpc = {},
                           .resp = {},
                           .http = {},
                           .links = {},
                           .live = true});
    for (std::uint32_t i = 1; i <= nodes; ++i) {
      map.self = node_id{i};
      views_.push_back(std::make_unique<view>(map));
    }
  }

  [[nodiscard]] cluster::cluster_view* of(std::uint32_t node) { return views_[node - 1].get(); }

  void addresses(std::uint32_t node, std::string rpc, std::string resp) {
    change_all([&](cluster::cluster_map& map) {
      map.nodes[node - 1].rpc = rpc;
      map.nodes[node - 1].resp = resp;
    });
  }
  void live(std::uint32_t node, bool is) {
    change_all([&](cluster::cluster_map& map) { map.nodes[node - 1].live = is; });
  }
  /// The node is the shard's primary in a new epoch, and everybody knows it.
  void give(std::uint32_t shard, std::uint32_t node, std::vector<std::uint32_t> replicas = {}) {
    for (auto& v : views_) v->serving[shard] = false;
    const auto epoch = ++epochs_[shard];
    for (std::uint32_t i = 1; i <= views_.size(); ++i) tell(i, shard, epoch, node, replicas);
    if (node != 0) views_[node - 1]->serving[shard] = true;
  }
  /// All shards, one after the other, to the nodes in turn.
  void deal() {
    for (std::uint32_t s = 0; s < shards_; ++s)
      give(s, s % static_cast<std::uint32_t>(views_.size()) + 1);
  }
  /// The same without anybody but the two hearing of it: the others, and `behind`, still say what
  /// they knew.
  void give_unheard(std::uint32_t shard, std::uint32_t node) {
    for (auto& v : views_) v->serving[shard] = false;
    tell(node, shard, ++epochs_[shard], node, {});
    views_[node - 1]->serving[shard] = true;
  }
  /// Its primary stops to serve it, and the map does not change.
  void hold(std::uint32_t shard) {
    for (auto& v : views_) v->serving[shard] = false;
  }
  /// What one node knows of a shard. Node 0: nobody.
  void tell(std::uint32_t who, std::uint32_t shard, warp::epoch_t epoch, std::uint32_t primary,
            std::vector<std::uint32_t> replicas = {}) {
    views_[who - 1]->change([&](cluster::cluster_map& map) {
      auto& to = map.shards[shard];
      to.epoch = epoch;
      to.primary = node_id{primary};
      to.isr = {node_id{primary}};
      for (const auto r : replicas) to.isr.push_back(node_id{r});
    });
  }
  [[nodiscard]] warp::epoch_t epoch(std::uint32_t shard) const { return epochs_[shard]; }

private:
  class view final : public cluster::cluster_view {
  public:
    explicit view(const cluster::cluster_map& map)
        : map_(std::make_shared<cluster::cluster_map>(map)) {}
    std::shared_ptr<const cluster::cluster_map> map() const override {
      std::lock_guard lock{mutex_};
      return map_;
    }
    bool serves(shard_id shard) const noexcept override { return serving[shard.value]; }
    template <class Change>
    void change(const Change& how) {
      std::lock_guard lock{mutex_};
      auto next = std::make_shared<cluster::cluster_map>(*map_);
      how(*next);
      map_ = std::move(next);
    }
    std::array<std::atomic<bool>, 64> serving{};

  private:
    mutable std::mutex mutex_;
    std::shared_ptr<const cluster::cluster_map> map_;
  };

  template <class Change>
  void change_all(const Change& how) {
    for (auto& v : views_) v->change(how);
  }

  const std::uint32_t shards_;
  std::array<std::atomic<warp::epoch_t>, 64> epochs_{};
  std::vector<std::unique_ptr<view>> views_;
};

} // namespace warp::testing
