#include "cluster/etcd/known_keys.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp::cluster::etcd;
using names = std::vector<std::string>;

namespace {

range_answer list(revision_t at, std::vector<std::pair<std::string, revision_t>> keys) {
  range_answer answer;
  answer.header = {7, 1, at};
  for (auto& [key, revision] : keys) answer.keys.push_back({key, "", revision, revision, 0});
  return answer;
}

watch_line line(std::vector<watch_line::event> events) {
  watch_line made;
  made.header = {7, 1, 1'000};
  made.events = std::move(events);
  return made;
}

} // namespace

TEST_CASE("a list tells what events did not, once", "[etcd][watch]") {
  known_keys keys;
  CHECK(keys.take(list(5, {{"a", 2}, {"b", 5}}), 0) == names{"a", "b"});
  CHECK(keys.seen() == 5);
  CHECK(keys.take(line({{"b", 6}, {"c", 7}})) == names{"b", "c"});
  CHECK(keys.seen() == 7);
  // Changed, new and gone without an event.
  CHECK(keys.take(list(10, {{"b", 8}, {"c", 7}, {"d", 9}}), 7) == names{"a", "b", "d"});
  CHECK(keys.take(list(10, {{"b", 8}, {"c", 7}, {"d", 9}}), 10).empty());
  CHECK(keys.seen() == 10);
}

TEST_CASE("events that were told before are not told again", "[etcd][watch]") {
  known_keys keys;
  CHECK(keys.take(list(5, {{"a", 5}}), 0) == names{"a"});
  CHECK(keys.take(line({{"a", 3}, {"x", 5}})).empty());
  CHECK(keys.take(line({{"a", 6, true}, {"b", 6}})) == names{"a", "b"});
  CHECK(keys.take(line({{"a", 6, true}})).empty());
  CHECK(keys.take(line({})).empty()); // a confirmation moves nothing
  CHECK(keys.seen() == 6);
}

TEST_CASE("a list that is older than the events behind it takes nothing back", "[etcd][watch]") {
  known_keys keys;
  CHECK(keys.take(list(5, {{"a", 5}}), 0).size() == 1);
  CHECK(keys.take(line({{"a", 8}, {"new", 8}})).size() == 2);
  // Asked for at 5, made at 6, and late.
  CHECK(keys.take(list(6, {{"a", 5}}), 5).empty());
  CHECK(keys.seen() == 8);
  CHECK(keys.take(list(8, {{"a", 8}, {"new", 8}}), 8).empty());
}

TEST_CASE("a list from before what was seen is of an etcd that was set back", "[etcd][watch]") {
  known_keys keys;
  CHECK(keys.take(list(50, {{"a", 40}, {"b", 3}}), 0).size() == 2);
  CHECK(keys.take(list(4, {{"b", 3}, {"c", 4}}), 50) == names{"a", "b", "c"});
  CHECK(keys.seen() == 4);
  CHECK(keys.take(line({{"d", 5}})) == names{"d"});
}
