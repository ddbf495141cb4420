#include "cluster/replication/checkpoint_transfer.hpp"

#include "tests/simulation/model_checkpoint.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp;
using namespace warp::cluster::replication;

namespace {

constexpr node_id one{1}, two{2};
const std::string content = "some bytes that are a checkpoint";

checkpoint_manifest manifest(std::uint64_t id = 1) {
  checkpoint_manifest m{id, {5, 3, 77}, {5, 3, 77}, content.size(), 10, {}};
  for (std::size_t i = 0; i < content.size(); i += 10)
    m.checksums.push_back(testing::model_checksum(std::string_view{content}.substr(i, 10)));
  return m;
}
transfer::chunk chunk(std::uint32_t index, std::uint64_t id = 1) {
  return {id, index, content.substr(index * 10, 10)};
}
checkpoint_receiver receiver(std::optional<checkpoint_receiver::found_chunks> found = {}) {
  transfer_options options;
  options.chunks_in_flight = 2;
  options.checksum = &testing::model_checksum;
  return checkpoint_receiver{options, std::move(found), 0};
}
/// The chunks that are asked for, and of whom.
std::vector<std::pair<node_id, std::uint32_t>> asked(const transfer_actions& actions) {
  std::vector<std::pair<node_id, std::uint32_t>> some;
  for (const auto& a : actions)
    if (const auto* s = std::get_if<transfer_action::send>(&a))
      some.emplace_back(s->to, std::get<transfer::chunk_request>(s->what).index);
  return some;
}
const transfer_action::whole* whole(const transfer_actions& actions) {
  for (const auto& a : actions)
    if (const auto* w = std::get_if<transfer_action::whole>(&a)) return w;
  return nullptr;
}
using requests = std::vector<std::pair<node_id, std::uint32_t>>;

} // namespace

TEST_CASE("a checkpoint is asked for in bounded pieces and is whole with the last",
          "[replication]") {
  auto r = receiver();
  CHECK(asked(r.received(one, transfer::offer{4, manifest()}, 0)) == requests{{one, 0}, {one, 1}});
  CHECK(asked(r.received(one, chunk(1), 1)) == requests{{one, 2}});
  CHECK(asked(r.received(one, chunk(0), 2)) == requests{{one, 3}});
  CHECK(whole(r.received(one, chunk(2), 3)) == nullptr);
  const auto last = r.received(one, chunk(3), 4);
  REQUIRE(whole(last) != nullptr);
  CHECK(whole(last)->max_epoch == 4);
}

TEST_CASE("a chunk with other bytes is refused and asked for again", "[replication]") {
  auto r = receiver();
  (void)r.received(one, transfer::offer{4, manifest()}, 0);
  auto bad = chunk(0);
  bad.bytes[3] ^= 1;
  CHECK(r.received(one, bad, 1).empty());
  CHECK(r.refused() == 1);
  CHECK(asked(r.tick(2)) == requests{{one, 0}});
}

TEST_CASE("a chunk that does not come is asked for again, after a stall of another holder",
          "[replication]") {
  auto r = receiver();
  (void)r.received(one, transfer::offer{4, manifest()}, 0);
  CHECK(asked(r.tick(400 * milliseconds)).empty());
  CHECK(asked(r.tick(600 * milliseconds)) == requests{{one, 0}, {one, 1}});
  CHECK(asked(r.received(two, transfer::offer{5, manifest()}, 700 * milliseconds)).empty());
  (void)r.received(two, transfer::offer{5, manifest()}, 3 * seconds);
  CHECK(asked(r.tick(4 * seconds)) == requests{{two, 0}, {two, 1}});
}

TEST_CASE("another checkpoint is taken only when the first does not get on or is gone",
          "[replication]") {
  auto r = receiver();
  (void)r.received(one, transfer::offer{4, manifest()}, 0);
  CHECK(r.received(two, transfer::offer{4, manifest(2)}, 1 * seconds).empty());
  (void)r.received(two, transfer::gone{1}, 1 * seconds); // not of whom it is taken
  CHECK(r.is_under_way());
  (void)r.received(one, transfer::gone{1}, 1 * seconds);
  CHECK_FALSE(r.is_under_way());
  CHECK(asked(r.received(two, transfer::offer{4, manifest(2)}, 1 * seconds)).size() == 2);
}

TEST_CASE("after a restart only what is missing is asked for, of whoever has the same",
          "[replication]") {
  auto r = receiver(checkpoint_receiver::found_chunks{manifest(), {true, false, true, true}});
  CHECK(r.tick(1).empty());
  CHECK(r.received(one, transfer::offer{4, manifest(2)}, 1).empty());
  CHECK(asked(r.received(two, transfer::offer{6, manifest()}, 1)) == requests{{two, 1}});
  const auto last = r.received(two, chunk(1), 2);
  REQUIRE(whole(last) != nullptr);
  CHECK(whole(last)->max_epoch == 6);
}

TEST_CASE("a manifest that cannot be is no offer", "[replication]") {
  auto r = receiver();
  auto m = manifest();
  m.checksums.pop_back();
  CHECK(r.received(one, transfer::offer{4, m}, 0).empty());
  m = manifest();
  m.chunk_bytes = 0;
  CHECK(r.received(one, transfer::offer{4, m}, 0).empty());
  CHECK_FALSE(r.is_under_way());
}
