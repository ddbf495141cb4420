#include "tests/bench/live_engine.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace warp::bench {

using namespace storage;

namespace {

void require(const op_status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "benchmark: %s\n", status.to_string().c_str());
  std::exit(1);
}

} // namespace

live_engine::live_engine(engine_options options, checkpoints when) {
  if (options.folder.empty()) options.folder = own_folder_.emplace().path();
  open(std::move(options));
  streams_.emplace(*engine_);
  if (when == checkpoints::when_due)
    checkpointer_ = std::jthread([this](std::stop_token stop) {
      while (!stop.stop_requested()) {
        checkpointing_ = true;
        for (const auto shard : engine_->due_checkpoints()) {
          if (stop.stop_requested()) break;
          require(engine_->checkpoint(shard));
        }
        checkpointing_ = false;
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
      }
    });
}

live_engine::live_engine(engine_options options, memory_only) {
  options.folder.clear();
  options.default_level = durability::memory;
  open(std::move(options));
}

std::unique_ptr<live_engine> live_engine::in_memory(engine_options options) {
  return std::unique_ptr<live_engine>(new live_engine(std::move(options), memory_only{}));
}

void live_engine::open(engine_options options) {
  folder_ = options.folder;
  auto opened = engine::open(std::move(options));
  require(opened.status());
  engine_ = std::move(*opened);
}

live_engine::~live_engine() {
  checkpointer_ = {};
  streams_.reset();
  require(engine_->close());
}

void live_engine::settle() {
  if (folder_.empty()) return;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  for (std::uint32_t s = 0; s < engine_->shard_count(); ++s) {
    engine_->request_sync(shard_id{s});
    while (engine_->stats(shard_id{s}).durable_lag_ms != 0 &&
           std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  if (checkpointer_.joinable())
    while ((checkpointing_ || !engine_->due_checkpoints().empty()) &&
           std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
}

void live_engine::checkpoint_all() {
  for (std::uint32_t s = 0; s < engine_->shard_count(); ++s)
    require(engine_->checkpoint(shard_id{s}));
}

shard_stats live_engine::stats() const {
  shard_stats sum;
  for (std::uint32_t s = 0; s < engine_->shard_count(); ++s) {
    const auto one = engine_->stats(shard_id{s});
    sum.gets += one.gets;
    sum.get_hits += one.get_hits;
    sum.puts += one.puts;
    sum.erases += one.erases;
    sum.log_records += one.log_records;
    sum.log_bytes += one.log_bytes;
    sum.stalls += one.stalls;
    sum.lock_waits += one.lock_waits;
    sum.checkpoints += one.checkpoints;
    sum.checkpoint_bytes += one.checkpoint_bytes;
    sum.table.keys += one.table.keys;
    sum.table.key_bytes += one.table.key_bytes;
    sum.table.value_bytes += one.table.value_bytes;
    sum.table.record_bytes += one.table.record_bytes;
    sum.table.free_bytes += one.table.free_bytes;
    sum.table.index_bytes += one.table.index_bytes;
  }
  return sum;
}

} // namespace warp::bench
