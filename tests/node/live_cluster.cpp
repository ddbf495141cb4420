#include "tests/node/live_cluster.hpp"

#include <stdexcept>
#include <thread>

namespace warp::testing {

using namespace std::chrono_literals;
using cluster::cluster_node;

live_node::live_node(std::uint32_t id, const std::string& etcd, std::uint32_t shards)
    : id_(id), etcd_(etcd), shards_(shards) {
  start();
}

void live_node::start() {
  storage::engine_options options;
  options.folder = folder_.path();
  options.shard_count = shards_;
  options.wal_streams = 1;
  options.segment_bytes = 4u << 20;
  options.replicated = true;
  auto opened = storage::engine::open(options);
  if (!opened) throw std::runtime_error(opened.status().to_string());
  db_ = std::move(*opened);
  driver_.emplace(*db_);
  cluster::cluster_node_options node;
  node.cluster = "c";
  node.id = id_;
  node.etcd.endpoints = {etcd_};
  node.checkpoints = {"127.0.0.1", 0};
  auto made = cluster_node::make(node, *db_, [this](const std::string& why) {
    std::lock_guard guard{mutex_};
    fatal_ = why;
  });
  if (!made) throw std::runtime_error(made.status().to_string());
  node_ = std::move(*made);
  if (auto status = node_->start(); !status.ok()) throw std::runtime_error(status.to_string());
  node_->announce({"127.0.0.1:1", "127.0.0.1:2", ""});
}

void live_node::stop() {
  if (!node_) return;
  node_->stop(std::chrono::steady_clock::now() + 1s);
  driver_.reset();
  if (db_->close().ok()) static_cast<void>(node_->mark_stopped());
  node_.reset();
  db_.reset();
}

std::string live_node::fatal() {
  std::lock_guard guard{mutex_};
  return fatal_;
}

op_code live_node::settle(const storage::op_reply& reply, bool writes) {
  if (reply.durable_at == 0) return reply.code;
  const auto code = db_->wait_durable({&reply, 1}, std::chrono::steady_clock::now() + 30s);
  if (code == op_code::ok) return reply.code;
  return writes ? op_code::outcome_unknown : op_code::unavailable;
}

op_code live_node::put(std::string_view key, std::string_view value) {
  operation op;
  op.kind = op_kind::put;
  op.key = key;
  op.value = value;
  storage::op_reply reply;
  storage::value_arena arena;
  db_->execute({&op, 1}, {&reply, 1}, arena);
  return settle(reply, true);
}

std::pair<op_code, std::string> live_node::get(std::string_view key) {
  operation op;
  op.kind = op_kind::get;
  op.key = key;
  storage::op_reply reply;
  storage::value_arena arena;
  db_->execute({&op, 1}, {&reply, 1}, arena);
  const auto code = settle(reply, false);
  return {code, code == op_code::ok ? std::string{reply.value} : std::string{}};
}

bool comes_true(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + 30s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

live_node* server_of(std::string_view key, const std::vector<std::unique_ptr<live_node>>& nodes) {
  for (const auto& n : nodes)
    if (n && n->serves(key)) return n.get();
  return nullptr;
}

} // namespace warp::testing
