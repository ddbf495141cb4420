#include "actors/universe.hpp"

#include "storage/backup_repository.hpp"
#include "storage/backup_restore.hpp"
#include "tests/actors/universe_fixture.hpp"

#include <catch2/catch_test_macros.hpp>
#include <thread>

using namespace warp;
using warp::testing::universe_fixture;

namespace {

/// What became of an order.
actors::backup_state outcome(universe& u, std::uint64_t ticket) {
  for (;;) {
    auto state = u.backup(ticket);
    REQUIRE(state.ok());
    if (state->done) return std::move(*state);
    std::this_thread::yield();
  }
}

} // namespace

TEST_CASE_METHOD(universe_fixture, "an ordered backup is made, also by the successor of its actor",
                 "[actors][universe][backup]") {
  auto u = open();
  REQUIRE(u->put("key", "value", {.level = durability::sync}).ok());
  CHECK(u->order_backup().code() == op_code::invalid_argument); // no folder is configured
  const auto repository = std::string{"backups"};
  auto ticket = u->order_backup(repository);
  REQUIRE(ticket.ok());
  const auto first = outcome(*u, *ticket);
  INFO(first.result.to_string());
  REQUIRE(first.result.ok());
  REQUIRE(u->chaos("universe/storage/backups").ok());
  ticket = u->order_backup(repository);
  REQUIRE(ticket.ok());
  auto second = outcome(*u, *ticket);
  // The one under way when its actor is ended is given up, and says so.
  if (!second.result.ok()) {
    CHECK(second.result == op_code::unavailable);
    second = outcome(*u, *u->order_backup(repository));
  }
  REQUIRE(second.result.ok());
  CHECK(second.new_bytes < first.bytes);
  CHECK(u->backup(99).code() == op_code::not_found);
  CHECK(u->metrics().find("warp_backups_total 2") != std::string::npos);
  REQUIRE(u->stop().ok());
  CHECK(u->order_backup(repository).code() == op_code::shutting_down);

  const auto store = storage::open_backup_folder(files, repository);
  REQUIRE(storage::restore_backup(*store, files, "restored").ok());
  auto options = warp::testing::small_options("restored");
  options.files = &files;
  warp::testing::running_engine restored{options};
  CHECK(restored.get("key") == "value");
}

TEST_CASE_METHOD(universe_fixture, "a stop gives up a backup and does not wait for it",
                 "[actors][universe][backup]") {
  universe_options options;
  options.backups.rate_bytes = 1; // an hour for a kilobyte
  auto u = open(std::move(options));
  REQUIRE(u->put("key", "value", {.level = durability::sync}).ok());
  const auto repository = std::string{"backups"};
  const auto ticket = u->order_backup(repository);
  REQUIRE(ticket.ok());
  while (u->backup(*ticket)->bytes_done == 0) std::this_thread::yield();
  REQUIRE(u->stop().ok());
  CHECK(u->backup(*ticket)->result == op_code::unavailable);
  const auto store = storage::open_backup_folder(files, repository);
  const auto left = storage::list_backups(*store);
  REQUIRE(left.ok());
  CHECK(left->empty());
}
