// The kill loop: a real warpd under random load, killed with SIGKILL at random moments, over and
// over on one data folder. The oracle lives in this process and knows every write that was sent and
// how it was answered. After each restart:
//
//   - every write acknowledged at level sync is there, or a later one of the same key;
//   - of the asynchronous writes only a suffix per shard is missing, none at or below a durable LSN
//   that the server had announced;
//   - nothing is torn or invented: every value is one that was sent for its key;
//   - a counter lies between its acknowledged and its sent increments; a transaction over shards is
//   there whole or not at all.
//
//     kill_loop --warpd PATH [--rounds N] [--seed S] [--verbose]

#include "cluster/client.hpp"
#include "tests/support/server_process.hpp"
#include "tests/support/temp_folder.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace warp;
using steady = std::chrono::steady_clock;

constexpr int writers = 4;
constexpr int keys_per_writer = 300;

/// One write of a key, in the order its only writer sent it.
struct sent_write {
  std::string value; ///< empty: an erase
  durability level = durability::async;
  bool answered = false;   ///< acknowledged with ok
  lsn_t version = 0;       ///< of an answered one
  std::uint32_t shard = 0; ///< of an answered one
  steady::time_point answered_at;
};

/// What one writer did since the last restart whose state was checked; the first entry of each key
/// is what the restart showed.
struct key_history {
  std::vector<sent_write> writes;
};

struct failure {
  std::string what;
};

[[noreturn]] void fail(std::string what) {
  throw failure{std::move(what)};
}

std::string make_value(const std::string& key, std::uint64_t number, std::mt19937_64& random) {
  // Mostly small, some beyond the size of a large value, all different.
  const auto size = random() % 50 == 0 ? 20'000 + random() % 60'000 : random() % 300;
  std::string value = key + "#" + std::to_string(number) + "#";
  const char fill = static_cast<char>('a' + random() % 26);
  value.append(size, fill);
  return value + "#end";
}

class oracle {
public:
  explicit oracle(std::uint64_t seed) : seed_(seed) {}

  /// Random writes of writer `w` until `stop`. Each key has one writer, so its writes have an
  /// order.
  void write(client& db, int w, std::uint64_t round, const std::atomic<bool>& stop) {
    std::mt19937_64 random{seed_ * 1'000'003 + round * 131 + static_cast<std::uint64_t>(w)};
    while (!stop) {
      const auto n = random() % 100;
      if (n < 5)
        transaction(db, w);
      else if (n < 12)
        increment(db, w);
      else
        batch(db, w, random);
    }
  }

  /// Compares a restarted server with what was sent; what it shows is the new beginning of every
  /// history.
  void check(client& db, const std::vector<lsn_t>& announced, steady::time_point killed_at) {
    std::map<std::uint32_t, lsn_t> newest_kept;
    std::map<std::uint32_t, lsn_t> oldest_lost;
    for (auto& [key, history] : keys_) {
      const auto reply = db.get(key);
      if (!reply.ok() && reply.code() != op_code::not_found)
        fail("get " + key + ": " + reply.status.to_string());
      const auto shown = reply.ok() ? reply.value : std::string{};
      check_key(key, history, shown, reply.version, announced, killed_at, newest_kept, oldest_lost);
      history.writes.assign(1, {.value = shown, .level = durability::sync, .answered = true});
    }
    for (const auto& [shard, lost] : oldest_lost)
      if (const auto kept = newest_kept.find(shard);
          kept != newest_kept.end() && kept->second > lost)
        fail("shard " + std::to_string(shard) + " lost LSN " + std::to_string(lost) +
             " and kept LSN " + std::to_string(kept->second) + ": what is lost must be a suffix");
    check_counters(db);
    check_transactions(db);
  }

  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] std::uint64_t lost_async() const { return lost_async_; }
  [[nodiscard]] double oldest_lost_ms() const { return oldest_lost_ms_; }

private:
  static std::string key_of(int writer, std::uint64_t n) {
    return "w" + std::to_string(writer) + ":" + std::to_string(n % keys_per_writer);
  }

  void batch(client& db, int w, std::mt19937_64& random) {
    client_batch batch;
    const auto level = random() % 3 == 0 ? durability::sync : durability::async;
    std::vector<std::pair<std::string, std::string>> writes;
    const auto count = 1 + random() % 20;
    for (std::uint64_t i = 0; i < count; ++i) {
      auto key = key_of(w, random());
      // A key comes once in a batch, so that each answer belongs to one write.
      if (std::any_of(writes.begin(), writes.end(),
                      [&](const auto& other) { return other.first == key; }))
        continue;
      if (random() % 8 == 0) {
        batch.erase(key, {.level = level});
        writes.emplace_back(std::move(key), std::string{});
      } else {
        auto value = make_value(key, ++number_, random);
        batch.put(key, value, {.level = level});
        writes.emplace_back(std::move(key), std::move(value));
      }
    }
    {
      std::lock_guard hold{mutex_};
      for (const auto& [key, value] : writes)
        keys_[key].writes.push_back({.value = value, .level = level});
      sent_ += writes.size();
    }
    const auto replies = db.execute(batch);
    const auto now = steady::now();
    std::lock_guard hold{mutex_};
    for (std::size_t i = 0; i < writes.size(); ++i) {
      auto& last = keys_[writes[i].first].writes.back();
      if (replies[i].ok() ||
          (replies[i].code() == op_code::not_found && writes[i].second.empty())) {
        last.answered = true;
        last.version = replies[i].version;
        last.shard = replies[i].shard.value;
        last.answered_at = now;
        ++acknowledged_;
      }
    }
  }

  void increment(client& db, int w) {
    const auto key = "counter" + std::to_string(w);
    {
      std::lock_guard hold{mutex_};
      ++counters_[key].sent;
    }
    const auto reply = db.increment(key, 1, durability::sync);
    std::lock_guard hold{mutex_};
    counters_[key].answered += reply.ok();
  }

  /// The same number under three keys of different shards, in one atomic batch.
  void transaction(client& db, int w) {
    client_batch batch;
    const auto number = std::to_string(++number_);
    for (int part = 0; part < 3; ++part)
      batch.put("t" + std::to_string(w) + ":" + std::to_string(part), number,
                {.level = durability::async});
    static_cast<void>(db.execute_atomic(batch));
  }

  void check_key(const std::string& key, const key_history& history, const std::string& shown,
                 lsn_t version, const std::vector<lsn_t>& announced, steady::time_point killed_at,
                 std::map<std::uint32_t, lsn_t>& newest_kept,
                 std::map<std::uint32_t, lsn_t>& oldest_lost) {
    const auto& writes = history.writes;
    // The latest write that shows this value; equal values are only those of erases.
    std::size_t at = writes.size();
    while (at > 0 && writes[at - 1].value != shown) --at;
    if (at == 0 && !(shown.empty() && (writes.empty() || !has_base(writes))))
      fail("key " + key + " shows a value nobody wrote: " + shown.substr(0, 60));
    // An absent key without an erase that says so: it shows what was before the first write.
    for (std::size_t i = at; i < writes.size(); ++i) {
      const auto& lost = writes[i];
      if (!lost.answered) continue;
      if (lost.value.empty() && shown.empty()) continue;
      if (lost.level == durability::sync)
        fail("key " + key + ": a write acknowledged at level sync is gone (write " +
             std::to_string(i) + " of " + std::to_string(writes.size()) + ", LSN " +
             std::to_string(lost.version) + ")");
      if (lost.version == 0) continue;
      ++lost_async_;
      oldest_lost_ms_ =
          std::max(oldest_lost_ms_,
                   std::chrono::duration<double, std::milli>(killed_at - lost.answered_at).count());
      if (lost.shard < announced.size() && lost.version <= announced[lost.shard])
        fail("key " + key + ": LSN " + std::to_string(lost.version) + " of shard " +
             std::to_string(lost.shard) + " was announced as durable and is gone");
      auto [oldest, fresh] = oldest_lost.emplace(lost.shard, lost.version);
      if (!fresh) oldest->second = std::min(oldest->second, lost.version);
    }
    if (at > 0 && writes[at - 1].answered && writes[at - 1].version != 0 &&
        version == writes[at - 1].version) {
      auto [newest, fresh] = newest_kept.emplace(writes[at - 1].shard, version);
      if (!fresh) newest->second = std::max(newest->second, version);
    }
  }

  /// Does the history begin with what an earlier restart showed?
  static bool has_base(const std::vector<sent_write>& writes) {
    return writes.front().answered && writes.front().version == 0 && !writes.front().value.empty();
  }

  void check_counters(client& db) {
    for (auto& [key, counter] : counters_) {
      const auto reply = db.get(key);
      const auto value = reply.ok() ? std::stoull(reply.value) : 0;
      if (value < counter.base + counter.answered || value > counter.base + counter.sent)
        fail(key + " is " + std::to_string(value) + ", not between " +
             std::to_string(counter.base + counter.answered) + " acknowledged and " +
             std::to_string(counter.base + counter.sent) + " sent increments");
      counter = {.base = value};
    }
  }

  void check_transactions(client& db) {
    for (int w = 0; w < writers; ++w) {
      std::string first;
      for (int part = 0; part < 3; ++part) {
        const auto key = "t" + std::to_string(w) + ":" + std::to_string(part);
        const auto reply = db.get(key);
        if (part == 0)
          first = reply.value;
        else if (reply.value != first)
          fail("transaction of writer " + std::to_string(w) + " is torn: part 0 is '" + first +
               "', part " + std::to_string(part) + " is '" + reply.value + "'");
      }
    }
  }

  struct counter_state {
    std::uint64_t base = 0, answered = 0, sent = 0;
  };

  const std::uint64_t seed_;
  std::mutex mutex_;
  std::map<std::string, key_history> keys_;
  std::map<std::string, counter_state> counters_;
  std::atomic<std::uint64_t> number_{0};
  std::uint64_t sent_ = 0, acknowledged_ = 0, lost_async_ = 0;
  double oldest_lost_ms_ = 0;
};

std::unique_ptr<client> connect(const testing::server_process& server) {
  auto db = client::connect({.addresses = {server.rpc_address()},
                             .deadline = std::chrono::milliseconds{1'500},
                             .connect_deadline = std::chrono::seconds{20}});
  if (!db) fail("cannot connect: " + db.status().to_string());
  return std::move(*db);
}

void run(const std::string& warpd, int rounds, std::uint64_t seed, bool verbose) {
  testing::temp_folder folder;
  oracle model{seed};
  std::mt19937_64 random{seed};
  std::vector<lsn_t> announced;
  auto killed_at = steady::now();
  double longest_recovery_ms = 0;
  for (int round = 0; round <= rounds; ++round) {
    // Small segments and frequent checkpoints, so that rolls, recycling and checkpoints meet the
    // kill as well.
    const auto before = steady::now();
    testing::server_process server{warpd,
                                   {},
                                   {{"WARP_STORAGE_FOLDER", folder / "data"},
                                    {"WARP_RPC_LISTEN", "127.0.0.1:0"},
                                    {"WARP_HTTP_LISTEN", "127.0.0.1:0"},
                                    {"WARP_STORAGE_SEGMENT_SIZE", "1MiB"},
                                    {"WARP_STORAGE_WAL_MAX", "16MiB"},
                                    {"WARP_STORAGE_CHECKPOINT_RECORDS", "2000"}}};
    if (!server.wait_ready(std::chrono::seconds{60}))
      fail("round " + std::to_string(round) + ": warpd did not start:\n" + server.log());
    longest_recovery_ms =
        std::max(longest_recovery_ms,
                 std::chrono::duration<double, std::milli>(steady::now() - before).count());
    {
      auto db = connect(server);
      model.check(*db, announced, killed_at);
      announced.clear();
      if (round == rounds) {
        db.reset();
        if (!server.stop()) fail("warpd did not stop cleanly:\n" + server.log());
        break;
      }
    }

    // All connect before the clock runs: the kill is to meet their writes.
    std::vector<std::unique_ptr<client>> clients;
    for (int w = 0; w < writers; ++w) clients.push_back(connect(server));
    const auto observing = connect(server);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int w = 0; w < writers; ++w)
      threads.emplace_back([&, w] {
        model.write(*clients[static_cast<std::size_t>(w)], w, static_cast<std::uint64_t>(round),
                    stop);
      });
    // Reads what the server announces as durable, until it is gone.
    std::thread observer([&] {
      while (!stop) {
        const auto shards = observing->admin().shards();
        if (!shards) continue;
        announced.resize(shards->size());
        for (const auto& s : *shards) announced[s.shard.value] = s.durable_lsn;
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
      }
    });
    // The random moment of the kill: this wait is the test's subject, not a wait for something.
    std::this_thread::sleep_for(std::chrono::milliseconds{50 + random() % 700});
    killed_at = steady::now();
    server.kill();
    stop = true;
    for (auto& t : threads) t.join();
    observer.join();
    if (verbose)
      std::printf("round %d: %lu sent, %lu acknowledged, %lu asynchronous writes lost so far\n",
                  round + 1, static_cast<unsigned long>(model.sent()),
                  static_cast<unsigned long>(model.acknowledged()),
                  static_cast<unsigned long>(model.lost_async()));
  }
  std::printf("%d kills: %lu writes sent, %lu acknowledged; no write at level sync lost, nothing "
              "torn; %lu asynchronous writes lost, "
              "the oldest acknowledged %.1f ms before the kill (100 ms by design); longest restart "
              "%.0f ms\n",
              rounds, static_cast<unsigned long>(model.sent()),
              static_cast<unsigned long>(model.acknowledged()),
              static_cast<unsigned long>(model.lost_async()), model.oldest_lost_ms(),
              longest_recovery_ms);
}

} // namespace

int main(int argc, char** argv) {
  std::string warpd;
  int rounds = 20;
  std::uint64_t seed = std::random_device{}();
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--warpd" && i + 1 < argc)
      warpd = argv[++i];
    else if (arg == "--rounds" && i + 1 < argc)
      rounds = std::stoi(argv[++i]);
    else if (arg == "--seed" && i + 1 < argc)
      seed = std::stoull(argv[++i]);
    else if (arg == "--verbose")
      verbose = true;
    else {
      std::fprintf(stderr,
                   "kill_loop: unknown argument '%s'; usage: kill_loop --warpd PATH [--rounds N] "
                   "[--seed S] [--verbose]\n",
                   argv[i]);
      return 2;
    }
  }
  std::printf("kill loop: %d rounds, seed %lu\n", rounds, static_cast<unsigned long>(seed));
  std::fflush(stdout);
  try {
    run(warpd, rounds, seed, verbose);
  } catch (const failure& f) {
    std::fprintf(stderr, "kill loop FAILED (seed %lu): %s\n", static_cast<unsigned long>(seed),
                 f.what.c_str());
    return 1;
  }
  return 0;
}
