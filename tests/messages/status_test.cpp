#include "messages/status.hpp"

#include <catch2/catch_test_macros.hpp>

using warp::op_code;

TEST_CASE("a status prints its stable name and its message", "[messages]") {
  CHECK(warp::op_status{}.to_string() == "ok");
  CHECK(warp::op_status{op_code::no_space, "disk full"}.to_string() == "no_space: disk full");
  CHECK(warp::to_string(static_cast<op_code>(9999)) == "unknown");
}

TEST_CASE("a result holds a value or the status that says why not", "[messages]") {
  warp::op_result<int> good{7};
  CHECK(good.ok());
  CHECK(*good == 7);
  warp::op_result<int> bad{op_code::io_error};
  CHECK_FALSE(bad.ok());
  CHECK(bad.code() == op_code::io_error);
}
