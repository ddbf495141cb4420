#include "storage/table.hpp"

#include "storage/segment.hpp"
#include "storage/table_memory.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

using namespace warp;
using namespace warp::storage;

namespace {

std::string key_of(std::uint64_t number) {
  return "key " + std::to_string(number);
}

record* put(table& t, std::string_view key, std::string_view value, record_meta meta = {}) {
  const auto h = table::hash(key);
  return t.put(h, key, t.find(h, key), new_value{value, {}}, meta);
}
record* find(const table& t, std::string_view key) {
  return t.find(table::hash(key), key);
}
bool erase(table& t, std::string_view key) {
  const auto h = table::hash(key);
  auto* r = t.find(h, key);
  if (r) t.erase(h, r);
  return r != nullptr;
}

/// A whole walk; how often each key was seen. `between` runs after each step.
template <class F>
std::map<std::string, int> walk_all(const table& t, F&& between) {
  std::map<std::string, int> seen;
  std::uint64_t cursor = 0;
  do {
    cursor = t.walk(cursor, [&](const record& r) { ++seen[std::string(r.key())]; });
    between();
  } while (cursor != 0);
  return seen;
}

/// For tests that choose the hash: a key starts with its own hash, 8 bytes.
std::uint64_t chosen_hash(std::string_view key) {
  std::uint64_t hash;
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}
std::string key_with_hash(std::uint64_t hash, std::uint64_t number) {
  std::string key(16, '\0');
  std::memcpy(key.data(), &hash, 8);
  std::memcpy(key.data() + 8, &number, 8);
  return key;
}
record* put_chosen(table& t, const std::string& key, std::string_view value) {
  const auto h = chosen_hash(key);
  return t.put(h, key, t.find(h, key), new_value{value, {}}, {.version = 1});
}

/// What the model knows of a record.
struct expected {
  std::string value;
  record_meta meta;
};

/// Compares the whole table with the model: every record, by find and by walk, and every counter.
void check_equal(const table& t, const std::unordered_map<std::string, expected>& model) {
  std::uint64_t key_bytes = 0, value_bytes = 0, expiring = 0;
  for (const auto& [key, want] : model) {
    const auto* r = find(t, key);
    REQUIRE(r != nullptr);
    REQUIRE(r->key() == key);
    REQUIRE(r->value() == want.value);
    REQUIRE(r->version() == want.meta.version);
    REQUIRE(r->expires_at_ms() == want.meta.expires_at_ms);
    REQUIRE(r->meta().rank == want.meta.rank);
    REQUIRE(r->meta().pattern == want.meta.pattern);
    key_bytes += key.size();
    value_bytes += want.value.size();
    expiring += want.meta.expires_at_ms != 0;
  }
  const auto seen = walk_all(t, [] {});
  REQUIRE(seen.size() == model.size());
  for (const auto& [key, times] : seen) {
    REQUIRE(model.contains(key));
    REQUIRE(times == 1);
  }
  const auto& stats = t.stats();
  REQUIRE(stats.keys == model.size());
  REQUIRE(stats.key_bytes == key_bytes);
  REQUIRE(stats.value_bytes == value_bytes);
  REQUIRE(stats.expiring_keys == expiring);
  REQUIRE(stats.record_bytes >= key_bytes + value_bytes + 12 * model.size());
}

} // namespace

TEST_CASE("an empty table answers, walks and takes no segment", "[storage][table]") {
  table t;
  const auto h = table::hash("key");
  t.prefetch_bucket(h);
  t.prefetch_record(h);
  CHECK(find(t, "key") == nullptr);
  CHECK(t.walk(0, [](const record&) { FAIL("nothing is there"); }) == 0);
  CHECK(t.walk(h, [](const record&) { FAIL("nothing is there"); }) == 0);
  CHECK(t.stats().index_bytes == 0);
  CHECK(sizeof(table) < 3'000);
  t.clear();
  put(t, "key", "value");
  CHECK(t.stats().index_bytes < 5'000);
}

TEST_CASE("a table does what a map does under random operations", "[storage][table]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  table t;
  std::unordered_map<std::string, expected> model;
  std::vector<std::string>
      keys; // any bytes, mostly short; some collide on purpose with others' prefixes
  for (int i = 0; i < 6'000; ++i) {
    std::string key(1 + random() % (random() % 500 == 0 ? 65'536 : 40), '\0');
    for (auto& c : key) c = static_cast<char>(random());
    keys.push_back(std::move(key));
  }
  const std::string bytes = [&] {
    std::string s(1 << 18, '\0');
    for (auto& c : s) c = static_cast<char>(random());
    return s;
  }();
  const auto random_value = [&](std::size_t limit) {
    const auto size = random() % limit;
    return bytes.substr(random() % (bytes.size() - size), size);
  };
  for (int round = 0; round < 120'000; ++round) {
    if (round == 70'000) {
      t.clear();
      model.clear();
    }
    const auto& key = keys[random() % keys.size()];
    const auto h = table::hash(key);
    auto* r = t.find(h, key);
    REQUIRE((r != nullptr) == model.contains(key));
    record_meta meta{.version = random() & lsn_max,
                     .expires_at_ms = random() % 3 == 0 ? random() | 1 : 0,
                     .rank = static_cast<priority>(random() % 5),
                     .pattern = static_cast<access_pattern>(random() % 4)};
    switch (random() % (round / 20'000 % 2 == 0 ? 8 : 13)) { // phases of growing and of shrinking
    case 0: {                                                // large value
      const auto value = bytes.substr(0, blob_size_min + random() % 1'000);
      new_value large{{}, blob_ref::copy_of(value)};
      if (random() % 4 != 0) break;
      r = t.put(h, key, r, large, meta);
      model[key] = {value, meta};
      break;
    }
    case 1: // a part of its own value
      if (!r) break;
      {
        const auto value =
            r->value().substr(0, std::min<std::size_t>(r->value().size() / 2, 5'000));
        const std::string copy(value);
        r = t.put(h, r->key(), r, new_value{value, {}}, meta);
        model[key] = {copy, meta};
      }
      break;
    case 2:
      if (!r) break;
      r = t.set_meta(h, r, meta);
      model[key].meta = meta;
      break;
    case 3:
    case 4:
    case 5:
    case 6:
    case 7: {
      const auto value = random_value(random() % 200 == 0 ? 20'000 : 300);
      r = t.put(h, key, r, new_value{value, {}}, meta);
      model[key] = {value, meta};
      break;
    }
    default:
      if (!r) break;
      t.erase(h, r);
      model.erase(key);
      REQUIRE(t.find(h, key) == nullptr);
      r = nullptr;
    }
    if (r) REQUIRE(r->value() == model[key].value);
    if (round % 20'000 == 19'999) check_equal(t, model);
  }
  check_equal(t, model);
  t.clear();
  model.clear();
  check_equal(t, model);
  CHECK(t.stats().record_bytes == 0);
  CHECK(t.stats().free_bytes == 0);
}

TEST_CASE("a table finds every key while it grows by splits", "[storage][table]") {
  table t;
  constexpr std::uint64_t count = 40'000;
  for (std::uint64_t i = 0; i < count; ++i) {
    put(t, key_of(i), "value " + std::to_string(i));
    if (i % 1'013 == 0)
      for (std::uint64_t j = 0; j <= i; ++j) REQUIRE(find(t, key_of(j)) != nullptr);
  }
  CHECK(find(t, key_of(count)) == nullptr);
  for (std::uint64_t i = 0; i < count; i += 2) REQUIRE(erase(t, key_of(i)));
  for (std::uint64_t i = 0; i < count; ++i)
    REQUIRE((find(t, key_of(i)) != nullptr) == (i % 2 == 1));
  CHECK(t.stats().keys == count / 2);
}

TEST_CASE("inserts and erases at a constant number of keys hardly split", "[storage][table]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  table t;
  constexpr std::uint64_t live = 7'000;
  for (std::uint64_t i = 0; i < live; ++i) put(t, key_of(i), "v");
  const auto before = t.stats().index_bytes;
  for (std::uint64_t i = 0; i < 20 * live; ++i) {
    erase(t, key_of(i));
    put(t, key_of(live + i), "v");
  }
  CHECK(t.stats().keys == live);
  CHECK(t.stats().index_bytes < before * 3 / 2);
}

TEST_CASE("a record that gains or loses an expiry keeps value and heat", "[storage][table]") {
  table t;
  for (const auto* value : {"value", ""}) {
    auto* r = put(t, "key", value, {.version = 1});
    r->set_heat(2);
    const auto h = table::hash("key");
    r = t.set_meta(h, r, {.version = 2, .expires_at_ms = 77});
    CHECK(r == find(t, "key"));
    CHECK(r->value() == value);
    CHECK(r->heat() == 2);
    CHECK(r->expires_at_ms() == 77);
    CHECK(t.stats().expiring_keys == 1);
    r = t.set_meta(h, r, {.version = 3});
    CHECK(r == find(t, "key"));
    CHECK(r->value() == value);
    CHECK(r->version() == 3);
    CHECK(t.stats().expiring_keys == 0);
    CHECK(t.stats().keys == 1);
  }
  const auto text = std::string(blob_size_min, 'b');
  const auto h = table::hash("large");
  auto* r = t.put(h, "large", nullptr, new_value{{}, blob_ref::copy_of(text)}, {.version = 1});
  const auto* bytes = r->value().data();
  r = t.set_meta(h, r, {.version = 2, .expires_at_ms = 5});
  CHECK(r->value().data() == bytes);
  CHECK(r->value() == text);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they end the process instead
TEST_CASE("a put without memory changes nothing", "[storage][table]") {
  table t;
  put(t, "key", "value", {.version = 1});
  const auto before = t.stats();
  const std::string_view endless("", std::size_t{1} << 60); // never read: its record comes first
  CHECK_THROWS_AS(put(t, "key", endless, {.version = 2}), std::bad_alloc);
  CHECK_THROWS_AS(put(t, "other", endless, {.version = 2}), std::bad_alloc);
  CHECK(find(t, "other") == nullptr);
  CHECK(find(t, "key")->value() == "value");
  CHECK(find(t, "key")->version() == 1);
  CHECK(t.stats().keys == before.keys);
  CHECK(t.stats().record_bytes == before.record_bytes);
}
#endif

TEST_CASE("a walk meets every key once when nothing changes, in hash order", "[storage][table]") {
  table t;
  for (std::uint64_t i = 0; i < 10'000; ++i) put(t, key_of(i), "v");
  std::uint64_t cursor = 0, steps = 0;
  std::set<std::string> seen;
  do {
    std::vector<std::uint64_t> hashes;
    const auto next = t.walk(cursor, [&](const record& r) {
      hashes.push_back(table::hash(r.key()));
      REQUIRE(seen.insert(std::string(r.key())).second);
    });
    for (const auto hash : hashes) REQUIRE((hash >= cursor && (next == 0 || hash < next)));
    REQUIRE((next == 0 || next > cursor));
    cursor = next;
    ++steps;
  } while (cursor != 0);
  CHECK(seen.size() == 10'000);
  CHECK(steps > 1'000);
}

TEST_CASE("a walk skips no key that stays, whatever else happens between its steps",
          "[storage][table]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 5; ++round) {
    table t;
    std::set<std::string> staying;
    for (std::uint64_t i = 0; i < 1'000; ++i) {
      staying.insert("stays " + std::to_string(i));
      put(t, "stays " + std::to_string(i), "v");
    }
    std::uint64_t number = 0, oldest = 0;
    const auto seen = walk_all(t, [&] {
      // Many more inserts than erases: segments split ahead of the cursor and behind it, records
      // are displaced.
      for (int i = 0; i < 40; ++i) put(t, "goes " + std::to_string(number++), "v");
      for (int i = 0; i < 15; ++i) erase(t, "goes " + std::to_string(oldest++));
      const auto changed = "stays " + std::to_string(random() % 1'000);
      put(t, changed, std::string(random() % 200, 'w')); // moves the record in memory
      if (number > 40'000) return; // the walk gets longer as the table grows, but ends
    });
    for (const auto& key : staying) REQUIRE(seen.contains(key));
  }
}

TEST_CASE("a walk over a table that is cleared and filled again ends", "[storage][table]") {
  table t;
  for (std::uint64_t i = 0; i < 5'000; ++i) put(t, key_of(i), "v");
  std::uint64_t cursor = 0;
  for (int i = 0; i < 100; ++i) cursor = t.walk(cursor, [](const record&) {});
  REQUIRE(cursor != 0);
  t.clear();
  CHECK(t.walk(cursor, [](const record&) { FAIL("nothing is there"); }) == 0);
  for (std::uint64_t i = 0; i < 100; ++i) put(t, key_of(i), "v");
  std::size_t seen = 0;
  while (cursor != 0) cursor = t.walk(cursor, [&](const record&) { ++seen; });
  CHECK(seen <= 100);
}

TEST_CASE("clear leaves the index for reuse and a table that is as good as new",
          "[storage][table]") {
  table t;
  std::uint64_t index_bytes = 0;
  for (int round = 0; round < 5; ++round) {
    for (std::uint64_t i = 0; i < 5'000; ++i) put(t, key_of(i), "v");
    CHECK(t.stats().keys == 5'000);
    if (round == 0) index_bytes = t.stats().index_bytes;
    CHECK(t.stats().index_bytes <= index_bytes + 1'000); // stashes vary
    t.clear();
    CHECK(t.stats().keys == 0);
    CHECK(t.stats().record_bytes == 0);
    CHECK(find(t, key_of(1)) == nullptr);
  }
}

TEST_CASE("hashes that share a long prefix make a table slow, never wrong or large",
          "[storage][table][adversarial]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  struct shape {
    const char* name;
    std::uint64_t fixed; ///< bits of the hash that are the same in all keys
  };
  for (const auto& [name, fixed] :
       {shape{"all bits", ~0ull}, shape{"upper 20 bits", ~0ull << 44},
        shape{"upper 60 bits", ~0ull << 4}, shape{"lower 50 bits", (1ull << 50) - 1},
        shape{"upper 3 and lower 30 bits", 7ull << 61 | 0x3fffffff}}) {
    CAPTURE(name);
    const auto base = random();
    auto memory = std::make_shared<table_memory>();
    table t(memory, chosen_hash);
    std::vector<std::string> keys;
    for (std::uint64_t i = 0; i < 3'000; ++i)
      keys.push_back(key_with_hash((base & fixed) | (random() & ~fixed), i));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      put_chosen(t, keys[i], "v");
      REQUIRE(t.find(chosen_hash(keys[i]), keys[i]) != nullptr);
    }
    CHECK(t.stats().keys == keys.size());
    CHECK(t.stats().index_bytes < 400'000);
    for (std::size_t i = 0; i < keys.size(); i += 2) {
      const auto h = chosen_hash(keys[i]);
      t.erase(h, t.find(h, keys[i]));
      REQUIRE(t.find(h, keys[i]) == nullptr);
    }
    for (std::size_t i = 1; i < keys.size(); i += 2) { // every other one moves, gaining an expiry
      const auto h = chosen_hash(keys[i]);
      auto* r = t.set_meta(h, t.find(h, keys[i]), {.version = 2, .expires_at_ms = i});
      REQUIRE(r == t.find(h, keys[i]));
    }
    const auto seen = walk_all(t, [] {});
    CHECK(seen.size() == keys.size() / 2);
    // Random hashes join and find their place beside the cluster.
    for (std::uint64_t i = 0; i < 3'000; ++i) put_chosen(t, key_with_hash(random(), i), "v");
    for (std::size_t i = 1; i < keys.size(); i += 2)
      REQUIRE(t.find(chosen_hash(keys[i]), keys[i]) != nullptr);
    CHECK(walk_all(t, [] {}).size() == keys.size() / 2 + 3'000);
  }
}

TEST_CASE("hashes at the ends of the range have a place", "[storage][table][adversarial]") {
  auto memory = std::make_shared<table_memory>();
  table t(memory, chosen_hash);
  std::vector<std::string> keys;
  for (std::uint64_t i = 0; i < 700; ++i)
    for (const auto hash : {i, ~i, (std::uint64_t{1} << 63) + i, (std::uint64_t{1} << 63) - 1 - i})
      keys.push_back(key_with_hash(hash, i));
  for (const auto& key : keys) put_chosen(t, key, "v");
  for (const auto& key : keys) REQUIRE(t.find(chosen_hash(key), key) != nullptr);
  std::set<std::string> distinct(keys.begin(), keys.end());
  CHECK(t.stats().keys == distinct.size());
  CHECK(walk_all(t, [] {}).size() == distinct.size());
}

TEST_CASE("a segment takes at least 500 random records before it is full", "[storage][table]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::size_t sum = 0;
  constexpr int rounds = 50;
  // insert() never looks into a record, so any aligned addresses do.
  alignas(8) static char memory[8 * 1024];
  for (int round = 0; round < rounds; ++round) {
    auto s = std::make_unique<segment>();
    std::uint64_t index_bytes = 0;
    std::size_t count = 0;
    for (;; ++count) {
      const auto hash = random();
      auto* r = reinterpret_cast<record*>(memory + 8 * count);
      if (!s->insert(segment::home_of(hash, 0), hash_tag::of(hash), r, index_bytes)) break;
    }
    std::set<record*> all;
    s->for_each([&](record* r) { all.insert(r); });
    REQUIRE(all.size() == count);
    std::size_t by_home = 0;
    for (unsigned home = 0; home < segment::bucket_count; ++home)
      s->for_each_of(home, [&](record*) { ++by_home; });
    REQUIRE(by_home == count);
    REQUIRE(index_bytes == s->stash_bytes());
    REQUIRE(count >= 450);
    sum += count;
  }
  CHECK(sum / rounds >= 545);
}

TEST_CASE("a small key costs at most 30 bytes over key and value on average, 36 at worst",
          "[storage][table][memory]") {
  // 1 M up to 10 M keys in 64 shards; one table stands for all.
  double sum = 0;
  const std::vector<std::uint64_t> millions{1, 2, 4, 6, 8, 10};
  table t;
  std::uint64_t count = 0;
  const std::string value(100, 'v');
  for (const auto size : millions) {
    for (; count < size * 1'000'000 / 64; ++count) {
      char key[17];
      std::snprintf(key, sizeof key, "%016llx", static_cast<unsigned long long>(count));
      put(t, key, value);
    }
    const auto& s = t.stats();
    const auto bytes = s.record_bytes + s.free_bytes + s.index_bytes;
    const auto overhead =
        static_cast<double>(bytes - s.key_bytes - s.value_bytes) / static_cast<double>(s.keys);
    CAPTURE(size, overhead);
    CHECK(overhead <= 36);
    sum += overhead;
  }
  CHECK(sum / static_cast<double>(millions.size()) <= 26);
}

TEST_CASE("values of many lengths waste little memory", "[storage][table][memory]") {
  table t; // as one of 64 with a million keys in all
  for (std::uint64_t i = 0; i < 1'000'000 / 64; ++i) put(t, key_of(i), std::string(i % 400, 'v'));
  const auto& s = t.stats();
  const auto bytes = s.record_bytes + s.free_bytes + s.index_bytes;
  const auto overhead =
      static_cast<double>(bytes - s.key_bytes - s.value_bytes) / static_cast<double>(s.keys);
  CAPTURE(overhead);
  CHECK(overhead <= 48);
}

TEST_CASE("all memory that a table holds is in its counters", "[storage][table][memory]") {
  auto memory = std::make_shared<table_memory>();
  table t(memory);
  for (std::uint64_t i = 0; i < 50'000; ++i) put(t, key_of(i), std::string(60, 'v'));
  const auto& s = t.stats();
  const auto held = memory->records.small.mapped_bytes() + memory->records.large.mapped_bytes();
  const auto counted = s.record_bytes + s.free_bytes; // some records are on the heap
  CHECK(counted + 2 * block_pool::region_bytes >= held);
  CHECK(counted <= held + 4 * 40'000);
  CHECK(s.index_bytes + block_pool::region_bytes >= memory->segments.mapped_bytes());
  CHECK(s.index_bytes <= memory->segments.mapped_bytes() + 20'000);
}

TEST_CASE("threads may prefetch while the owner inserts, erases and clears",
          "[storage][table][concurrent]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  table t;
  std::atomic<bool> done{false};
  std::vector<std::thread> prefetchers;
  for (int i = 0; i < 2; ++i)
    prefetchers.emplace_back([&, i] {
      std::mt19937_64 random(seed + static_cast<unsigned>(i));
      while (!done.load(std::memory_order_relaxed)) {
        std::uint64_t hashes[32];
        for (auto& h : hashes) t.prefetch_bucket(h = table::hash(key_of(random() % 6'000)));
        for (const auto h : hashes) t.prefetch_record(h);
      }
    });
  for (int round = 0; round < 6; ++round) {
    for (std::uint64_t i = 0; i < 6'000; ++i) put(t, key_of(i), std::string(i % 100, 'v'));
    for (std::uint64_t i = 0; i < 6'000; i += 3) erase(t, key_of(i));
    for (std::uint64_t i = 0; i < 6'000; i += 2) put(t, key_of(i), std::string(i % 90, 'w'));
    if (round % 2 == 1) t.clear();
  }
  done = true;
  for (auto& p : prefetchers) p.join();
  CHECK(t.stats().keys == 0);
}
