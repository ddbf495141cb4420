#include "gpu/calibration.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp::gpu;

namespace {

calibration some() {
  calibration c{"CPU, AVX2, 2 threads", "a device, number 0", {}};
  for (std::size_t i = 0; i < operations; ++i) c.crossover[i] = i * 1000 + 1;
  c.crossover[3] = calibration::never;
  return c;
}

} // namespace

TEST_CASE("a calibration comes back from its text as it was", "[gpu][calibration]") {
  const auto back = calibration_from(to_text(some()));
  REQUIRE(std::holds_alternative<calibration>(back));
  CHECK(std::get<calibration>(back) == some());
}

TEST_CASE("a calibration with any byte changed or missing is refused with the reason",
          "[gpu][calibration]") {
  const auto text = to_text(some());
  for (std::size_t i = 0; i < text.size(); ++i) {
    CAPTURE(i);
    auto changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto refused = calibration_from(changed);
    REQUIRE(std::holds_alternative<std::string>(refused));
    REQUIRE_FALSE(std::get<std::string>(refused).empty());
    REQUIRE(std::holds_alternative<std::string>(calibration_from(text.substr(0, i))));
  }
  CHECK(std::holds_alternative<std::string>(calibration_from(text + "\n")));
}
