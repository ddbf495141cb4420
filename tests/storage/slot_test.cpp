#include "storage/slot.hpp"

#include <catch2/catch_test_macros.hpp>

#include <random>
#include <string>

using namespace warp;
using namespace warp::storage;

namespace {

/// The definition: bit by bit, highest bit first.
std::uint16_t crc16_by_bits(std::string_view bytes) {
  std::uint32_t crc = 0;
  for (const char c : bytes) {
    crc ^= std::uint32_t{static_cast<unsigned char>(c)} << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1 ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return static_cast<std::uint16_t>(crc);
}

} // namespace

TEST_CASE("crc16 is CRC-16/XMODEM", "[storage][slot]") {
  CHECK(crc16("") == 0);
  CHECK(crc16("123456789") == 0x31c3);
}

TEST_CASE("crc16 agrees with its definition for every length", "[storage][slot]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random{seed};
  for (std::size_t size = 0; size < 200; ++size) {
    std::string bytes(size, '\0');
    for (auto& c : bytes) c = static_cast<char>(random());
    CAPTURE(size);
    REQUIRE(crc16(bytes) == crc16_by_bits(bytes));
    REQUIRE(crc16_by_tables(bytes) == crc16_by_bits(bytes));
  }
}

TEST_CASE("slots are those of Redis Cluster", "[storage][slot]") {
  CHECK(slot_of("foo") == slot_id{12182});
  CHECK(slot_of("bar") == slot_id{5061});
  CHECK(slot_of("hello") == slot_id{866});
  CHECK(slot_of("somekey") == slot_id{11058});
  CHECK(slot_of("foo{hash_tag}") == slot_id{2515});
  CHECK(slot_of("bar{hash_tag}") == slot_id{2515});
}

TEST_CASE("the tag is what the first braces enclose, if anything", "[storage][slot]") {
  CHECK(hash_tag("{user1000}.following") == "user1000");
  CHECK(hash_tag("foo{}{bar}") == "foo{}{bar}"); // empty: the whole key
  CHECK(hash_tag("foo{{bar}}zap") == "{bar");
  CHECK(hash_tag("foo{bar}{zap}") == "bar");
  CHECK(hash_tag("foo}bar{zap") == "foo}bar{zap"); // never closed
  CHECK(hash_tag("}{a}") == "a");
  CHECK(hash_tag("{") == "{");
  CHECK(hash_tag("{}") == "{}");
  CHECK(hash_tag("{a}") == "a");
  CHECK(hash_tag(std::string_view{"{\0}x", 4}) == std::string_view{"\0", 1});
}

TEST_CASE("shards are equal contiguous ranges of slots", "[storage][slot]") {
  for (std::uint32_t shards = 1; shards <= shard_count_max; shards *= 2)
    for (std::uint32_t slot = 0; slot < slot_count; ++slot)
      REQUIRE(shard_of(slot_id{slot}, shards).value == slot / (slot_count / shards));
  CHECK(shard_of("foo", 64) == shard_id{12182 / 256});
}
