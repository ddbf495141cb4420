#include "cluster/line_source.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>
#include <vector>
#include <zstd.h>

using namespace warp;
using namespace warp::cluster;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Hands out `bytes`, at most `piece` at a time, so that lines are cut everywhere.
byte_reader reader_of(std::string bytes, std::size_t piece) {
  return [bytes = std::move(bytes), piece,
          at = std::size_t{0}](std::span<char> to) mutable -> op_result<std::size_t> {
    const auto n = std::min({piece, to.size(), bytes.size() - at});
    std::memcpy(to.data(), bytes.data() + at, n);
    at += n;
    return n;
  };
}

std::string compressed(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::vector<std::string> lines_of(std::string bytes, std::size_t piece,
                                  std::size_t line_max = 1 << 20) {
  line_source source(reader_of(std::move(bytes), piece), line_max);
  std::vector<std::string> lines;
  std::string_view line;
  for (;;) {
    const auto got = source.next(line);
    REQUIRE(got.ok());
    if (*got == line_source::outcome::end) return lines;
    lines.push_back(*got == line_source::outcome::too_long ? "(too long)" : std::string(line));
    CHECK(source.line_number() == lines.size());
  }
}

using lines = std::vector<std::string>;

} // namespace

TEST_CASE("lines come out whole however the bytes arrive", "[line_source]") {
  const auto piece = GENERATE(1u, 2u, 3u, 7u, 1'000'000u);
  const bool zstd = GENERATE(false, true);
  CAPTURE(piece, zstd);
  const auto give = [&](std::string text) {
    return lines_of(zstd ? compressed(text) : text, piece);
  };
  CHECK(give("").empty());
  CHECK(give("\n") == lines{""});
  CHECK(give("one") == lines{"one"});
  CHECK(give("one\n") == lines{"one"});
  CHECK(give("one\ntwo") == lines{"one", "two"});
  CHECK(give("one\n\nthree\n") == lines{"one", "", "three"});
  CHECK(give("\xef\xbb\xbfone\n\xef\xbb\xbftwo\n") == lines{"one", "\xef\xbb\xbftwo"});
  CHECK(give("one\r\ntwo\r\n") == lines{"one\r", "two\r"});
}

TEST_CASE("a line above the limit is passed over and the next one is whole", "[line_source]") {
  const auto piece = GENERATE(1u, 5u, 1'000'000u);
  CAPTURE(piece);
  const std::string longest(10, 'x');
  CHECK(lines_of(longest + "\n" + longest + "x\nshort\n" + longest + "yyyyyyyy", piece, 10) ==
        lines{longest, "(too long)", "short", "(too long)"});
}

TEST_CASE("a byte order mark does not count as a part of the first line", "[line_source]") {
  const auto piece = GENERATE(1u, 5u, 1'000'000u);
  CHECK(lines_of("\xef\xbb\xbf"
                 "12345678",
                 piece, 8) == lines{"12345678"});
  CHECK(lines_of("\xef\xbb\xbf", piece).empty());
  CHECK(lines_of("\xef\xbb\xbf"
                 "123456789\n1",
                 piece, 8) == lines{"(too long)", "1"});
}

TEST_CASE("a line larger than every buffer comes out whole", "[line_source]") {
  const std::string large(3 << 20, 'y');
  CHECK(lines_of("a\n" + large + "\nb", 100'000, 4 << 20) == lines{"a", large, "b"});
  CHECK(lines_of(compressed("a\n" + large + "\nb"), 1'000, 4 << 20) == lines{"a", large, "b"});
}

TEST_CASE("several zstd frames in a row are one text", "[line_source]") {
  CHECK(lines_of(compressed("one\ntw") + compressed("o\nthree"), 5) ==
        lines{"one", "two", "three"});
}

TEST_CASE("zstd that is cut off or damaged is an error and no silent end", "[line_source]") {
  const auto whole = compressed("one\ntwo\n" + std::string(1000, 'z'));
  const auto error_of = [](std::string bytes) {
    line_source source(reader_of(std::move(bytes), 10));
    std::string_view line;
    for (;;) {
      const auto got = source.next(line);
      if (!got.ok()) return got.status();
      if (*got == line_source::outcome::end) return op_status();
    }
  };
  CHECK(error_of(whole).ok());
  const auto cut = error_of(whole.substr(0, whole.size() - 3));
  CHECK(cut.code() == op_code::corruption);
  CHECK_THAT(cut.message(), ContainsSubstring("cut off"));
  CHECK(error_of(whole + "garbage").code() == op_code::corruption);
}

TEST_CASE("a read that fails is reported as it is", "[line_source]") {
  line_source source([](std::span<char>) -> op_result<std::size_t> {
    return op_status(op_code::io_error, "the disk is gone");
  });
  std::string_view line;
  const auto got = source.next(line);
  CHECK(got.code() == op_code::io_error);
  line_source closed(read_descriptor(-1, "nothing"));
  CHECK_THAT(closed.next(line).status().message(), ContainsSubstring("cannot read nothing"));
}
