#include "tests/support/test_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <random>
#include <set>
#include <string>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

constexpr std::uint32_t shards = 4;

/// What was written, beside the log: batches per shard in order, and what was seen as durable.
struct model {
  struct batch {
    std::vector<std::pair<lsn_t, std::string>> records;
    int transaction = 0; ///< 0: none
  };
  std::vector<std::vector<batch>> history{shards};
  std::vector<lsn_t> durable = std::vector<lsn_t>(shards);
  std::vector<lsn_t> handed_out = std::vector<lsn_t>(shards);
  std::set<int> whole; ///< transactions that were durable in some shard
  int transactions = 0;

  void observe(test_log& log) {
    for (std::uint32_t s = 0; s < shards; ++s) {
      durable[s] = std::max(durable[s], log.log(s).durable_lsn());
      for (const auto& b : history[s])
        if (b.transaction != 0 && b.records.back().first <= durable[s]) whole.insert(b.transaction);
    }
  }

  /// Compares what came back, and forgets what was legitimately lost.
  void check(const replayed_log& log) {
    REQUIRE(log.status.ok());
    std::map<int, int> kept, parts;
    for (std::uint32_t s = 0; s < shards; ++s) {
      auto& batches = history[s];
      const auto& got = log.shards[s].records;
      std::size_t at = 0, count = 0;
      for (; count < batches.size() && at < got.size(); ++count) {
        const auto& want = batches[count].records;
        REQUIRE(got.size() - at >= want.size()); // a batch is there as a whole
        for (const auto& record : want) REQUIRE(got[at++] == record);
        if (batches[count].transaction != 0) ++kept[batches[count].transaction];
      }
      REQUIRE(at == got.size()); // nothing invented
      for (const auto& b : batches)
        if (b.transaction != 0) ++parts[b.transaction];
      for (; batches.size() > count; batches.pop_back()) // what was durable is there
        REQUIRE(batches.back().records.front().first > durable[s]);
      REQUIRE(log.survey.shard(shard_id{s}).next > handed_out[s]);
    }
    for (const auto& [transaction, n] : kept) REQUIRE(n == 2);
    for (const auto transaction : whole) REQUIRE(kept[transaction] == 2);
  }
};

} // namespace

TEST_CASE("after any crash what was durable is there, batches and transactions are whole, LSNs "
          "never repeat",
          "[storage][wal][crash]") {
  const auto seed = GENERATE(range(1u, 120u));
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  faulty_file_system files;
  test_log_options options;
  options.streams = 1 + static_cast<std::uint32_t>(random() % 3);
  options.stream.frame_bytes = 500 + random() % 5'000;
  test_log log{files, options};
  model expected;

  for (int life = 0; life < 4; ++life) {
    // The power may go at any write, sync, rename of a start, of a run, or of a stop.
    files.power_off_after(random() % 60);
    log.options.direct = random() % 2 == 0 ? direct_io::on : direct_io::off;
    const auto streams = log.options.streams;
    if (log.open().ok()) {
      for (int step = 0; step < 60; ++step) {
        const auto s = static_cast<std::uint32_t>(random() % shards);
        const auto what = random() % 10;
        if (what < 3) {
          log.round(static_cast<std::uint32_t>(random() % streams));
          expected.observe(log);
        } else if (what == 3) {
          std::lock_guard guard{log.lock(s)};
          if (log.log(s).admit() == op_code::ok) expected.handed_out[s] = log.log(s).assign_lsn();
        } else if (what == 4) {
          const auto other = (s + 1 + static_cast<std::uint32_t>(random() % (shards - 1))) % shards;
          const std::vector<std::uint32_t> both{std::min(s, other), std::max(s, other)};
          const auto key = "t" + std::to_string(++expected.transactions);
          const auto lsns = log.put_all(both, key, "v");
          if (lsns.empty()) continue;
          for (int i = 0; i < 2; ++i) {
            expected.history[both[i]].push_back({{{lsns[i], key + "=v"}}, expected.transactions});
            expected.handed_out[both[i]] = lsns[i];
          }
        } else {
          std::lock_guard guard{log.lock(s)};
          const auto n = 1 + random() % 4;
          if (log.log(s).admit(n) != op_code::ok) continue;
          model::batch batch;
          for (std::uint64_t i = 0; i < n; ++i) {
            const std::string key = std::to_string(random() % 50), value(random() % 1'500, 'v');
            log_record r;
            r.lsn = expected.handed_out[s] = log.log(s).assign_lsn();
            r.key = key;
            r.value = value;
            log.log(s).append(r);
            batch.records.emplace_back(r.lsn, key + "=" + value);
          }
          log.log(s).commit();
          expected.history[s].push_back(std::move(batch));
        }
      }
      if (random() % 4 == 0) {
        for (std::uint32_t s = 0; s < streams; ++s)
          if (!log.stream(s).flush().ok()) break;
        expected.observe(log);
        static_cast<void>(log.close());
      }
      if (random() % 3 == 0)
        log.options.streams = 1 + static_cast<std::uint32_t>(random() % 3); // for the next start
    }
    log.drop();
    const auto policies = {crash_policy::random, crash_policy::random, crash_policy::drop_all,
                           crash_policy::keep_all};
    files.crash(*(policies.begin() + random() % 4), random());
    expected.check(test_log::read(files, shards));
    // A second crash takes back nothing that a recovery has read.
    files.crash(crash_policy::drop_all);
    expected.check(test_log::read(files, shards));
  }
}

TEST_CASE("a power failure at any point of a start leaves a log that starts",
          "[storage][wal][crash]") {
  const auto direct = GENERATE(direct_io::on, direct_io::off);
  for (std::uint64_t at = 0;; ++at) {
    faulty_file_system files;
    test_log_options options;
    options.streams = 2;
    options.direct = direct;
    test_log log{files, options};
    REQUIRE(log.open().ok());
    log.put(0, "a", "1");
    log.put_all({0, 1}, "t", "2");
    log.put(1, "b", "3");
    log.rounds();
    log.put_all({2, 3}, "u", "4"); // stream 1 does not write its part
    log.round(0);
    log.drop();
    files.crash(crash_policy::keep_all);

    files.power_off_after(at);
    const bool started = log.open().ok();
    log.drop();
    files.crash(crash_policy::random, at);
    REQUIRE(log.open().ok());
    CHECK(log.recovered.shards[0].values.size() == 2);
    CHECK(log.recovered.shards[1].values.size() == 2);
    CHECK(log.recovered.shards[2].values.empty());
    CHECK(log.recovered.shards[3].values.empty());
    if (started) break;
  }
}

TEST_CASE("what a recovery has read after a failed sync is on disk afterwards",
          "[storage][wal][crash]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  log.put(0, "a", "1");
  files.inject({.operation = file_operation::sync, .times = 1});
  CHECK_FALSE(log.round());
  log.drop(); // the process, not the machine: its unsynced bytes are still readable
  REQUIRE(log.open().ok());
  const auto seen = log.recovered.shards[0].values;
  log.put(0, "b", "2");
  REQUIRE(log.round());
  log.drop();
  files.crash(crash_policy::drop_all);
  const auto all = test_log::read(files, shards);
  REQUIRE(all.status.ok());
  CHECK(seen.size() == 1);
  CHECK(all.shards[0].values.size() == 2);
}

TEST_CASE("a block that is written again keeps what was synced in it, whatever part arrives",
          "[storage][wal][crash][direct]") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    faulty_file_system files;
    test_log_options options;
    options.direct = direct_io::on;
    test_log log{files, options};
    REQUIRE(log.open().ok());
    std::vector<std::pair<lsn_t, std::string>> synced;
    for (int i = 0; i < 8; ++i) { // several rounds in each block
      const auto value = std::string(400 + seed % 7 * 150, 'v');
      synced.emplace_back(log.put(0, std::to_string(i), value), std::to_string(i) + "=" + value);
      REQUIRE(log.round());
    }
    log.put(0, "last", std::string(3'000, 'w'));
    files.power_off_after(1); // the write is under way, its sync never comes
    CHECK_FALSE(log.round());
    log.drop();
    files.crash(crash_policy::random, seed);
    const auto all = test_log::read(files, shards);
    REQUIRE(all.status.ok());
    REQUIRE(all.shards[0].records.size() >= synced.size());
    CHECK(std::equal(synced.begin(), synced.end(), all.shards[0].records.begin()));
  }
}
