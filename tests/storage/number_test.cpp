#include "storage/number.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <limits>

using namespace warp::storage;

TEST_CASE("a number is a decimal 64-bit integer as short as it can be written",
          "[storage][number]") {
  CHECK(parse_number("0") == 0);
  CHECK(parse_number("-7") == -7);
  CHECK(parse_number("9223372036854775807") == std::numeric_limits<std::int64_t>::max());
  CHECK(parse_number("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
  const auto text = GENERATE("", "-", "+1", " 1", "1 ", "007", "-0", "1.0", "9223372036854775808",
                             "x", "--1", "0x1");
  CAPTURE(text);
  CHECK_FALSE(parse_number(text).has_value());
}

TEST_CASE("a number's text reads back as the number", "[storage][number]") {
  const auto n =
      GENERATE(std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min(),
               std::numeric_limits<std::int64_t>::max());
  CHECK(parse_number(number_text{n}.view()) == n);
}

TEST_CASE("a sum that leaves 64 bits is no number", "[storage][number]") {
  CHECK(add(1, 2) == 3);
  CHECK_FALSE(add(std::numeric_limits<std::int64_t>::max(), 1).has_value());
  CHECK_FALSE(add(std::numeric_limits<std::int64_t>::min(), -1).has_value());
}
