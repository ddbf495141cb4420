#include "cluster/resp_parser.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace warp::cluster;
using words = std::vector<std::string>;

namespace {

struct parsed {
  std::vector<words> commands;
  std::string error;
  std::size_t left = 0; ///< bytes that belong to no whole command
  bool operator==(const parsed&) const = default;
};

/// Feeds `input` in pieces that end at `cuts`, each time from memory of its own, as a connection
/// whose buffer moves does.
parsed feed(const std::string& input, std::vector<std::size_t> cuts,
            const resp_limits& limits = {}) {
  parsed out;
  resp_parser parser{limits};
  std::vector<std::string_view> arguments;
  cuts.push_back(input.size());
  std::string buffer;
  std::size_t taken = 0;
  for (const auto cut : cuts) {
    std::string moved = buffer + input.substr(taken, cut - taken);
    taken = cut;
    buffer.swap(moved);
    std::size_t at = 0;
    for (;;) {
      const auto outcome = parser.next(std::string_view{buffer}.substr(at), arguments);
      if (outcome == resp_parser::outcome::incomplete) {
        CHECK(parser.wanted() > buffer.size() - at);
        break;
      }
      if (outcome == resp_parser::outcome::broken) {
        out.error = parser.error();
        return out;
      }
      out.commands.emplace_back(arguments.begin(), arguments.end());
      REQUIRE(parser.consumed() > 0);
      at += parser.consumed();
    }
    buffer.erase(0, at);
  }
  out.left = buffer.size();
  return out;
}

parsed whole(const std::string& input, const resp_limits& limits = {}) {
  return feed(input, {}, limits);
}

} // namespace

TEST_CASE("arrays of bulk strings are commands") {
  CHECK(whole("*1\r\n$4\r\nPING\r\n").commands == std::vector<words>{{"PING"}});
  CHECK(whole("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n").commands ==
        std::vector<words>{{"SET", "a", ""}, {"GET", "a"}});
  CHECK(whole("*0\r\n*-1\r\n\r\n*1\r\n$1\r\nx\r\n").commands ==
        std::vector<words>{{}, {}, {}, {"x"}});
  const std::string binary{"\0\r\n*", 4};
  CHECK(whole("*1\r\n$4\r\n" + binary + "\r\n").commands == std::vector<words>{{binary}});
}

TEST_CASE("lines are commands, with quotes as Redis reads them") {
  CHECK(whole("PING\r\n").commands == std::vector<words>{{"PING"}});
  CHECK(whole("  set  a\tb \n").commands == std::vector<words>{{"set", "a", "b"}});
  CHECK(whole("set a \"x y\\n\\x41\\q\\\"\"\r\n").commands ==
        std::vector<words>{{"set", "a", "x y\nAq\""}});
  CHECK(whole("set 'a b' 'it\\'s \\n'\r\n").commands ==
        std::vector<words>{{"set", "a b", "it's \\n"}});
  CHECK(whole("set pre\"fix\" \"\"\r\n").commands == std::vector<words>{{"set", "prefix", ""}});
  for (const auto* unbalanced : {"get \"a\r\n", "get 'a\r\n", "get \"a\"b\r\n", "get 'a'b\r\n"})
    CHECK(whole(unbalanced).error == "Protocol error: unbalanced quotes in request");
}

TEST_CASE("a command may be cut anywhere") {
  const std::string stream = "*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$12\r\nvalue\r\nvalue\r\n"
                             "set \"quoted \\x41\" b\r\n*0\r\n*2\r\n$4\r\nMGET\r\n$0\r\n\r\nPING\n";
  const auto expected = whole(stream);
  REQUIRE(expected.commands.size() == 5);
  for (std::size_t a = 0; a <= stream.size(); ++a) {
    CHECK(feed(stream, {a}) == expected);
    for (std::size_t b = a; b <= stream.size(); b += 3) CHECK(feed(stream, {a, b}) == expected);
  }
  std::vector<std::size_t> each;
  for (std::size_t i = 0; i < stream.size(); ++i) each.push_back(i);
  CHECK(feed(stream, each) == expected);
  for (std::size_t end = 0; end < stream.size(); ++end) {
    const auto part = whole(stream.substr(0, end));
    CHECK(part.error.empty());
    REQUIRE(part.commands.size() <= expected.commands.size());
    for (std::size_t i = 0; i < part.commands.size(); ++i)
      CHECK(part.commands[i] == expected.commands[i]);
  }
}

TEST_CASE("what breaks the protocol is named as Redis names it") {
  CHECK(whole("*x\r\n").error == "Protocol error: invalid multibulk length");
  CHECK(whole("*2147483648\r\n").error == "Protocol error: invalid multibulk length");
  CHECK(whole("*99999999999999999999\r\n").error == "Protocol error: invalid multibulk length");
  CHECK(whole("*01\r\n").error == "Protocol error: invalid multibulk length");
  CHECK(whole("*1\r\nPING\r\n").error == "Protocol error: expected '$', got 'P'");
  CHECK(whole("*1\r\n$-1\r\n").error == "Protocol error: invalid bulk length");
  CHECK(whole("*1\r\n$536870913\r\n").error == "Protocol error: invalid bulk length");
  CHECK(whole("*1\r\n$4x\r\n").error == "Protocol error: invalid bulk length");
  CHECK(whole("*" + std::string(70'000, '1')).error ==
        "Protocol error: too big mbulk count string");
  CHECK(whole("*1\r\n$" + std::string(70'000, '1')).error ==
        "Protocol error: too big bulk count string");
  CHECK(whole(std::string(70'000, 'a')).error == "Protocol error: too big inline request");
  const resp_limits small{.bulk_bytes_max = 10, .arguments_max = 3};
  CHECK(whole("*3\r\n$10\r\n0123456789\r\n$1\r\na\r\n$1\r\nb\r\n", small).error.empty());
  CHECK(whole("*1\r\n$11\r\n", small).error == "Protocol error: invalid bulk length");
  CHECK(whole("*4\r\n", small).error == "Protocol error: invalid multibulk length");
}

TEST_CASE("a line that is too long is refused in whatever pieces it comes") {
  const resp_limits small{.line_bytes_max = 16};
  for (const std::size_t size : {15, 16, 17, 40}) {
    const auto line = std::string(size, 'a') + "\n";
    const auto at_once = feed(line, {}, small);
    CHECK(at_once.error.empty() == (size <= 16));
    for (std::size_t cut = 1; cut < line.size(); ++cut) {
      CAPTURE(size, cut);
      const auto in_two = feed(line, {cut}, small);
      CHECK(in_two.commands == at_once.commands);
      CHECK(in_two.error == at_once.error);
    }
  }
}

TEST_CASE("an announced length takes no memory") {
  const resp_limits limits;
  resp_parser parser{limits};
  std::vector<std::string_view> arguments;
  std::string input = "*2147483647\r\n$536870912\r\nabc";
  CHECK(parser.next(input, arguments) == resp_parser::outcome::incomplete);
  CHECK(parser.wanted() > 536'870'912);
  CHECK(parser.memory() < 4096);
}
