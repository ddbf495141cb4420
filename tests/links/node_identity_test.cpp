#include "cluster/links/node_identity.hpp"

#include "cluster/links/hello.hpp"
#include "tests/links/random_messages.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp;
using namespace warp::cluster::links;

TEST_CASE("a hello and its answer come back as they were sent", "[links][hello]") {
  const auto self = test_identity(5, 99);
  const auto hello = decode_hello(encode_hello(self));
  REQUIRE(hello.ok());
  CHECK(*hello == self);
  const auto answer = decode_answer(encode_answer({{op_code::unauthorized, "not you"}, self}));
  REQUIRE(answer.ok());
  CHECK(answer->status.code() == op_code::unauthorized);
  CHECK(answer->status.message() == "not you");
  CHECK(answer->identity == self);
  CHECK(decode_answer(encode_answer({{}, self}))->status.ok());
}

TEST_CASE("what is no hello is refused", "[links][hello]") {
  const auto bytes = encode_hello(test_identity(5));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK(decode_hello(std::span{bytes}.first(size)).code() == op_code::corruption);
  CHECK_FALSE(decode_answer(std::vector<char>(64, 'x')).ok());
}

TEST_CASE("control characters of a hello do not get into logs", "[links][hello]") {
  auto self = test_identity(5);
  self.cluster_name = "a\nb\x1b";
  CHECK(decode_hello(encode_hello(self))->cluster_name == "a?b?");
}

TEST_CASE("nodes of another cluster, another format and with our own id are refused",
          "[links][hello]") {
  const auto self = test_identity(1);
  CHECK(judge_peer(self, test_identity(2)).ok());
  auto other = test_identity(2);
  other.cluster = cluster_id{0xC2};
  CHECK(judge_peer(self, other).code() == op_code::unauthorized);
  other = test_identity(2);
  other.cluster_name = "green";
  CHECK(judge_peer(self, other).code() == op_code::unauthorized);
  other = test_identity(2);
  other.format = envelope_format + 1;
  CHECK(judge_peer(self, other).code() == op_code::not_supported);
  CHECK(judge_peer(self, test_identity(1, 9)).code() == op_code::already_exists);
  for (auto change :
       {+[](node_identity& n) { n.boot = {}; }, +[](node_identity& n) { n.node = {}; },
        +[](node_identity& n) { n.instance = 0; }, +[](node_identity& n) { n.cluster = {}; },
        +[](node_identity& n) { n.cluster_name.clear(); }}) {
    other = test_identity(2);
    change(other);
    CHECK(judge_peer(self, other).code() == op_code::invalid_argument);
  }
}

TEST_CASE("a later boot of a node replaces it; an older one and a second data folder do not",
          "[links][hello]") {
  const auto known = test_identity(2, 10);
  CHECK(judge_boot({}, false, known).ok());
  CHECK(judge_boot(known, true, known).ok()); // the link broke, and only one side has seen it yet
  CHECK(judge_boot(known, true, test_identity(2, 11)).ok());
  CHECK(judge_boot(known, true, test_identity(2, 9)).code() == op_code::already_exists);
  CHECK(judge_boot(known, false, test_identity(2, 9)).code() == op_code::already_exists);
  auto second = test_identity(2, 11);
  second.instance = 5;
  CHECK(judge_boot(known, true, second).code() == op_code::already_exists);
  CHECK(judge_boot(known, false, second).ok()); // the node was replaced
}
