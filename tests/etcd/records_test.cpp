#include "cluster/etcd/cluster_config.hpp"
#include "cluster/etcd/desired_placement.hpp"
#include "cluster/etcd/key_names.hpp"
#include "cluster/etcd/node_record.hpp"
#include "cluster/etcd/shard_record.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace warp;
using namespace warp::cluster::etcd;
using namespace warp::cluster::replication;
using Catch::Matchers::ContainsSubstring;

namespace {

cluster_config some_config() {
  cluster_config config;
  config.id = 99;
  config.shards = 4;
  config.slots = equal_slots(4);
  return config;
}

shard_record some_shard() {
  const member one{node_id{1}, boot_id{17'000'000'000'000'000'001u}}, two{node_id{2}, boot_id{5}};
  return {
      .epoch = 7, .primary = two, .isr = {one, two}, .learners = {node_id{3}}, .reset_epoch = 3};
}

node_record some_node() {
  return {boot_id{42},   7,  "zone a",       "10.0.0.1:7401", "[::1]:7400",
          "node-1:7379", "", "10.0.0.1:7402"};
}

/// The text with one part replaced.
std::string with(std::string text, std::string_view part, std::string_view by) {
  const auto at = text.find(part);
  if (at == std::string::npos) throw std::runtime_error("no " + std::string{part} + " in " + text);
  return text.replace(at, part.size(), by);
}

template <class Read>
std::string refusal(Read read, const std::string& value, op_code code = op_code::corruption) {
  const auto got = read("/warp/c/key", value);
  CAPTURE(value, got.status().to_string());
  CHECK(got.code() == code);
  CHECK_THAT(got.status().message(), ContainsSubstring("/warp/c/key"));
  return got.status().message();
}

} // namespace

TEST_CASE("keys have names below the cluster's, and are known by them again", "[etcd][records]") {
  const auto names = key_names::of("my-cluster.1");
  REQUIRE(names.ok());
  CHECK(names->config() == "/warp/my-cluster.1/config");
  CHECK(names->node(node_id{7}) == "/warp/my-cluster.1/nodes/7");
  CHECK(names->shard(shard_id{63}) == "/warp/my-cluster.1/shards/63");
  CHECK(names->desired_placement() == "/warp/my-cluster.1/placement/desired");
  CHECK(names->node_of("/warp/my-cluster.1/nodes/7") == node_id{7});
  CHECK(names->shard_of("/warp/my-cluster.1/shards/0") == shard_id{0});
  for (const auto* none : {"/warp/my-cluster.1/nodes/", "/warp/my-cluster.1/nodes/07",
                           "/warp/my-cluster.1/nodes/0", "/warp/my-cluster.1/nodes/7x",
                           "/warp/my-cluster.1/nodes/-7", "/warp/my-cluster.1/nodes/4294967296",
                           "/warp/other/nodes/7", "/warp/my-cluster.1/shards/7"})
    CHECK(!names->node_of(none));
  CHECK(!names->shard_of("/warp/my-cluster.1/shards/16384"));
  for (const auto* bad : {"", "A", "a/b", "a b", "\xc3\xa4"})
    CHECK(key_names::of(bad).code() == op_code::invalid_argument);
  CHECK(key_names::of(std::string(65, 'a')).code() == op_code::invalid_argument);
}

TEST_CASE("what is written is read again as it was", "[etcd][records]") {
  const auto config = read_cluster_config("k", to_value(some_config()));
  REQUIRE(config.ok());
  CHECK(*config == some_config());
  auto other = some_config();
  other.level = ack_level::replicated;
  other.slots = {{0, 99, shard_id{3}},
                 {100, 100, shard_id{0}},
                 {101, 8'000, shard_id{1}},
                 {8'001, 16'382, shard_id{3}},
                 {16'383, 16'383, shard_id{2}}};
  CHECK(*read_cluster_config("k", to_value(other)) == other);
  auto most = some_config();
  most.shards = 16'384;
  most.slots = equal_slots(16'384);
  CHECK(*read_cluster_config("k", to_value(most)) == most);

  CHECK(*read_shard_record("k", to_value(some_shard())) == some_shard());
  CHECK(*read_node_record("k", to_value(some_node())) == some_node());
  const desired_placement placement{{{node_id{1}, node_id{2}}, {node_id{4'294'967'295}}}};
  CHECK(*read_desired_placement("k", to_value(placement)) == placement);
  CHECK(read_desired_placement("k", to_value(desired_placement{}))->shards.empty());
}

TEST_CASE("the text of each key is what its page says", "[etcd][records]") {
  CHECK(to_value(some_shard()) ==
        R"({"epoch":7,"isr":[{"boot":"17000000000000000001","node":1},{"boot":"5","node":2}],)"
        R"("learners":[3],"primary":{"boot":"5","node":2},"reset_epoch":3,"version":1})");
  // White space and order are free.
  const auto by_hand = read_shard_record("k", R"(
    { "version": 1, "epoch": 1,
      "primary": {"node": 1, "boot": "2"}, "isr": [ {"node": 1, "boot": "2"} ],
      "learners": [], "reset_epoch": 0 } )");
  REQUIRE(by_hand.ok());
  CHECK(by_hand->primary == member{node_id{1}, boot_id{2}});
}

TEST_CASE("a key of a later version is refused as such", "[etcd][records]") {
  const auto later = [](const std::string& value) {
    return with(value, R"("version":1)", R"("version":2)");
  };
  for (const auto& message :
       {refusal(read_cluster_config, later(to_value(some_config())), op_code::not_supported),
        refusal(read_shard_record, later(to_value(some_shard())), op_code::not_supported),
        refusal(read_node_record, later(to_value(some_node())), op_code::not_supported),
        refusal(read_desired_placement, later(to_value(desired_placement{})),
                op_code::not_supported)}) {
    CHECK_THAT(message, ContainsSubstring("of version 2"));
    CHECK_THAT(message, ContainsSubstring("knows version 1"));
  }
}

TEST_CASE("a key that was edited by hand is refused with its field", "[etcd][records]") {
  const auto shard = to_value(some_shard());
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "no JSON"},
      {"7", "no JSON object"},
      {shard.substr(0, shard.size() - 1), "no JSON"},
      {shard + "x", "no JSON"},
      {shard + std::string(1, '\0'), "zero byte"},
      {std::string(100'000, '[') + std::string(100'000, ']'), "too deep"},
      {std::string(2u << 20, ' '), "2097152 bytes"},
      {"{}", "\"version\" is missing"},
      {with(shard, R"("version":1)", R"("version":"1")"), "\"version\" is \"1\""},
      {with(shard, R"("version":1)", R"("version":0)"), "\"version\" is 0"},
      {with(shard, R"("epoch":7,)", ""), "\"epoch\" is missing"},
      {with(shard, R"("epoch":7)", R"("epoch":0)"), "\"epoch\" is 0"},
      {with(shard, R"("epoch":7)", R"("epoch":7.5)"), "\"epoch\" is 7.5"},
      {with(shard, R"("epoch":7)", R"("epoch":-7)"), "\"epoch\" is -7"},
      {with(shard, R"("epoch":7)", R"("epoch":"7")"), "\"epoch\" is \"7\""},
      {with(shard, R"("epoch":7)", R"("epoch":99999999999999999)"),
       "\"epoch\" is 99999999999999999"},
      {with(shard, R"("epoch":7)", R"("epoch":7,"epoch":8)"), "is there twice"},
      {with(shard, R"("epoch":7)", R"("epoch":7,"Epoch":8)"), "\"Epoch\" is not known"},
      {with(shard, R"("primary":{"boot":"5","node":2})", R"("primary":2)"), "\"primary\" is 2"},
      {with(shard, R"("primary":{"boot":"5")", R"("primary":{"boot":5)"), "\"primary.boot\" is 5"},
      {with(shard, R"("primary":{"boot":"5")", R"("primary":{"boot":"05")"), "\"primary.boot\" is"},
      {with(shard, R"("primary":{"boot":"5")", R"("primary":{"boot":"")"), "\"primary.boot\" is"},
      {with(shard, R"("primary":{"boot":"5")", R"("primary":{"boot":"18446744073709551616")"),
       "\"primary.boot\" is"},
      {with(shard, R"("primary":{"boot":"5")", R"("primary":{"boot":"6")"),
       "\"primary\" is not among"},
      {with(shard, R"("node":2}],)", R"("node":2,"x":1}],)"), "\"isr[1].x\" is not known"},
      {with(shard, R"({"boot":"5","node":2}],)", R"([]],)"), "\"isr[1]\" is no object"},
      {with(shard, R"("node":2}],)", R"("node":0}],)"), "\"isr[1].node\" is 0"},
      {with(shard, R"("node":2}],)", R"("node":1}],)"), "name node 1 twice"},
      {with(shard, R"("learners":[3])", R"("learners":[2])"), "name node 2 twice"},
      {with(shard, R"("learners":[3])", R"("learners":["3"])"), "\"learners[0]\" is no node id"},
      {with(shard, R"("learners":[3])", R"("learners":[3,0])"), "\"learners[1]\" is no node id"},
      {with(shard, R"("learners":[3])", R"("learners":[4294967296])"), "is no node id"},
      {with(shard, R"("reset_epoch":3)", R"("reset_epoch":8)"), "\"reset_epoch\" is above"}};
  for (const auto& [value, expected] : cases)
    CHECK_THAT(refusal(read_shard_record, value), ContainsSubstring(expected));
}

TEST_CASE("each field of the other keys is checked as well", "[etcd][records]") {
  const auto config = to_value(some_config());
  for (const auto& [part, by, expected] :
       std::vector<std::tuple<const char*, const char*, const char*>>{
           {R"("shards":4)", R"("shards":3)", "\"shards\" is no power of two"},
           {R"("shards":4)", R"("shards":8)", "has none for shard 4"},
           {R"("shards":4)", R"("shards":2)", "names shard 2"},
           {R"("shards":4)", R"("shards":32768)", "\"shards\" is 32768"},
           {R"("min_isr":2)", R"("min_isr":4)", "\"min_isr\" is more than rf"},
           {R"("rf":3)", R"("rf":8)", "\"rf\" is 8"},
           {R"("level":"durable")", R"("level":"sync")", "\"level\" is neither"},
           {R"("log":1)", R"("log":0)", "\"formats.log\" is 0"},
           {R"("log":1)", R"("log":1,"x":{})", "\"formats.x\" is not known"},
           {"[0,4095,0]", "[1,4095,0]", "\"slots[0]\" begins with slot 1, and 0 comes next"},
           {"[0,4095,0]", "[0,4094,0]", "\"slots[1]\" begins with slot 4096, and 4095"},
           {"[0,4095,0]", "[0,16384,0]", "\"slots[0]\" ends with slot 16384"},
           {"[0,4095,0]", "[0,-1,0]", "\"slots[0]\" is not"},
           {"[0,4095,0]", "7", "\"slots[0]\" is not"},
           {",[12288,16383,3]", "", "ends before slot 12288"}})
    CHECK_THAT(refusal(read_cluster_config, with(config, part, by)), ContainsSubstring(expected));
  const auto node = to_value(some_node());
  for (const auto& [part, by, expected] :
       std::vector<std::tuple<const char*, const char*, const char*>>{
           {R"("boot":"42")", R"("boot":"0")", "\"boot\" is"},
           {"10.0.0.1:7401", "", "\"addresses.nodes\" is empty"},
           {"10.0.0.1:7401", "10.0.0.1", "\"addresses.nodes\" is no HOST:PORT"},
           {"10.0.0.1:7401", ":7401", "\"addresses.nodes\" is no HOST:PORT"},
           {"10.0.0.1:7401", "h:65536", "\"addresses.nodes\" is no HOST:PORT"},
           {R"("http":"")", R"("https":"")", "\"addresses.http\" is missing"},
           {R"("zone":"zone a")", R"("zone":null)", "\"zone\" is null"}})
    CHECK_THAT(refusal(read_node_record, with(node, part, by)), ContainsSubstring(expected));
  CHECK_THAT(refusal(read_node_record, with(node, "zone a", std::string(65, 'z'))),
             ContainsSubstring("65 bytes"));
  const std::string placement = R"({"version":1,"shards":[[1,2]]})";
  for (const auto* by : {"[]", "[1,1]", "[0]", "[1,2,3,4,5,6,7,8]", "[4294967296]", "1", "[\"1\"]"})
    CHECK_THAT(refusal(read_desired_placement, with(placement, "[1,2]", by)),
               ContainsSubstring("\"shards[0]\" is not a list"));
}
