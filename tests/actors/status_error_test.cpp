#include "actors/status_error.hpp"

#include <caf/all.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace warp;
using namespace warp::actors;

TEST_CASE("a status comes back from a CAF error with code and sentence", "[actors][status]") {
  const op_status status{op_code::no_space, "segment 7: disk full at offset 4096"};
  const auto back = to_status(to_error(status));
  CHECK(back.code() == op_code::no_space);
  CHECK(back.message() == status.message());
  CHECK_FALSE(to_error(op_status{}));
  CHECK(to_status(caf::error{}).ok());
}

TEST_CASE("an error of CAF itself is unavailable and says which", "[actors][status]") {
  const auto status = to_status(make_error(caf::sec::request_receiver_down));
  CHECK(status.code() == op_code::unavailable);
  CHECK(status.message() == "request_receiver_down");
  CHECK(cause_text(make_error(caf::exit_reason::kill)) == "killed");
}

TEST_CASE("CAF prints our errors", "[actors][status]") {
  caf::actor_system_config config;
  register_errors(config);
  caf::actor_system system{config};
  CHECK(system.render(to_error({op_code::io_error, "sync failed"})) == "io_error: sync failed");
}
