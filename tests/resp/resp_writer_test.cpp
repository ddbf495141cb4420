#include "cluster/resp_writer.hpp"

#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <string>

using namespace warp::cluster;

namespace {

template <class Write>
std::string written(int protocol, Write write) {
  resp_buffer buffer;
  resp_writer out{buffer, protocol};
  write(out);
  return std::string{buffer.view()};
}

} // namespace

TEST_CASE("each kind of reply has its form in both protocols") {
  const auto both = [](auto write, const std::string& two, const std::string& three) {
    CHECK(written(2, write) == two);
    CHECK(written(3, write) == three);
  };
  both([](auto& w) { w.simple("PONG"); }, "+PONG\r\n", "+PONG\r\n");
  both([](auto& w) { w.error("ERR a\nb"); }, "-ERR a b\r\n", "-ERR a b\r\n");
  both([](auto& w) { w.integer(-17); }, ":-17\r\n", ":-17\r\n");
  both([](auto& w) { w.integer(7); }, ":7\r\n", ":7\r\n");
  both([](auto& w) { w.integer(std::numeric_limits<std::int64_t>::min()); },
       ":-9223372036854775808\r\n", ":-9223372036854775808\r\n");
  both([](auto& w) { w.bulk("ab\r\n"); }, "$4\r\nab\r\n\r\n", "$4\r\nab\r\n\r\n");
  both([](auto& w) { w.bulk(""); }, "$0\r\n\r\n", "$0\r\n\r\n");
  both([](auto& w) { w.null(); }, "$-1\r\n", "_\r\n");
  both([](auto& w) { w.null_array(); }, "*-1\r\n", "_\r\n");
  both([](auto& w) { w.array(12); }, "*12\r\n", "*12\r\n");
  both([](auto& w) { w.map(2); }, "*4\r\n", "%2\r\n");
  both([](auto& w) { w.set(2); }, "*2\r\n", "~2\r\n");
  both([](auto& w) { w.push(3); }, "*3\r\n", ">3\r\n");
  both([](auto& w) { w.real(1.5); }, "$3\r\n1.5\r\n", ",1.5\r\n");
  both([](auto& w) { w.real(-std::numeric_limits<double>::infinity()); }, "$4\r\n-inf\r\n",
       ",-inf\r\n");
  both([](auto& w) { w.boolean(true); }, ":1\r\n", "#t\r\n");
  both([](auto& w) { w.verbatim("hi"); }, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n");
  both([](auto& w) { w.big_number("123"); }, "$3\r\n123\r\n", "(123\r\n");
}

TEST_CASE("a buffer keeps what is behind and gives its memory back") {
  resp_buffer buffer;
  std::string expected;
  for (int i = 0; i < 2'000; ++i) {
    const auto piece =
        std::string(static_cast<std::size_t>(i % 37), static_cast<char>('a' + i % 26));
    buffer.append(piece);
    expected += piece;
    const auto drop = std::min<std::size_t>(static_cast<std::size_t>(i % 29), buffer.size());
    buffer.consume(drop);
    expected.erase(0, drop);
    REQUIRE(buffer.view() == expected);
  }
  buffer.truncate(10);
  CHECK(buffer.view() == expected.substr(0, 10));
  buffer.replace(2, 5, "-replaced-");
  CHECK(buffer.view() == expected.substr(0, 2) + "-replaced-" + expected.substr(5, 5));
  buffer.release();
  CHECK(buffer.empty());
  CHECK(buffer.capacity() == 0);
}
