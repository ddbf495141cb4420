#include "cluster/resp_text.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp::cluster;

TEST_CASE("patterns match as in Redis") {
  const auto yes = [](const char* pattern, const char* text) {
    INFO(pattern << " " << text);
    CHECK(matches_pattern(pattern, text));
  };
  const auto no = [](const char* pattern, const char* text) {
    INFO(pattern << " " << text);
    CHECK_FALSE(matches_pattern(pattern, text));
  };
  yes("*", "");
  yes("*", "abc");
  yes("a*c", "abbc");
  yes("a*c*", "abcbcd");
  yes("h?llo", "hello");
  yes("h[ae]llo", "hallo");
  no("h[ae]llo", "hillo");
  yes("h[^e]llo", "hallo");
  no("h[^e]llo", "hello");
  yes("h[a-c]llo", "hbllo");
  yes("h[c-a]llo", "hbllo");
  yes("a\\*c", "a*c");
  no("a\\*c", "abc");
  no("", "a");
  yes("", "");
  no("a", "");
  yes("**a**", "xay");
  no("a*b", "ac");
  no("[", "[");
  yes("[a", "a");
  yes("[\\]]", "]");
}

TEST_CASE("a pattern of many stars ends soon") {
  std::string pattern, text(5'000, 'a');
  for (int i = 0; i < 500; ++i) pattern += "*a";
  pattern += "*b";
  CHECK_FALSE(matches_pattern(pattern, text));
}

TEST_CASE("the literal part of a pattern leads to its keys") {
  bool whole = false;
  CHECK(literal_prefix("user:*", whole) == "user:");
  CHECK(whole);
  CHECK(literal_prefix("user:?*", whole) == "user:");
  CHECK_FALSE(whole);
  CHECK(literal_prefix("abc", whole) == "abc");
  CHECK_FALSE(whole);
}

TEST_CASE("floating point numbers are read and written as in Redis") {
  CHECK(format_real(*parse_real("3.0")) == "3");
  CHECK(format_real(*parse_real("10.5") + *parse_real("0.1")) == "10.6");
  CHECK(format_real(*parse_real("5.0e3")) == "5000");
  CHECK(format_real(*parse_real("-0.0")) == "0");
  CHECK(format_real(*parse_real("-1e-8")) == "-0.00000001");
  for (const auto* bad : {"", " 1", "1 ", "abc", "1.2.3", "nan", "1e99999"})
    CHECK_FALSE(parse_real(bad).has_value());
  CHECK(parse_real("inf").has_value());
}
