#pragma once

#include "storage/backup_manifest.hpp"
#include "storage/backup_repository.hpp"
#include "storage/backup_restore.hpp"
#include "storage/backup_verify.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <atomic>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace warp::testing {

struct hand_clock final : storage::clock {
  explicit hand_clock(std::uint64_t us) : now(us) {}
  std::atomic<std::uint64_t> now;
  [[nodiscard]] std::uint64_t now_us() const noexcept override { return now; }
  void advance(std::uint64_t us) { now += us; }
};

/// What a universe holds, as a map.
struct plain_record {
  std::string value;
  std::uint64_t expires_at_ms = 0;
  friend bool operator==(const plain_record&, const plain_record&) = default;
};
using plain_contents = std::map<std::string, plain_record>;

inline plain_contents contents_of(storage::engine& engine) {
  plain_contents all;
  storage::scan_page page;
  do {
    REQUIRE(engine.scan(page.next_cursor, "", 100, page).ok());
    for (const auto& e : page.entries)
      all[std::string{e.key}] = {std::string{e.value}, e.expires_at_ms};
  } while (page.next_cursor != 0);
  return all;
}

/// A universe in memory files that writes at random, and the map that it should be. Writes are at
/// level sync, so a moment between two of them is the same in the log.
class backup_source {
public:
  explicit backup_source(faulty_file_system& files, std::uint64_t seed, std::uint32_t streams = 2)
      : files_(files), random_(seed), streams_(streams) {
    start();
  }

  void start() {
    auto options = small_options("data");
    options.files = &files_;
    options.wal_streams = streams_;
    options.segment_bytes = 64 * 1024;
    options.wal_max_bytes = 64u << 20;
    options.checkpoints_kept = 1;
    options.hold_log_for_backups = hold_log;
    options.time = time;
    db.emplace(options);
  }
  void stop() {
    REQUIRE(db->stop().ok());
    db.reset();
  }
  /// As after SIGKILL: what was not synced is gone.
  void crash() {
    db.reset();
    files_.crash(crash_policy::drop_all);
  }

  /// Some random writes; afterwards the clock moves on.
  void write(int count) {
    for (int i = 0; i < count; ++i) write_one();
    time->advance(1'000'000);
  }

  /// What is there now.
  [[nodiscard]] plain_contents contents() {
    const auto now_ms = time->now_ms();
    std::erase_if(model_, [&](const auto& entry) {
      return entry.second.expires_at_ms != 0 && entry.second.expires_at_ms <= now_ms;
    });
    return model_;
  }

  storage::backup_manifest back_up(storage::backup_store& store) {
    auto made = (*db)->back_up(store);
    INFO(made.status().to_string());
    REQUIRE(made.ok());
    time->advance(1'000'000);
    return std::move(*made);
  }

  std::shared_ptr<hand_clock> time = std::make_shared<hand_clock>(1'700'000'000'000'000);
  bool hold_log = true; ///< from the next start() on
  std::optional<running_engine> db;

private:
  std::uint64_t number(std::uint64_t below) { return random_() % below; }
  std::string random_key() { return "key" + std::to_string(number(120)); }
  std::string random_value() {
    const auto kind = number(20);
    // Incompressible ones above the blob limit, text, and empty ones.
    std::string value(kind == 0 ? 20'000 + number(20'000) : kind == 1 ? 0 : number(300), '\0');
    const bool text = number(2) == 0;
    for (auto& c : value) c = static_cast<char>(text ? 'a' + number(4) : number(256));
    return value;
  }

  void write_one() {
    const auto what = number(10);
    const auto now_ms = time->now_ms();
    const auto expiry = number(4) == 0 ? now_ms + 1'000 + number(40'000) : 0;
    auto& engine = *db;
    static_cast<void>(contents()); // forgets what has expired
    if (what < 5) {
      const auto key = random_key(), value = random_value();
      REQUIRE(engine
                  .run({.kind = op_kind::put,
                        .level = durability::sync,
                        .key = key,
                        .value = value,
                        .expires_at_ms = expiry})
                  .code == op_code::ok);
      model_[key] = {value, expiry};
    } else if (what < 7) {
      const auto key = random_key();
      const auto code = engine.erase(key, durability::sync).code;
      REQUIRE(code == (model_.erase(key) != 0 ? op_code::ok : op_code::not_found));
    } else if (what < 8) {
      const auto key = random_key();
      const auto known = model_.find(key);
      const auto code = engine
                            .run({.kind = op_kind::expire,
                                  .level = durability::sync,
                                  .key = key,
                                  .expires_at_ms = expiry})
                            .code;
      REQUIRE(code == (known != model_.end() ? op_code::ok : op_code::not_found));
      if (known != model_.end()) known->second.expires_at_ms = expiry;
    } else {
      transaction();
    }
  }

  /// Puts the same value under some keys, over shards.
  void transaction() {
    std::vector<std::string> keys;
    for (auto n = 2 + number(4); n > 0; --n)
      if (auto key = random_key(); std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    const auto value = "t" + random_value();
    std::vector<operation> operations;
    for (const auto& key : keys)
      operations.push_back(
          {.kind = op_kind::put, .level = durability::sync, .key = key, .value = value});
    std::vector<storage::op_reply> replies(operations.size());
    storage::value_arena arena;
    auto& engine = **db;
    REQUIRE(engine.execute_atomic(operations, replies, arena) == op_code::ok);
    REQUIRE(engine.wait_durable(replies, std::chrono::steady_clock::now() +
                                             std::chrono::seconds{30}) == op_code::ok);
    for (const auto& key : keys) model_[key] = {value, 0};
  }

  faulty_file_system& files_;
  std::mt19937_64 random_;
  const std::uint32_t streams_;
  plain_contents model_;
};

/// Restores into a folder of its own, opens it with the clock at that moment, and returns what is
/// in it.
inline op_result<plain_contents> restored(storage::backup_store& store, storage::file_system& files,
                                          const std::string& folder,
                                          storage::restore_options options, std::uint64_t now_us) {
  options.threads = 2;
  auto done = storage::restore_backup(store, files, folder, options);
  if (!done) return done.status();
  auto opened = small_options(folder);
  opened.files = &files;
  opened.shard_count = 0;
  opened.time = std::make_shared<hand_clock>(now_us);
  running_engine db{opened};
  return contents_of(*db);
}

} // namespace warp::testing
