#include "cluster/etcd/client.hpp"

#include "cluster/etcd/blocking_calls.hpp"
#include "tests/support/etcd_process.hpp"

#include <catch2/catch_test_macros.hpp>
#include <future>

using namespace warp;
using namespace warp::cluster::etcd;
using namespace std::chrono_literals;
using warp::testing::etcd_process;
using outcome = txn_result::outcome;

namespace {

client_options patient(std::vector<std::string> endpoints) {
  client_options options;
  options.connection.endpoints = std::move(endpoints);
  options.connection.connect_timeout = 600s;
  options.attempt_timeout = 600s;
  options.request_timeout = 1'200s;
  return options;
}

std::unique_ptr<client> client_of(client_options options) {
  auto made = client::create(std::move(options));
  if (!made) throw std::runtime_error(made.status().to_string());
  return std::move(*made);
}

txn_request set_if(const std::string& key, revision_t revision, const std::string& value) {
  return {.compares = {{.key = key, .revision = revision}},
          .success = {put_request{key, value}},
          .failure = {{.keys = {key}}}};
}

} // namespace

TEST_CASE("what is put is read back: one key, a prefix, with a limit, as it was", "[etcd]") {
  etcd_process etcd;
  auto c = client_of(patient({etcd.endpoint()}));
  std::string odd;
  for (int i = 0; i < 256; ++i) odd += static_cast<char>(i);
  const auto first = put_now(*c, {"/a/1", "one"});
  REQUIRE(first.ok());
  REQUIRE(put_now(*c, {"/a/2", odd}).ok());
  REQUIRE(put_now(*c, {"/a/" + odd, ""}).ok());
  REQUIRE(put_now(*c, {"/b", "other"}).ok());

  const auto one = range_now(*c, {.keys = {"/a/2"}});
  REQUIRE(one.ok());
  REQUIRE(one->keys.size() == 1);
  CHECK(one->keys[0].value == odd);
  CHECK(one->keys[0].mod_revision == first->header.revision + 1);
  CHECK(one->keys[0].create_revision == one->keys[0].mod_revision);
  CHECK(one->header.revision == first->header.revision + 3);

  const auto all = range_now(*c, {.keys = {"/a/", true}});
  REQUIRE(all.ok());
  REQUIRE(all->keys.size() == 3);
  CHECK(all->keys[0].key == "/a/" + odd); // 0 is before '1'
  CHECK(all->keys[0].value.empty());
  const auto two = range_now(*c, {.keys = {"/a/", true}, .limit = 2, .keys_only = true});
  REQUIRE(two.ok());
  CHECK(two->keys.size() == 2);
  CHECK(two->count == 3);
  CHECK(two->keys[1].value.empty());
  const auto everything = range_now(*c, {.keys = {"", true}});
  REQUIRE(everything.ok());
  CHECK(everything->keys.size() == 4);

  const auto then = range_now(*c, {.keys = {"/", true}, .revision = first->header.revision});
  REQUIRE(then.ok());
  CHECK(then->keys.size() == 1);
  const auto future = range_now(*c, {.keys = {"/", true}, .revision = 1'000'000});
  CHECK(future.code() == op_code::invalid_argument);
  CHECK(future.status().message().find("future revision") != std::string::npos);

  const auto erased = erase_now(*c, {{"/a/", true}});
  REQUIRE(erased.ok());
  CHECK(erased->deleted == 3);
  const auto nothing = range_now(*c, {.keys = {"/a/", true}});
  REQUIRE(nothing.ok());
  CHECK(nothing->keys.empty());
}

TEST_CASE("a transaction is done when its compares hold, and reads what there is else", "[etcd]") {
  etcd_process etcd;
  auto c = client_of(patient({etcd.endpoint()}));
  txn_request create{.compares = {{"/k", compare::target::create_revision, 0}},
                     .success = {put_request{"/k", "1"}, put_request{"/l", "1"}},
                     .failure = {{.keys = {"/k"}}, {.keys = {"/", true}}}};
  const auto created = txn_now(*c, create);
  REQUIRE(created.what == outcome::done);
  CHECK(created.header.revision > 1);

  const auto again = txn_now(*c, create);
  REQUIRE(again.what == outcome::compare_failed);
  CHECK(again.status.ok());
  REQUIRE(again.ranges.size() == 2);
  REQUIRE(again.ranges[0].keys.size() == 1);
  CHECK(again.ranges[0].keys[0].mod_revision == created.header.revision);
  CHECK(again.ranges[1].keys.size() == 2);

  const auto changed = txn_now(*c, set_if("/k", created.header.revision, "2"));
  REQUIRE(changed.what == outcome::done);
  CHECK(changed.header.revision == created.header.revision + 1);
  CHECK(txn_now(*c, set_if("/k", created.header.revision, "3")).what == outcome::compare_failed);
  // Both compares must hold.
  txn_request both{.compares = {{.key = "/k", .revision = changed.header.revision},
                                {.key = "/l", .revision = changed.header.revision}},
                   .success = {delete_request{{"/", true}}}};
  CHECK(txn_now(*c, both).what == outcome::compare_failed);
  both.compares[1].revision = created.header.revision;
  CHECK(txn_now(*c, both).what == outcome::done);
  const auto left = range_now(*c, {.keys = {"/", true}});
  REQUIRE(left.ok());
  CHECK(left->keys.empty());

  // etcd looks at a transaction as a whole before it does any of it.
  const auto twice = txn_now(*c, {.success = {put_request{"/k", "1"}, put_request{"/k", "2"}}});
  CHECK(twice.what == outcome::not_done);
  CHECK(twice.status.code() == op_code::invalid_argument);
  const auto unbound = txn_now(*c, {.success = {put_request{"/k", "1", 4'711}}});
  CHECK(unbound.what == outcome::not_done);
  CHECK(unbound.status.code() == op_code::not_found);
}

TEST_CASE("a key that is bound to a lease goes with it, and a lease that is gone is told",
          "[etcd]") {
  etcd_process etcd;
  auto c = client_of(patient({etcd.endpoint()}));
  const auto lease = grant_now(*c, {60});
  REQUIRE(lease.ok());
  CHECK(lease->ttl_s == 60);
  REQUIRE(put_now(*c, {"/n", "v", lease->lease}).ok());
  const auto bound = range_now(*c, {.keys = {"/n"}});
  REQUIRE(bound.ok());
  CHECK(bound->keys.at(0).lease == lease->lease);
  const auto kept = keep_alive_now(*c, {lease->lease});
  REQUIRE(kept.ok());
  CHECK(kept->ttl_s == 60);

  REQUIRE(revoke_now(*c, {lease->lease}).ok());
  const auto gone = range_now(*c, {.keys = {"/n"}});
  REQUIRE(gone.ok());
  CHECK(gone->keys.empty());
  const auto lost = keep_alive_now(*c, {lease->lease});
  REQUIRE(lost.ok());
  CHECK(lost->ttl_s == 0);
  CHECK(revoke_now(*c, {lease->lease}).code() == op_code::not_found);
  CHECK(put_now(*c, {"/n", "v", lease->lease}).code() == op_code::not_found);
}

TEST_CASE("each endpoint tells how it is", "[etcd]") {
  etcd_process etcd;
  auto c = client_of(patient({"http://127.0.0.1:1", etcd.endpoint()}));
  CHECK(status_now(*c, 0).code() == op_code::unavailable);
  const auto status = status_now(*c, 1);
  REQUIRE(status.ok());
  CHECK(status->version.starts_with("3."));
  CHECK(status->leader == status->header.member);
  CHECK(status->alarms.empty());
  CHECK(status_now(*c, 2).code() == op_code::invalid_argument);
}

TEST_CASE("an endpoint that is down is passed over, for changes too", "[etcd]") {
  etcd_process etcd;
  for (int i = 0; i < 4; ++i) { // where a client begins is random
    auto c = client_of(patient({"http://127.0.0.1:1", "http://127.0.0.1:2", etcd.endpoint()}));
    CHECK(txn_now(*c, {.success = {put_request{"/k", "v"}}}).what == outcome::done);
    CHECK(range_now(*c, {.keys = {"/k"}}).ok());
  }
}

TEST_CASE("an etcd that is killed is told as unavailable, and found again with all it had",
          "[etcd]") {
  etcd_process etcd;
  auto options = patient({etcd.endpoint()});
  auto c = client_of(options);
  const auto done = txn_now(*c, {.success = {put_request{"/k", "v"}}});
  REQUIRE(done.what == outcome::done);
  etcd.kill();
  options.attempt_timeout = options.request_timeout = 300ms;
  auto hasty = client_of(options);
  auto refused = range_now(*hasty, {.keys = {"/k"}});
  while (refused.code() == op_code::timed_out) // this machine stood still for so long
    refused = range_now(*hasty, {.keys = {"/k"}});
  CHECK(refused.code() == op_code::unavailable);
  CHECK(refused.status().message().find(etcd.endpoint()) != std::string::npos);
  // Nothing was sent, so that is certain.
  CHECK(txn_now(*hasty, {.success = {put_request{"/k", "no"}}}).what == outcome::not_done);

  // A question that is asked while etcd is away is answered when it is back.
  std::promise<op_result<range_answer>> promise;
  c->range({.keys = {"/k"}}, [&](auto answer) { promise.set_value(std::move(answer)); });
  etcd.start();
  const auto back = promise.get_future().get();
  REQUIRE(back.ok());
  REQUIRE(back->keys.size() == 1);
  CHECK(back->keys[0].value == "v");
  CHECK(back->keys[0].mod_revision == done.header.revision);
  CHECK(txn_now(*c, set_if("/k", done.header.revision, "w")).what == outcome::done);
}

TEST_CASE("of an etcd that stands still a read times out, and a transaction is unknown", "[etcd]") {
  etcd_process etcd;
  auto options = patient({etcd.endpoint()});
  auto c = client_of(options);
  const auto before = txn_now(*c, {.success = {put_request{"/k", "0"}}});
  REQUIRE(before.what == outcome::done);
  options.attempt_timeout = options.request_timeout = 300ms;
  auto hasty = client_of(options);
  REQUIRE(status_now(*c, 0).ok());
  etcd.pause();
  auto stuck = txn_now(*hasty, set_if("/k", before.header.revision, "1"));
  while (stuck.what == outcome::not_done) // this machine stood still, too, and nothing was sent
    stuck = txn_now(*hasty, set_if("/k", before.header.revision, "1"));
  CHECK(stuck.what == outcome::unknown);
  CHECK(stuck.status.code() == op_code::outcome_unknown);
  CHECK(range_now(*hasty, {.keys = {"/k"}}).code() == op_code::timed_out);
  CHECK(hasty->counters().unknown == 1);
  etcd.resume();

  // Settled by what the rule says: the same compare again, until the revision moves.
  const auto settled = txn_now(*c, set_if("/k", before.header.revision, "1"));
  CHECK((settled.what == outcome::done || settled.what == outcome::compare_failed));
  const auto now = range_now(*c, {.keys = {"/k"}});
  REQUIRE(now.ok());
  CHECK(now->keys.at(0).mod_revision > before.header.revision);
  CHECK(now->keys.at(0).value == "1");
}
