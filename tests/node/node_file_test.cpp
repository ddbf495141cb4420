#include "cluster/node/node_file.hpp"
#include "storage/path.hpp"
#include "storage/replace_file.hpp"
#include "tests/support/memory_file_system.hpp"
#include "tests/support/temp_folder.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace warp;
using namespace warp::cluster;
using Catch::Matchers::ContainsSubstring;

namespace {

struct folder {
  testing::temp_folder at;
  storage::file_system& files = storage::posix_file_system();
  [[nodiscard]] op_result<node_file> start(std::uint32_t node, std::uint64_t now_s,
                                           const char* cluster = "c") const {
    return begin_start(files, at.path(), cluster, replication::node_id{node}, now_s);
  }
};

} // namespace

TEST_CASE("each start draws a higher boot, also where the clock went back") {
  folder f;
  const auto first = f.start(1, 1'000);
  REQUIRE(first);
  const auto later = f.start(1, 2'000), back = f.start(1, 5);
  REQUIRE(later);
  REQUIRE(back);
  CHECK(later->boot > first->boot);
  CHECK(back->boot > later->boot);
  CHECK_FALSE(same_start(first->boot, later->boot));
  CHECK(same_start(later->boot, later->boot + 7));
  CHECK(back->instance == first->instance);
}

TEST_CASE("a folder that was made anew is another instance, with a higher boot") {
  folder old, fresh;
  const auto a = old.start(1, 1'000), b = fresh.start(1, 1'001);
  REQUIRE(a);
  REQUIRE(b);
  CHECK(a->instance != b->instance);
  CHECK(b->boot > a->boot);
}

TEST_CASE("the folder of another node, or of another cluster, is refused") {
  folder f;
  REQUIRE(f.start(1, 1'000));
  const auto other = f.start(2, 2'000);
  CHECK(other.code() == op_code::invalid_argument);
  CHECK_THAT(other.status().message(), ContainsSubstring("belongs to node 1 of cluster \"c\""));
  CHECK(f.start(1, 2'000, "d").code() == op_code::invalid_argument);

  auto file = f.start(1, 3'000);
  REQUIRE(file);
  CHECK(join_cluster(f.files, f.at.path(), *file, 77).ok());
  auto again = f.start(1, 4'000);
  REQUIRE(again);
  CHECK(again->cluster_id == 77);
  CHECK(join_cluster(f.files, f.at.path(), *again, 77).ok());
  CHECK(join_cluster(f.files, f.at.path(), *again, 78).code() == op_code::invalid_argument);
}

TEST_CASE("a damaged file says which and where") {
  folder f;
  REQUIRE(f.start(1, 1'000));
  REQUIRE(storage::replace_file(f.files, f.at.path(), "cluster-node", "{\"version\":1}").ok());
  const auto got = f.start(1, 2'000);
  CHECK(got.code() == op_code::corruption);
  CHECK_THAT(got.status().message(), ContainsSubstring("cluster-node"));
}
