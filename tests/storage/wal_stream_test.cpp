#include "storage/wal_stream.hpp"
#include "tests/support/test_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

TEST_CASE("what a round has written is durable and comes back", "[storage][wal]") {
  faulty_file_system files;
  test_log log{files};
  REQUIRE(log.open().ok());
  const auto a = log.put(0, "a", "1"), b = log.put(0, "b", "2"), c = log.put(3, "c", "3");
  CHECK(a == 1);
  CHECK(b == 2);
  CHECK(c == 1);
  CHECK(log.log(0).durable(b) == durable_state::pending);
  REQUIRE(log.round());
  CHECK(log.log(0).durable(b) == durable_state::durable);
  CHECK(log.log(0).durable_lsn() == 2);
  CHECK_FALSE(log.round()); // nothing left
  log.put(1, "lost", "x");  // in no round

  log.drop();
  files.crash(crash_policy::drop_all);
  REQUIRE(log.open().ok());
  CHECK(log.recovered.shards[0].values ==
        std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}});
  CHECK(log.recovered.shards[3].values == std::map<std::string, std::string>{{"c", "3"}});
  CHECK(log.recovered.shards[1].values.empty());
}
