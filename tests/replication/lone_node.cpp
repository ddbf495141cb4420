#include "tests/replication/lone_node.hpp"

#include <catch2/catch_test_macros.hpp>

namespace warp::testing {

using namespace cluster::replication;

void lone_node::start(std::uint32_t shards) {
  auto opened = storage::engine::open({.folder = "data",
                                       .shard_count = shards,
                                       .wal_streams = 1,
                                       .segment_bytes = 1u << 20,
                                       .wal_max_bytes = 64u << 20,
                                       .flush_interval = std::chrono::milliseconds{5},
                                       .replicated = true,
                                       .recovery_threads = 1,
                                       .time = clock_,
                                       .files = &files_});
  INFO(opened.status().to_string());
  REQUIRE(opened.ok());
  db_ = std::move(*opened);
  db_->add_round_listener(listener_);
  hosts_ = std::make_unique<cluster::shard_hosts>(*db_);
  for (std::uint32_t s = 0; s < shards; ++s) {
    around_.push_back(std::make_unique<surroundings>());
    const auto status = hosts_->open(shard_id{s}, node_id{7}, {}, *around_.back());
    INFO(status.to_string());
    REQUIRE(status.ok());
    member self;
    hosts_->look_at(shard_id{s}, [&](const auto& host) { self = host.machine().self(); });
    around_[s]->key = {1, self, {self}};
  }
  engine().set_executor(hosts_.get());
  const auto all_serve = [&] {
    for (std::uint32_t s = 0; s < shards; ++s)
      if (!hosts_->serves(shard_id{s})) return false;
    return true;
  };
  for (int turn = 0; turn < 100 && !all_serve(); ++turn) {
    for (std::uint32_t s = 0; s < shards; ++s) hosts_->handle(shard_id{s}, event::tick{});
    settle();
  }
  REQUIRE(all_serve());
}

void lone_node::settle() {
  for (std::uint32_t s = 0; s < hosts_->count(); ++s) {
    auto& a = *around_[s];
    if (std::exchange(a.was_set, false)) {
      a.key = a.set;
      hosts_->handle(shard_id{s}, event::authority_read{++a.revision, a.key});
    }
    if (std::exchange(a.asked, false))
      hosts_->handle(shard_id{s}, event::authority_read{a.revision, a.key});
  }
  engine().run_stream(0, std::chrono::milliseconds{0});
  hosts_->on_round([](shard_id) { return true; });
}

void lone_node::depose(shard_id shard) {
  auto& a = *around_[shard.value];
  const member other{node_id{8}, boot_id{1}};
  a.key = {a.key.epoch + 1, other, {other}};
  hosts_->handle(shard, event::authority_read{++a.revision, a.key});
}

} // namespace warp::testing
