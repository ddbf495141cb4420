#pragma once

#include "tests/simulation/model_node.hpp"
#include "tests/simulation/simulation.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace warp::testing {

/// One run: the cluster is set up and judged in `simulation.cpp`, trouble comes from
/// `simulation_troubles.cpp`, plots from `simulation_plots.cpp`, operator and placement are in
/// `simulation_operator.cpp`, what clients saw is judged in `simulation_histories.cpp`.
class simulation_run {
public:
  explicit simulation_run(const simulation_options& options);
  simulation_result go();

private:
  using node_id = cluster::replication::node_id;
  using authority = cluster::replication::authority;

  [[nodiscard]] bool with(trouble t) const {
    return (options_.without >> static_cast<unsigned>(t) & 1) == 0;
  }
  [[nodiscard]] std::size_t some_node() { return random_.below(count_); }
  [[nodiscard]] std::size_t some_shard() { return random_.below(shards_); }
  void after(event_queue::time delay, std::function<void()> what) {
    queue_.after(delay, std::move(what));
  }
  bool until(event_queue::time end);
  [[nodiscard]] std::string violation() const;

  // Trouble
  void set_weather();
  void befall();
  void start_later(std::size_t node, event_queue::time at_most);
  void cut_some(std::size_t node, std::uint64_t detail, event_queue::time how_long);
  void heal();
  void cut_off(std::size_t node, bool on); ///< from all other nodes
  void reach_etcd(std::size_t node, bool on);
  void revoke(std::size_t node);

  // Plots
  struct siege {
    bool on = false, turned = false;
    std::size_t node = 0, from = 0;
    bool whole = true; ///< from everybody; else from one node, and at the turn from everybody
    std::uint64_t number = 0;
  };
  void plot();
  void besiege(std::size_t node, bool whole, std::size_t from);
  void turn(std::uint64_t number);
  void end_siege(std::uint64_t number);
  void lose_members();
  void flood();
  void proposed(std::size_t node, std::size_t shard, const authority& value);

  // Operator and placement
  void operate();
  void place();
  void tell_wanted();
  [[nodiscard]] bool waits_for_operator(std::size_t shard) const;
  void accept_loss(std::size_t shard);
  [[nodiscard]] bool is_whole(std::size_t shard) const;
  [[nodiscard]] bool all_whole() const;

  // Judgement
  void judge_recovery();
  void read_everything();
  void judge_histories(simulation_result& result);

  simulation_options options_;
  sim_random random_;
  scenario about_ = scenario::mixed;
  std::size_t count_ = 3, shards_ = 1, client_count_ = 3;
  bool skewed_ = false; ///< clocks differ by more than rho (I16)
  event_queue queue_;
  recorded_history history_;
  std::unique_ptr<model_network> network_;
  std::unique_ptr<simulation_world> world_;
  std::vector<std::unique_ptr<model_client>> clients_;
  std::vector<std::string> trace_;
  event_queue::time calm_from_ = 0;
  siege siege_;
  std::uint32_t flooded_ = 0;                    ///< writes that nobody waits for
  std::vector<event_queue::time> waiting_since_; ///< of each shard, for its operator; -1: it is not
  std::vector<std::vector<node_id>> wanted_;     ///< of each shard; empty: nobody says
  event_queue::time last_loss_ = 0;
  struct loss_moments {
    std::uint64_t first, second; ///< of the history
  };
  std::vector<std::vector<loss_moments>> losses_; ///< of each shard
};

} // namespace warp::testing
