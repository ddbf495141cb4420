#pragma once

#include "storage/engine.hpp"
#include "storage/stream_threads.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace warp::testing {

/// Options for tests: few shards, small segments, a short flush interval.
inline storage::engine_options small_options(std::string folder) {
  return {.folder = std::move(folder),
          .shard_count = 4,
          .wal_streams = 1,
          .segment_bytes = 256 * 1024,
          .wal_max_bytes = 64u << 20,
          .flush_interval = std::chrono::milliseconds{5},
          .recovery_threads = 2};
}

/// An engine with its log threads, and the calls tests make most, one key at a time.
class running_engine {
public:
  explicit running_engine(storage::engine_options options) {
    auto opened = storage::engine::open(std::move(options));
    INFO(opened.status().to_string());
    REQUIRE(opened.ok());
    engine_ = std::move(*opened);
    threads_ = std::make_unique<storage::stream_threads>(*engine_);
  }
  /// Ends without a clean stop: what was not synced may be lost, as in a crash of the process.
  ~running_engine() = default;

  /// A clean stop.
  op_status stop() {
    threads_.reset();
    auto status = engine_->close();
    engine_.reset();
    return status;
  }

  storage::engine& operator*() { return *engine_; }
  storage::engine* operator->() { return engine_.get(); }

  storage::op_reply run(const operation& op) {
    storage::op_reply reply;
    arena_.clear();
    engine_->execute({&op, 1}, {&reply, 1}, arena_);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    if (const auto code = engine_->wait_durable({&reply, 1}, deadline); code != op_code::ok)
      reply.code = code;
    return reply;
  }

  storage::op_reply put(std::string_view key, std::string_view value,
                        durability level = durability::unspecified) {
    return run({.kind = op_kind::put, .level = level, .key = key, .value = value});
  }
  storage::op_reply erase(std::string_view key, durability level = durability::unspecified) {
    return run({.kind = op_kind::erase, .level = level, .key = key});
  }
  storage::op_reply increment(std::string_view key, std::int64_t delta,
                              durability level = durability::unspecified) {
    return run({.kind = op_kind::increment, .level = level, .key = key, .delta = delta});
  }
  storage::op_reply read(std::string_view key) { return run({.kind = op_kind::get, .key = key}); }
  /// The value, or "(code)".
  std::string get(std::string_view key) {
    const auto reply = read(key);
    return reply.code == op_code::ok ? std::string{reply.value}
                                     : "(" + std::string{to_string(reply.code)} + ")";
  }

  /// Everything, by a full scan.
  std::vector<std::pair<std::string, std::string>> everything() {
    std::vector<std::pair<std::string, std::string>> all;
    storage::scan_page page;
    do {
      REQUIRE(engine_->scan(page.next_cursor, "", 100, page).ok());
      for (const auto& e : page.entries) all.emplace_back(e.key, e.value);
    } while (page.next_cursor != 0);
    return all;
  }

private:
  std::unique_ptr<storage::engine> engine_;
  std::unique_ptr<storage::stream_threads> threads_;
  storage::value_arena arena_;
};

} // namespace warp::testing
