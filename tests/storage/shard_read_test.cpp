#include "storage/engine_options.hpp"
#include "storage/key_hash.hpp"
#include "storage/shard.hpp"

#include <catch2/catch_test_macros.hpp>
#include <mutex>
#include <string>

using namespace warp;
using namespace warp::storage;

namespace {

/// A shard in memory, with enough records of one size for them to lie in pages.
struct filled_shard {
  engine_options options{.default_level = durability::memory};
  system_clock time;
  shard at{shard_id{0}, options, time, std::make_shared<table_memory>()};
  value_arena arena;
  read_counters counters{1};

  filled_shard() {
    for (int i = 0; i < 1'000; ++i) put("key" + std::to_string(i), std::string(100, 'v'));
    arena.copy("makes room"); // a reader without the lock allocates nothing
    arena.clear();
  }
  void put(const std::string& key, const std::string& value, std::uint64_t expires_at_ms = 0) {
    op_reply reply;
    std::lock_guard hold{at.lock()};
    shard::write_section changing{at};
    at.apply({{.kind = op_kind::put, .key = key, .value = value, .expires_at_ms = expires_at_ms},
              key_hash(key),
              nullptr,
              0,
              arena},
             reply);
    REQUIRE(reply.code == op_code::ok);
  }
  bool try_read(const std::string& key, op_reply& reply, op_kind kind = op_kind::get) {
    return at.try_read({.kind = kind, .key = key}, key_hash(key), arena, *counters.mine(), reply);
  }
};

} // namespace

TEST_CASE("a read needs no lock when its record lies in a page", "[storage][shard]") {
  filled_shard s;
  std::lock_guard held_by_somebody{s.at.lock()};
  op_reply reply;
  int answered = 0;
  for (int i = 0; i < 1'000; ++i) {
    s.arena.clear();
    if (!s.try_read("key" + std::to_string(i), reply)) continue;
    ++answered;
    REQUIRE(reply.code == op_code::ok);
    REQUIRE(reply.value == std::string(100, 'v'));
    REQUIRE(reply.version == static_cast<lsn_t>(i) + 1);
  }
  CHECK(answered > 700); // the first 16 KiB of a size come from the heap, a few lie in a stash
  int absent = 0;
  for (int i = 0; i < 100; ++i)
    if (s.try_read("nokey" + std::to_string(i), reply)) {
      CHECK(reply.code == op_code::not_found);
      ++absent;
    }
  CHECK(absent > 80);
  shard_stats counted;
  s.counters.add_to(0, counted);
  CHECK(counted.gets == static_cast<std::uint64_t>(answered + absent));
  CHECK(counted.get_hits == static_cast<std::uint64_t>(answered));
}

TEST_CASE("a read without the lock gives way to a writer", "[storage][shard]") {
  filled_shard s;
  op_reply reply;
  REQUIRE(s.try_read("key999", reply));
  std::lock_guard hold{s.at.lock()};
  shard::write_section changing{s.at};
  CHECK_FALSE(s.try_read("key999", reply));
}

TEST_CASE("a read without the lock reports expiry, version and presence as one with it does",
          "[storage][shard]") {
  filled_shard s;
  for (int i = 0; i < 400; ++i) s.put("mortal" + std::to_string(i), std::string(90, 'm'), 12'345);
  op_reply reply;
  int answered = 0;
  for (int i = 0; i < 400; ++i) {
    const auto key = "mortal" + std::to_string(i);
    s.arena.clear();
    if (!s.try_read(key, reply)) continue;
    ++answered;
    REQUIRE(reply.expires_at_ms == 12'345);
    REQUIRE(reply.value == std::string(90, 'm'));
    REQUIRE(s.try_read(key, reply, op_kind::exists));
    REQUIRE(reply.code == op_code::ok);
    REQUIRE(reply.value.empty());
    REQUIRE(reply.version == static_cast<lsn_t>(1'001 + i));
  }
  CHECK(answered > 200);
}

TEST_CASE("what a read without the lock cannot hold is left to one with it", "[storage][shard]") {
  filled_shard s;
  op_reply reply;
  s.put("large", std::string(5'000, 'x')); // on the heap
  CHECK_FALSE(s.try_read("large", reply));
  s.put("blob", std::string(blob_size_min, 'x'));
  CHECK_FALSE(s.try_read("blob", reply));
  value_arena nothing;
  CHECK_FALSE(s.at.try_read({.kind = op_kind::get, .key = "key999"}, key_hash("key999"), nothing,
                            *s.counters.mine(), reply));
}
