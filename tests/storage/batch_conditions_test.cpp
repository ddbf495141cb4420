#include "storage/batch_conditions.hpp"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <string>
#include <vector>

using namespace warp;
using namespace warp::storage;

namespace {

struct stored {
  lsn_t version;
  std::string value;
};

batch_verdict judge(const std::map<std::string, stored>& before,
                    const std::vector<operation>& operations) {
  return check_conditions(operations, [&](std::size_t i) -> key_state {
    const auto at = before.find(std::string{operations[i].key});
    if (at == before.end()) return {};
    return {.present = true, .version = at->second.version, .value = at->second.value};
  });
}

operation put(std::string_view key, std::string_view value,
              write_condition condition = write_condition::always, lsn_t version = 0) {
  return {.kind = op_kind::put,
          .condition = condition,
          .key = key,
          .value = value,
          .expected_version = version};
}
operation increment(std::string_view key, std::int64_t delta) {
  return {.kind = op_kind::increment, .key = key, .delta = delta};
}
operation erase(std::string_view key) {
  return {.kind = op_kind::erase, .key = key};
}

} // namespace

TEST_CASE("an atomic batch without conditions always may be done", "[storage][transaction]") {
  CHECK(judge({}, {put("a", "1"), erase("b")}).code == op_code::ok);
}

TEST_CASE("a condition sees what earlier operations of the batch did", "[storage][transaction]") {
  CHECK(judge({}, {put("a", "1"), put("a", "2", write_condition::if_absent)}).code ==
        op_code::already_exists);
  CHECK(judge({{"a", {5, "x"}}}, {erase("a"), put("a", "2", write_condition::if_absent)}).code ==
        op_code::ok);
  CHECK(judge({{"a", {5, "x"}}}, {erase("a"), put("a", "2", write_condition::if_present)}).code ==
        op_code::not_found);
  CHECK(judge({{"a", {5, "x"}}}, {put("a", "7"), increment("a", 1)}).code == op_code::ok);
  CHECK(judge({{"a", {5, "7"}}}, {put("a", "x"), increment("a", 1)}).code == op_code::wrong_type);
}

TEST_CASE("a version condition names the version before the batch and is void once the batch wrote "
          "the key",
          "[storage][transaction]") {
  const std::map<std::string, stored> before{{"a", {5, "x"}}};
  CHECK(judge(before, {put("a", "1", write_condition::if_version, 5)}).code == op_code::ok);
  const auto verdict =
      judge(before, {put("b", "1"), put("a", "1", write_condition::if_version, 4)});
  CHECK(verdict.code == op_code::version_mismatch);
  CHECK(verdict.index == 1);
  CHECK(verdict.version == 5);
  CHECK(judge(before, {put("a", "1"), put("a", "2", write_condition::if_version, 5)}).code ==
        op_code::version_mismatch);
  CHECK(judge(before, {put("c", "1", write_condition::if_version, 0)}).code == op_code::ok);
}

TEST_CASE("increments of a batch add up before they overflow", "[storage][transaction]") {
  CHECK(judge({{"n", {1, "9223372036854775806"}}}, {increment("n", 1)}).code == op_code::ok);
  CHECK(judge({{"n", {1, "9223372036854775806"}}}, {increment("n", 1), increment("n", 1)}).code ==
        op_code::wrong_type);
}
