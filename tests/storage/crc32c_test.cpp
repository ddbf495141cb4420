#include "storage/crc32c.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <random>
#include <string>

using warp::storage::crc32c;
using warp::storage::crc32c_portable;

TEST_CASE("crc32c gives the values that RFC 3720 lists", "[storage][crc]") {
  std::string rising, falling;
  for (int i = 0; i < 32; ++i) {
    rising.push_back(static_cast<char>(i));
    falling.push_back(static_cast<char>(31 - i));
  }
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43);
  CHECK(crc32c(rising) == 0x46dd794e);
  CHECK(crc32c(falling) == 0x113fdb5c);
}

TEST_CASE("crc32c by instruction equals crc32c by tables at every length and alignment",
          "[storage][crc]") {
  const auto seed = GENERATE(1u, 2u, 3u);
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  std::string bytes(100'000, '\0');
  for (auto& b : bytes) b = static_cast<char>(random());
  const auto same = [&](std::size_t from, std::size_t size) {
    const auto piece = std::string_view{bytes}.substr(from, size);
    return crc32c(piece) == crc32c_portable(piece);
  };
  for (std::size_t size = 0; size < 2'000; ++size)
    if (!same(size % 8, size)) FAIL("size " << size);
  for (int i = 0; i < 200; ++i) {
    const auto from = random() % 50'000, size = random() % 50'000;
    if (!same(from, size)) FAIL("from " << from << ", size " << size);
  }
}

TEST_CASE("crc32c of two pieces in a row is that of the whole", "[storage][crc]") {
  const std::string whole = "the quick brown fox jumps over the lazy dog";
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    CHECK(crc32c(whole.substr(cut), crc32c(whole.substr(0, cut))) == crc32c(whole));
    CHECK(crc32c_portable(whole.substr(cut), crc32c_portable(whole.substr(0, cut))) ==
          crc32c(whole));
  }
}
