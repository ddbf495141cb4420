#include "physics/entanglement_rule.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

using namespace warp::physics;
using names = std::vector<std::string>;

TEST_CASE("a rule names the partners of a key", "[physics][entanglement]") {
  const auto rule = entanglement_rule::parse("user:* -> profile:*, settings:*,sessions:*", 0.8);
  REQUIRE(rule);
  CHECK(rule->strength() == 0.8);
  CHECK(rule->partners_of("user:7") == names{"profile:7", "settings:7", "sessions:7"});
  CHECK(rule->partners_of("user:").empty());
  CHECK(rule->partners_of("users:7").empty());
  CHECK(rule->captured("user:a:b") == "a:b");
}

TEST_CASE("what stands behind the star is part of the form", "[physics][entanglement]") {
  const auto rule = entanglement_rule::parse("order:*:head -> order:*:lines, paid/*");
  REQUIRE(rule);
  CHECK(rule->partners_of("order:12:head") == names{"order:12:lines", "paid/12"});
  CHECK(!rule->captured("order:12:lines"));
  CHECK(!rule->captured("order::head")); // nothing to share
  CHECK(!rule->captured("order:head"));
}

TEST_CASE("what is no rule is refused", "[physics][entanglement]") {
  for (const char* text :
       {"", "->", "user:*", "user:* ->", "user:* -> profile", "user -> profile:*", "a:*:* -> b:*",
        "a:* -> b:*, ", "a:* -> b:*,,c:*", "a:* => b:*"}) {
    CAPTURE(text);
    CHECK(!entanglement_rule::parse(text));
  }
  CHECK(!entanglement_rule::parse("a:* -> b:*", 0));
  CHECK(!entanglement_rule::parse("a:* -> b:*", 1.5));
  CHECK(entanglement_rule::parse("*->*x"));
}
