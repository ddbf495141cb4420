#include "cluster/links/outbox.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp;
using namespace warp::cluster::links;
namespace rep = warp::cluster::replication;

namespace {

shard_message record(lsn_t lsn, std::size_t bytes = 0) {
  rep::append a{1, lsn - 1, 1, 0, 0, {{lsn, 1, false, std::string(bytes, 'x')}}};
  return {shard_id{1}, {{node_id{1}, boot_id{1}}, std::move(a)}};
}
shard_message answer(lsn_t lsn) {
  return {shard_id{1}, {{node_id{1}, boot_id{1}}, rep::append_nack{1, lsn}}};
}
lsn_t lsn_of(const shard_message& m) {
  if (const auto* a = std::get_if<rep::append>(&m.what.body)) return a->records[0].lsn;
  return std::get<rep::append_nack>(m.what.body).need_from;
}

} // namespace

TEST_CASE("answers overtake records that wait, and each kind keeps its order", "[links][outbox]") {
  outbox waiting{10'000};
  REQUIRE(waiting.push(record(1)));
  REQUIRE(waiting.push(answer(11)));
  REQUIRE(waiting.push(record(2)));
  REQUIRE(waiting.push(answer(12)));
  CHECK(waiting.size() == 4);
  const auto all = waiting.take(10'000);
  REQUIRE(all.size() == 4);
  const lsn_t expected[] = {11, 12, 1, 2};
  for (std::size_t i = 0; i < 4; ++i) CHECK(lsn_of(all[i]) == expected[i]);
  CHECK((waiting.empty() && waiting.bytes() == 0));
}

TEST_CASE("an outbox is bounded in bytes, with an eighth more room for answers",
          "[links][outbox]") {
  outbox waiting{8'000};
  lsn_t lsn = 1;
  while (waiting.push(record(lsn, 500))) ++lsn;
  CHECK(waiting.bytes() <= 8'000);
  CHECK(lsn > 10);
  lsn_t answers = 0;
  while (waiting.push(answer(++answers))) {
  }
  CHECK(answers > 10);
  CHECK(waiting.bytes() <= 9'000);
  CHECK(waiting.clear() == lsn - 1 + answers - 1);
  CHECK(waiting.push(record(1)));
}

TEST_CASE("a message that is longer than the outbox is taken alone", "[links][outbox]") {
  outbox waiting{1'000};
  REQUIRE(waiting.push(record(1, 50'000)));
  CHECK_FALSE(waiting.push(record(2)));
  const auto taken = waiting.take(100);
  REQUIRE(taken.size() == 1);
  CHECK(waiting.push(record(2)));
}

TEST_CASE("what is taken at once is as much as was asked for", "[links][outbox]") {
  outbox waiting{100'000};
  for (lsn_t lsn = 1; lsn <= 20; ++lsn) REQUIRE(waiting.push(record(lsn, 1'000)));
  lsn_t next = 1;
  while (!waiting.empty()) {
    const auto taken = waiting.take(3'500);
    REQUIRE_FALSE(taken.empty());
    CHECK(taken.size() <= 3);
    for (const auto& m : taken) CHECK(lsn_of(m) == next++);
  }
  CHECK(next == 21);
}
