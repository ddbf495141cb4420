#include "cluster/etcd/answer_json.hpp"
#include "cluster/etcd/request_json.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp;
using namespace warp::cluster::etcd;

TEST_CASE("the end of a prefix is the first key behind it", "[etcd][json]") {
  CHECK(end_of_prefix("/a/") == "/a0");
  CHECK(end_of_prefix("a\xff\xff") == "b");
  CHECK(end_of_prefix("\xff") == std::string(1, '\0'));
  CHECK(end_of_prefix("") == std::string(1, '\0'));
}

TEST_CASE("requests are said as the gateway wants them", "[etcd][json]") {
  CHECK(to_call(range_request{.keys = {"a"}, .limit = 2, .revision = 7}).body ==
        R"({"key":"YQ==","limit":"2","revision":"7"})");
  CHECK(to_call(txn_request{.compares = {{.key = "a", .revision = 7}},
                            .success = {put_request{"a", "b", 9}, delete_request{{"c", true}}},
                            .failure = {{.keys = {"a"}}}})
            .body ==
        R"({"compare":[{"key":"YQ==","mod_revision":"7","result":"EQUAL","target":"MOD"}],)"
        R"("failure":[{"request_range":{"key":"YQ=="}}],)"
        R"("success":[{"request_put":{"key":"YQ==","lease":"9","value":"Yg=="}},)"
        R"({"request_delete_range":{"key":"Yw==","range_end":"ZA=="}}]})");
  CHECK(watch_call("a", 5).body ==
        R"({"create_request":{"key":"YQ==","range_end":"Yg==","start_revision":"5"}})");
}

TEST_CASE("an answer is taken whole or not at all", "[etcd][json]") {
  const std::string header = R"("header":{"cluster_id":"7","member_id":"1","revision":"5"})";
  const auto good = read_range("{" + header + R"(,"kvs":[{"key":"YQ==","mod_revision":"3"}]})");
  REQUIRE(good.ok());
  CHECK(good->keys.at(0).value.empty());
  CHECK(good->header.revision == 5);
  for (const std::string bad :
       {"", "null", "[]", "{", "{}", R"({"header":7})", R"({"header":{"cluster_id":"7"}})",
        R"({"header":{"cluster_id":"x","revision":"5"}})",
        R"({"header":{"cluster_id":"-7","revision":"5"}})",
        R"({"header":{"cluster_id":"18446744073709551616","revision":"5"}})"}) {
    CAPTURE(bad);
    CHECK(read_range(bad).code() == op_code::corruption);
    CHECK(read_txn(bad).code() == op_code::corruption);
  }
  for (const std::string bad :
       {R"("kvs":{})", R"("kvs":[7])", R"("kvs":[{}])", R"("kvs":[{"key":"YQ=="}])",
        R"("kvs":[{"key":"!","mod_revision":"3"}])", R"("kvs":[{"key":7,"mod_revision":"3"}])",
        R"("kvs":[{"key":"YQ==","mod_revision":"3.5"}])", R"("count":[])"}) {
    CAPTURE(bad);
    CHECK(read_range("{" + header + "," + bad + "}").code() == op_code::corruption);
  }
  CHECK(read_txn("{" + header + R"(,"succeeded":"true"})").code() == op_code::corruption);
  CHECK(read_txn("{" + header + R"(,"responses":[{"response_range":7}]})").code() ==
        op_code::corruption);
  CHECK(read_txn("{" + header + "}")->what == txn_result::outcome::compare_failed);
  CHECK(read_lease_grant("{" + header + "}").code() == op_code::corruption);
  CHECK(read_lease_keepalive("{" + header + "}").code() == op_code::corruption);
  CHECK(read_lease_keepalive(R"({"result":{)" + header + "}}")->ttl_s == 0);
  CHECK(read_watch_line(R"({"result":{)" + header + R"(,"events":[{}]}})").code() ==
        op_code::corruption);
  CHECK(read_watch_line(R"({"error":{"message":"no"}})").code() == op_code::corruption);
}

TEST_CASE("an error that no etcd has signed proves nothing", "[etcd][json]") {
  CHECK(!read_error(502, "<html>").refused);
  CHECK(!read_error(400, "").refused);
  CHECK(!read_error(400, R"({"code":"3"})").refused);
  CHECK(!read_error(503, R"({"error":"etcdserver: leader changed","code":14})").refused);
  // gRPC itself, of an answer: what was asked for is done.
  CHECK(!read_error(429, R"({"error":"grpc: received message larger than max","code":8})").refused);
  CHECK(read_error(429, R"({"error":"etcdserver: too many requests","code":8})").refused);
  CHECK(read_error(400, R"({"error":"etcdserver: duplicate key","code":3})").message ==
        "etcd says: etcdserver: duplicate key");
}
