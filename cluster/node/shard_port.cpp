#include "cluster/node/shard_port.hpp"

#include <ctime>
#include <spdlog/spdlog.h>
#include <variant>

namespace warp::cluster {

using namespace replication;

moment boot_time() {
  timespec t{};
  ::clock_gettime(CLOCK_BOOTTIME, &t);
  return std::int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1'000;
}

moment cluster_node::shard_port::now() {
  return boot_time();
}

void cluster_node::shard_port::send(node_id to, message what) {
  if (std::holds_alternative<checkpoint_request>(what.body))
    node_.couriers_->fetch(to, shard_); // it waits there until one is on offer
  node_.send(to, {shard_, std::move(what)});
}

void cluster_node::shard_port::read_authority() {
  node_.read_shard(shard_);
}

void cluster_node::shard_port::compare_and_set(std::uint64_t compared_revision,
                                               const authority& value) {
  node_.change_shard(shard_, compared_revision, value);
}

void cluster_node::shard_port::offer_checkpoint(node_id to, epoch_t max_epoch) {
  node_.couriers_->offer(to, shard_, max_epoch);
}

void cluster_node::shard_port::loss_decided(const op_status& what) {
  if (what.ok()) {
    node_.counts_.losses_accepted.fetch_add(1, std::memory_order_relaxed);
    spdlog::warn("shard {}: a loss was accepted: this copy is the truth from now on", shard_.value);
  }
  node_.answer_order(shard_, what);
}

void cluster_node::shard_port::checkpoint_outdated() {
  node_.couriers_->outdated(shard_);
}

void cluster_node::shard_port::serving(bool begins, epoch_t epoch) {
  auto& count = begins ? node_.counts_.take_overs : node_.counts_.reigns_ended;
  count.fetch_add(1, std::memory_order_relaxed);
  spdlog::info("shard {}: epoch {}: this node {}", shard_.value, epoch,
               begins ? "is the primary and serves" : "serves no more");
}

void cluster_node::shard_port::halted(const op_status& why) {
  node_.give_up(why.message());
}

} // namespace warp::cluster
