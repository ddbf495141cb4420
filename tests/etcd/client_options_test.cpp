#include "cluster/etcd/client_options.hpp"

#include "tests/support/test_certificates.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>

using namespace warp;
using namespace warp::cluster::etcd;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string refusal(const connection_options& options) {
  const auto status = check(options);
  CHECK(status.code() == op_code::invalid_argument);
  return status.message();
}

connection_options at(std::vector<std::string> endpoints) {
  connection_options options;
  options.endpoints = std::move(endpoints);
  return options;
}

} // namespace

TEST_CASE("endpoints are checked before anybody is asked", "[etcd]") {
  for (const auto* good : {"http://127.0.0.1:2379", "https://example.com:1", "http://[::1]:65535"})
    CHECK(check(at({good})).ok());
  CHECK_THAT(refusal(at({})), ContainsSubstring("no etcd endpoint"));
  for (const auto* bad : {"127.0.0.1:2379", "ftp://h:1", "http://h", "http://h:0", "http://h:65536",
                          "http://:1", "http://h:1/", "http://user@h:1", "http://h h:1",
                          "http://::1:1", "http://h:1x", "http://"}) {
    CAPTURE(bad);
    CHECK_THAT(refusal(at({bad})), ContainsSubstring(bad));
  }
  CHECK_THAT(refusal(at({"http://h:1", "http://h:1"})), ContainsSubstring("twice"));
}

TEST_CASE("files for TLS are checked before anybody is asked", "[etcd]") {
  testing::test_certificates certificates;
  const auto mine = certificates.issue("mine");
  auto options = at({"https://h:1"});
  options.ca_file = certificates.ca_file();
  CHECK(check(options).ok());
  options.cert_file = mine.cert_file;
  CHECK_THAT(refusal(options), ContainsSubstring("give both or none"));
  options.key_file = mine.key_file;
  CHECK(check(options).ok());
  options.key_file += ".missing";
  CHECK_THAT(refusal(options), ContainsSubstring(options.key_file + ": cannot be read"));
  std::ofstream{options.key_file};
  CHECK_THAT(refusal(options), ContainsSubstring("it is empty"));
  // Never without encryption by mistake.
  options = at({"https://h:1", "http://h:2"});
  options.ca_file = certificates.ca_file();
  CHECK_THAT(refusal(options), ContainsSubstring("\"http://h:2\" is not encrypted"));
}

TEST_CASE("times and bounds are checked", "[etcd]") {
  client_options options;
  options.connection.endpoints = {"http://h:1"};
  CHECK(check(options).ok());
  options.request_timeout = options.attempt_timeout / 2;
  CHECK(check(options).code() == op_code::invalid_argument);
  options = {};
  options.connection.endpoints = {"http://h:1"};
  options.in_flight_max = 0;
  CHECK(check(options).code() == op_code::invalid_argument);
}
