#include "messages/base64.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp;

TEST_CASE("base64 survives the way there and back at every length", "[messages][base64]") {
  std::string bytes, back;
  for (int i = 0; i < 20; ++i) {
    REQUIRE(from_base64(to_base64(bytes), back));
    CHECK(back == bytes);
    bytes += static_cast<char>(i * 37);
  }
  CHECK(to_base64("any carnal pleas") == "YW55IGNhcm5hbCBwbGVhcw==");
  for (const auto* bad :
       {"a", "ab", "abc", "a===", "ab=c", "ab==cd==", "ab\n=", "fffffff=", "ab=="}) {
    CAPTURE(bad);
    CHECK_FALSE(from_base64(bad, back));
  }
}
