#include "cluster/etcd/client.hpp"

#include "cluster/etcd/blocking_calls.hpp"
#include "tests/support/etcd_process.hpp"
#include "tests/support/test_certificates.hpp"

#include <catch2/catch_test_macros.hpp>
#include <fstream>

using namespace warp;
using namespace warp::cluster::etcd;
using namespace std::chrono_literals;
using warp::testing::etcd_process;
using warp::testing::test_certificates;

namespace {

op_result<member_status> ask(const connection_options& connection) {
  client_options options;
  options.connection = connection;
  options.connection.connect_timeout = 600s;
  options.attempt_timeout = options.request_timeout = 600s;
  auto c = client::create(options);
  if (!c) return c.status();
  return status_now(**c, 0); // asked once
}

bool says(const op_result<member_status>& answer, std::string_view text) {
  return answer.status().message().find(text) != std::string::npos;
}

} // namespace

TEST_CASE("with certificates of one CA both sides believe each other, and else it is said why not",
          "[etcd][tls]") {
  test_certificates ours, strangers;
  const auto server = ours.issue("server");
  const auto mine = ours.issue("client");
  const auto stranger = strangers.issue("stranger");
  etcd_process etcd{{ours.ca_file(), server.cert_file, server.key_file}};
  const connection_options good{{etcd.endpoint()}, ours.ca_file(), mine.cert_file, mine.key_file};
  const auto answer = ask(good);
  INFO(answer.status().to_string());
  REQUIRE(answer.ok());

  SECTION("another CA") {
    auto wrong = good;
    wrong.ca_file = strangers.ca_file();
    const auto refused = ask(wrong);
    INFO(refused.status().to_string());
    CHECK(refused.code() == op_code::unauthorized);
    CHECK(says(refused, "not signed by the CA that is set"));
    CHECK(says(refused, etcd.endpoint()));
  }
  SECTION("no certificate of the client, or a stranger's") {
    auto wrong = good;
    wrong.cert_file = wrong.key_file = "";
    auto refused = ask(wrong);
    INFO(refused.status().to_string());
    CHECK(refused.code() == op_code::unauthorized);
    CHECK(says(refused, "it refuses the client's certificate"));
    wrong.cert_file = stranger.cert_file;
    wrong.key_file = stranger.key_file;
    refused = ask(wrong);
    CHECK(refused.code() == op_code::unauthorized);
    CHECK(says(refused, "it refuses the client's certificate"));
  }
  SECTION("the certificate is for another address") {
    auto wrong = good;
    wrong.endpoints = {"https://localhost:" + std::to_string(etcd.port())};
    const auto refused = ask(wrong);
    INFO(refused.status().to_string());
    CHECK(refused.code() == op_code::unauthorized);
    CHECK(says(refused, "its certificate is for another host name"));
  }
  SECTION("certificate and key do not belong together") {
    auto wrong = good;
    wrong.key_file = server.key_file;
    const auto refused = ask(wrong);
    INFO(refused.status().to_string());
    CHECK(refused.code() == op_code::unauthorized);
    CHECK(says(refused, "cannot be used together"));
  }
  SECTION("the CA file holds none") {
    auto wrong = good;
    wrong.ca_file = mine.key_file;
    const auto refused = ask(wrong);
    INFO(refused.status().to_string());
    CHECK(refused.code() == op_code::unauthorized);
    CHECK(says(refused, "holds no certificate"));
  }
  SECTION("one side does not speak TLS") {
    const auto plain = ask({{"http://127.0.0.1:" + std::to_string(etcd.port())}});
    INFO(plain.status().to_string());
    CHECK(!plain.ok());
    CHECK(says(plain, "say https://"));
    etcd_process open;
    auto wrong = good;
    wrong.endpoints = {"https://127.0.0.1:" + std::to_string(open.port())};
    const auto refused = ask(wrong);
    INFO(refused.status().to_string());
    CHECK(refused.code() == op_code::unauthorized);
    CHECK(says(refused, "maybe it does not speak TLS"));
  }
}
