#include "cluster/moment.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp::cluster;

TEST_CASE("a moment is read as RFC 3339 or as seconds since 1970", "[moment]") {
  constexpr std::uint64_t then = 1'700'000'000'000'000; // 2023-11-14T22:13:20Z
  for (const auto* text :
       {"2023-11-14T22:13:20Z", "2023-11-14t22:13:20z", "2023-11-14 22:13:20",
        "2023-11-14T23:13:20+01:00", "2023-11-14T16:43:20-05:30", "1700000000", "1700000000.0"}) {
    CAPTURE(text);
    CHECK(parse_moment(text) == then);
  }
  CHECK(parse_moment("2023-11-14T22:13:20.25Z") == then + 250'000);
  CHECK(parse_moment("1700000000.1234567") == then + 123'456);
  CHECK(parse_moment("1970-01-01T00:00:00Z") == 0);
  for (const auto* text :
       {"", "yesterday", "2023-11-14", "2023-13-14T22:13:20Z", "2023-02-30T22:13:20Z",
        "2023-11-14T24:13:20Z", "2023-11-14T22:13:20.Z", "2023-11-14T22:13:20+1", "17e8", "-5",
        "1700000000Z", "99999999999999", "1969-12-31T23:59:59Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_moment(text));
  }
}

TEST_CASE("a moment is shown as it is read", "[moment]") {
  CHECK(show_moment(1'700'000'000'000'000) == "2023-11-14T22:13:20Z");
  CHECK(show_moment(1'700'000'000'000'001) == "2023-11-14T22:13:20.000001Z");
  CHECK(parse_moment(show_moment(1'234'567'890'123'456)) == 1'234'567'890'123'456);
}
