// What readers, writers, scans, expiry and compare-and-set mean while all of them run at once.

#include "tests/support/engine_fixture.hpp"
#include "tests/support/temp_folder.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <random>
#include <thread>

using namespace warp;
using namespace warp::storage;
using warp::testing::running_engine;
using warp::testing::small_options;
using warp::testing::temp_folder;

namespace {

std::string key_of(unsigned i) {
  return "key" + std::to_string(100'000 + i);
}

/// A value that says whose it is and which write made it, and of which every byte follows from
/// that: one that is mixed from two of them does not pass check().
std::string make_value(unsigned key, std::uint32_t number, std::size_t size) {
  std::string value(std::max<std::size_t>(size, 8), '\0');
  std::memcpy(value.data(), &key, 4);
  std::memcpy(value.data() + 4, &number, 4);
  for (std::size_t i = 8; i < value.size(); ++i)
    value[i] = static_cast<char>(key * 31 + number * 7 + i);
  return value;
}
bool check(unsigned key, std::string_view value) {
  if (value.size() < 8) return false;
  std::uint32_t number = 0;
  std::memcpy(&number, value.data() + 4, 4);
  return value == make_value(key, number, value.size());
}

class engine_thread {
public:
  explicit engine_thread(engine& db) : db_(db) {}
  op_reply& run(const operation& op) {
    arena_.clear();
    db_.execute({&op, 1}, {&reply_, 1}, arena_);
    return reply_;
  }
  std::span<op_reply> run(std::span<const operation> ops) {
    arena_.clear();
    replies_.resize(ops.size());
    db_.execute(ops, replies_, arena_);
    return replies_;
  }

private:
  engine& db_;
  value_arena arena_;
  op_reply reply_;
  std::vector<op_reply> replies_;
};

class manual_clock final : public clock {
public:
  [[nodiscard]] std::uint64_t now_us() const noexcept override { return now.load() * 1'000; }
  std::atomic<std::uint64_t> now{1'700'000'000'000}; ///< ms
};

} // namespace

TEST_CASE("readers see whole values of their key, never older than one they have seen",
          "[storage][engine][concurrency]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  constexpr unsigned keys = 24, writers = 2, writes = 40'000;
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  // Long values of one size class, so that overwriting in place takes a while, and some of others,
  // so that records move.
  const auto size = [](std::mt19937& random) {
    return random() % 8 == 0 ? random() % 700 : 440 + random() % 4;
  };
  {
    std::mt19937 random{seed};
    for (unsigned k = 0; k < 1'000; ++k)
      REQUIRE(db.put(key_of(k), make_value(k, 0, k < keys ? size(random) : 440)).code ==
              op_code::ok);
  }
  std::atomic<unsigned> writing{writers};
  std::atomic<std::uint64_t> mixed{0}, older{0}, absent{0}, lost{0};
  std::vector<std::thread> threads;
  for (unsigned w = 0; w < writers; ++w)
    threads.emplace_back([&, w] {
      engine_thread me{*db};
      std::mt19937 random{seed + w + 1};
      for (std::uint32_t n = 1; n <= writes; ++n) {
        const auto k = static_cast<unsigned>(random() % keys);
        if (random() % 16 == 0) {
          me.run({.kind = op_kind::erase, .key = key_of(k)});
          // Growth and splits, too: keys that come once.
          const auto fresh = 1'000'000 + w * writes + n;
          me.run({.kind = op_kind::put, .key = key_of(fresh), .value = "fresh"});
          continue;
        }
        const auto value = make_value(k, n, size(random));
        const auto key = key_of(k);
        const auto version = me.run({.kind = op_kind::put, .key = key, .value = value}).version;
        // Its own write, or a later one of the other writer.
        const auto& seen = me.run({.kind = op_kind::get, .key = key});
        if (seen.code == op_code::ok && seen.version < version) ++lost;
      }
      --writing;
    });
  for (unsigned r = 0; r < 2; ++r)
    threads.emplace_back([&, r] {
      engine_thread me{*db};
      std::mt19937 random{seed + 100 + r};
      std::map<unsigned, lsn_t> last;
      std::array<std::string, 40> names;
      std::array<operation, 40> ops;
      std::array<unsigned, 40> picked;
      const auto look = [&](unsigned k, const op_reply& reply) {
        if (reply.code == op_code::not_found) {
          ++absent;
          return;
        }
        if (reply.code != op_code::ok || !check(k, reply.value)) ++mixed;
        auto& seen = last[k];
        if (reply.version < seen) ++older;
        seen = reply.version;
      };
      while (writing.load() != 0) {
        if (r == 0) {
          const auto k = static_cast<unsigned>(random() % keys);
          look(k, me.run({.kind = op_kind::get, .key = key_of(k)}));
          continue;
        }
        for (std::size_t i = 0; i < ops.size(); ++i) {
          picked[i] = static_cast<unsigned>(random() % keys);
          names[i] = key_of(picked[i]);
          ops[i] = {.kind = op_kind::get, .key = names[i]};
        }
        const auto replies = me.run(ops);
        for (std::size_t i = 0; i < ops.size(); ++i) look(picked[i], replies[i]);
      }
    });
  for (auto& t : threads) t.join();
  CHECK(mixed == 0);
  CHECK(older == 0);
  CHECK(lost == 0);
}

TEST_CASE("an atomic batch over shards is seen as a whole by readers that take no lock",
          "[storage][engine][concurrency]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  for (unsigned k = 0; k < 3'000; ++k)
    REQUIRE(db.put(key_of(k), std::string(20, '0')).code == op_code::ok);
  // Two keys in two shards, written together: whoever has seen the one sees the other.
  const auto first = key_of(0);
  unsigned other = 1;
  while (db->shard_of(key_of(other)) == db->shard_of(first)) ++other;
  const auto second = key_of(other);
  std::atomic<bool> done{false};
  std::atomic<int> torn{0};
  std::thread reader([&] {
    engine_thread me{*db};
    while (!done.load()) {
      const std::string a{me.run({.kind = op_kind::get, .key = first}).value};
      const std::string b{me.run({.kind = op_kind::get, .key = second}).value};
      const std::string c{me.run({.kind = op_kind::get, .key = first}).value};
      if (b < a || c < b) ++torn;
    }
  });
  value_arena arena;
  for (int n = 1; n <= 4'000; ++n) {
    auto text = std::to_string(n);
    text.insert(0, 20 - text.size(), '0');
    const std::array ops{operation{.kind = op_kind::put, .key = first, .value = text},
                         operation{.kind = op_kind::put, .key = second, .value = text}};
    std::array<op_reply, 2> replies;
    if (db->execute_atomic(ops, replies, arena) != op_code::ok) break;
  }
  done = true;
  reader.join();
  CHECK(db.get(second) == std::string(16, '0') + "4000");
  CHECK(torn == 0);
}

TEST_CASE("compare-and-set counts right under contention, and a scan misses nothing meanwhile",
          "[storage][engine][concurrency]") {
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  constexpr unsigned counters = 8, adders = 3, rounds = 1'500, resting = 2'000;
  for (unsigned k = 0; k < resting; ++k)
    REQUIRE(db.put("resting" + key_of(k), make_value(k, 1, 90)).code == op_code::ok);
  std::atomic<unsigned> adding{adders};
  std::atomic<std::uint64_t> added{0}, incomplete{0}, wrong{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < adders; ++t)
    threads.emplace_back([&, t] {
      engine_thread me{*db};
      std::mt19937 random{t};
      for (unsigned n = 0; n < rounds; ++n) {
        const auto key = "counter" + std::to_string(random() % counters);
        const auto& before = me.run({.kind = op_kind::get, .key = key});
        const bool there = before.code == op_code::ok;
        const auto next = std::to_string(there ? std::stoull(std::string{before.value}) + 1 : 1);
        const auto expected = there ? before.version : 0;
        const auto& stored = me.run({.kind = op_kind::put,
                                     .condition = write_condition::if_version,
                                     .key = key,
                                     .value = next,
                                     .expected_version = expected});
        if (stored.code == op_code::ok) ++added;
        // Churn beside it, so that the table splits while it is scanned.
        const auto passing = "passing" + std::to_string(t) + key_of(n);
        me.run({.kind = op_kind::put, .key = passing, .value = "x"});
        if (n % 2 == 0) me.run({.kind = op_kind::erase, .key = passing});
      }
      --adding;
    });
  threads.emplace_back([&] {
    scan_page page;
    do {
      std::vector<bool> found(resting);
      page.next_cursor = 0;
      do {
        if (!db->scan(page.next_cursor, "resting", 100, page).ok()) ++wrong;
        for (const auto& e : page.entries) {
          const auto k = static_cast<unsigned>(std::stoul(std::string{e.key.substr(10)})) - 100'000;
          found[k] = true;
          if (!check(k, e.value)) ++wrong;
        }
      } while (page.next_cursor != 0);
      if (std::find(found.begin(), found.end(), false) != found.end()) ++incomplete;
    } while (adding.load() != 0);
  });
  for (auto& t : threads) t.join();
  std::uint64_t sum = 0;
  for (unsigned c = 0; c < counters; ++c) {
    const auto reply = db.read("counter" + std::to_string(c));
    if (reply.code == op_code::ok) sum += std::stoull(std::string{reply.value});
  }
  CHECK(sum == added);
  CHECK(added > 0);
  CHECK(incomplete == 0);
  CHECK(wrong == 0);
}

TEST_CASE("no reader sees a record after its time, however time and sweeps run beside it",
          "[storage][engine][concurrency]") {
  temp_folder folder;
  auto time = std::make_shared<manual_clock>();
  auto options = small_options(folder.path());
  options.time = time;
  running_engine db{options};
  constexpr unsigned keys = 1'500;
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> late{0}, early{0}, seen{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    engine_thread me{*db};
    std::mt19937 random{1};
    for (unsigned n = 0; n < 20'000; ++n) {
      const auto value = make_value(n % keys, n, 90);
      me.run({.kind = op_kind::put,
              .key = key_of(n % keys),
              .value = value,
              .expires_at_ms = time->now.load() + 1 + random() % 50});
      if (n % 16 == 0) time->now += 1;
      if (n % 64 == 0) db->sweep_expired(shard_id{n / 64 % 4});
    }
    done = true;
  });
  for (unsigned r = 0; r < 2; ++r)
    threads.emplace_back([&, r] {
      engine_thread me{*db};
      std::mt19937 random{r + 7};
      while (!done.load()) {
        const auto k = static_cast<unsigned>(random() % keys);
        const auto before_ms = time->now.load();
        const auto& reply = me.run({.kind = op_kind::get, .key = key_of(k)});
        if (reply.code != op_code::ok) continue;
        ++seen;
        if (reply.expires_at_ms <= before_ms) ++late;
        if (!check(k, reply.value)) ++early;
      }
    });
  for (auto& t : threads) t.join();
  CHECK(late == 0);
  CHECK(early == 0);
  // And none that has time left is hidden.
  REQUIRE(db.run({.kind = op_kind::put,
                  .key = key_of(0),
                  .value = "there",
                  .expires_at_ms = time->now.load() + 1})
              .code == op_code::ok);
  CHECK(db.get(key_of(0)) == "there");
  time->now += 1;
  CHECK(db.get(key_of(0)) == "(not_found)");
}
