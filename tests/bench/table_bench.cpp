// The bare table: ns per operation, and bytes per key over key and value. 16 B keys, 100 B values,
// one thread, one table per shard as in the engine, without its locks, slots and log.
//
//     table_bench [--quick | keys in millions for the timings, default 1] [sizes in millions for
//     the memory, default 1 2 4 6 8 10]
#include "storage/table.hpp"
#include "storage/table_memory.hpp"
#include "tests/bench/hardware.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using namespace warp;
using namespace warp::storage;
using steady = std::chrono::steady_clock;

constexpr std::size_t shard_count = 64;
constexpr std::size_t value_size = 100;
const std::string payload(value_size, 'v');

/// Two hexadecimal digits for each byte.
constexpr auto hex_digits = [] {
  std::array<std::uint16_t, 256> pairs{};
  for (unsigned i = 0; i < 256; ++i) {
    const char* const digits = "0123456789abcdef";
    pairs[i] = static_cast<std::uint16_t>(digits[i >> 4] | digits[i & 15] << 8);
  }
  return pairs;
}();

/// 16 hexadecimal digits, made in registers within a few ns: drawn keys need no memory of their
/// own.
struct key_text {
  std::uint64_t words[2] = {};
  key_text() = default;
  explicit key_text(std::uint64_t number) {
    for (int i = 0; i < 4; ++i)
      words[0] = words[0] << 16 | hex_digits[number >> (32 + 8 * i) & 255];
    for (int i = 0; i < 4; ++i) words[1] = words[1] << 16 | hex_digits[number >> 8 * i & 255];
  }
  std::string_view view() const { return {reinterpret_cast<const char*>(words), 16}; }
};

std::uint64_t next_random(std::uint64_t& state) { // xorshift: below 1 ns
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

double resident_bytes() {
  std::ifstream in("/proc/self/statm");
  long size = 0, resident = 0;
  in >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

struct store {
  std::shared_ptr<table_memory> memory = std::make_shared<table_memory>();
  std::vector<std::unique_ptr<table>> shards;
  lsn_t version = 0;

  store() {
    for (std::size_t i = 0; i < shard_count; ++i) shards.push_back(std::make_unique<table>(memory));
  }
  table& of(std::uint64_t hash) { return *shards[hash * 0x9e3779b97f4a7c15u >> 58]; }

  const record* get(std::string_view key) {
    const auto h = table::hash(key);
    return of(h).find(h, key);
  }
  void put(std::string_view key) {
    const auto h = table::hash(key);
    auto& t = of(h);
    t.put(h, key, t.find(h, key), new_value{payload, {}}, record_meta{.version = ++version});
  }
  template <class F>
  void batch(const std::string_view* keys, std::size_t count, F&& each) {
    static thread_local std::vector<std::uint64_t> hashes(4096);
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = table::hash(keys[i]);
      of(hashes[i]).prefetch_bucket(hashes[i]);
    }
    for (std::size_t i = 0; i < count; ++i) of(hashes[i]).prefetch_record(hashes[i]);
    for (std::size_t i = 0; i < count; ++i) each(of(hashes[i]), hashes[i], keys[i]);
  }
  table_stats stats() const {
    table_stats sum;
    for (const auto& t : shards) {
      const auto& s = t->stats();
      sum.keys += s.keys;
      sum.key_bytes += s.key_bytes;
      sum.value_bytes += s.value_bytes;
      sum.record_bytes += s.record_bytes;
      sum.free_bytes += s.free_bytes;
      sum.index_bytes += s.index_bytes;
    }
    return sum;
  }
};

/// Best of five: the machine has other work.
template <class F>
void time(const char* name, std::size_t operations, F&& run) {
  double best = 1e99;
  for (int round = 0; round < 5; ++round) {
    const auto start = steady::now();
    run();
    best = std::min(best, std::chrono::duration<double>(steady::now() - start).count());
  }
  std::printf("%-18s %7.1f ns/op %7.2f M/s\n", name, best * 1e9 / static_cast<double>(operations),
              static_cast<double>(operations) / best / 1e6);
}

void timings(std::size_t keys) {
  std::printf("%zu keys\n", keys);
  store s;
  double worst_us = 0;
  const auto start = steady::now();
  auto last = start;
  std::size_t above_50us = 0;
  for (std::size_t i = 0; i < keys; ++i) {
    s.put(key_text(i).view());
    const auto now = steady::now();
    const auto us = std::chrono::duration<double, std::micro>(now - last).count();
    worst_us = std::max(worst_us, us);
    above_50us += us > 50;
    last = now;
  }
  std::printf("%-18s %7.1f ns/op, worst %.0f us, above 50 us: 1 in %.0f\n", "insert, growing",
              std::chrono::duration<double, std::nano>(last - start).count() /
                  static_cast<double>(keys),
              worst_us, static_cast<double>(keys) / std::max<std::size_t>(1, above_50us));

  constexpr std::size_t operations = 2'000'000;
  std::uint64_t state = 88172645463325252u;
  std::uint64_t sum = 0;
  const auto look_at = [&sum](const record* r) {
    sum += r->version() + static_cast<unsigned char>(r->value()[0]);
  };
  time("get single", operations, [&] {
    for (std::size_t i = 0; i < operations; ++i)
      look_at(s.get(key_text(next_random(state) % keys).view()));
  });
  time("put single", operations, [&] {
    for (std::size_t i = 0; i < operations; ++i) s.put(key_text(next_random(state) % keys).view());
  });
  for (const std::size_t size : {std::size_t{32}, std::size_t{256}}) {
    std::vector<key_text> texts(size);
    std::vector<std::string_view> views(size);
    const auto draw = [&] {
      for (std::size_t i = 0; i < size; ++i) {
        texts[i] = key_text(next_random(state) % keys);
        views[i] = texts[i].view();
      }
    };
    time(size == 32 ? "get batch 32" : "get batch 256", operations, [&] {
      for (std::size_t i = 0; i < operations; i += size) {
        draw();
        s.batch(views.data(), size,
                [&](table& t, std::uint64_t h, std::string_view k) { look_at(t.find(h, k)); });
      }
    });
    time(size == 32 ? "put batch 32" : "put batch 256", operations, [&] {
      for (std::size_t i = 0; i < operations; i += size) {
        draw();
        s.batch(views.data(), size, [&](table& t, std::uint64_t h, std::string_view k) {
          t.put(h, k, t.find(h, k), new_value{payload, {}}, record_meta{.version = ++s.version});
        });
      }
    });
  }
  time("get single, miss", operations, [&] {
    for (std::size_t i = 0; i < operations; ++i) {
      const auto h = next_random(state);
      sum += s.of(h).find(h, "no such key here") != nullptr;
    }
  });
  const auto records = keys;
  time("walk", records, [&] {
    for (const auto& t : s.shards) {
      std::uint64_t cursor = 0;
      do cursor = t->walk(cursor, [&](const record& r) { sum += r.version(); });
      while (cursor != 0);
    }
  });
  std::printf("(checksum %llu)\n", static_cast<unsigned long long>(sum));
}

double memory(std::size_t keys) {
  const auto before = resident_bytes();
  auto s = std::make_unique<store>();
  for (std::size_t i = 0; i < keys; ++i) s->put(key_text(i).view());
  const auto stats = s->stats();
  const auto n = static_cast<double>(keys);
  const auto payload_bytes = static_cast<double>(stats.key_bytes + stats.value_bytes);
  const auto counted =
      static_cast<double>(stats.record_bytes + stats.free_bytes + stats.index_bytes);
  const auto resident = resident_bytes() - before;
  std::printf(
      "%9zu keys: over key + value %5.1f B/key resident, %5.1f counted (records %.1f, free %.1f, "
      "index %.1f)\n",
      keys, (resident - payload_bytes) / n, (counted - payload_bytes) / n,
      (static_cast<double>(stats.record_bytes) - payload_bytes) / n,
      static_cast<double>(stats.free_bytes) / n, static_cast<double>(stats.index_bytes) / n);
  std::fflush(stdout);
  s.release(); // not taken apart: the process ends soon, and the next size is measured in another
               // one
  return (resident - payload_bytes) / n;
}

} // namespace

int main(int argc, char** argv) {
  const auto million = [](const char* text) {
    return static_cast<std::size_t>(std::atof(text) * 1e6);
  };
  if (argc == 3 && std::strcmp(argv[1], "memory") == 0) return memory(million(argv[2])), 0;
  std::printf("hardware: %s\n", bench::hardware_line().c_str());
  if (argc == 2 && std::strcmp(argv[1], "--quick") == 0) return timings(100'000), 0;
  timings(argc > 1 ? million(argv[1]) : 1'000'000);
  std::vector<std::string> sizes(argv + std::min(argc, 2), argv + argc);
  if (sizes.empty()) sizes = {"1", "2", "4", "6", "8", "10"};
  std::fflush(stdout);
  for (const auto& size : sizes)
    if (std::system(("'" + std::string(argv[0]) + "' memory " + size).c_str()) != 0) return 1;
  return 0;
}
