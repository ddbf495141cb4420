#include "storage/small_bytes.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace warp::storage;

TEST_CASE("short byte strings are compared like any, whichever byte differs", "[storage][bytes]") {
  for (std::size_t size = 0; size <= 80; ++size) {
    std::string a(size, 'a');
    for (std::size_t i = 0; i < size; ++i) a[i] = static_cast<char>('a' + i % 23);
    auto b = a;
    REQUIRE(equal_keys(a, b));
    REQUIRE_FALSE(equal_keys(a, b + "x"));
    for (std::size_t i = 0; i < size; ++i) {
      b[i] = '!';
      REQUIRE_FALSE(equal_keys(a, b));
      REQUIRE(contains_byte(b.data(), b.size(), '!'));
      REQUIRE_FALSE(contains_byte(a.data(), a.size(), '!'));
      b[i] = a[i];
    }
  }
}
