// Lines of a file, plain or compressed, read in pieces of any size: plain text is cut at its line
// feeds and nowhere else, and the size of the pieces changes nothing.
//
// Input: a byte for the size of pieces, a byte for the longest line, then the file.

#include "cluster/line_source.hpp"
#include "tests/fuzz/fuzz_target.hpp"

#include <algorithm>
#include <vector>

using namespace warp;
using namespace warp::cluster;
using namespace warp::fuzzing;

namespace {

struct outcome {
  std::vector<std::string> lines; ///< "(too long)" for those passed over
  op_code code = op_code::ok;
  friend bool operator==(const outcome&, const outcome&) = default;
};

outcome read_lines(std::string_view file, std::size_t piece, std::size_t line_max) {
  line_source source{[rest = file, piece](std::span<char> to) mutable -> op_result<std::size_t> {
                       const auto n = std::min({piece, to.size(), rest.size()});
                       std::copy_n(rest.begin(), n, to.begin());
                       rest.remove_prefix(n);
                       return n;
                     },
                     line_max};
  outcome all;
  std::size_t bytes = 0;
  for (;;) {
    std::string_view line;
    const auto next = source.next(line);
    if (!next) {
      all.code = next.code();
      require(all.code == op_code::corruption, "an unexpected code: " + next.status().to_string());
      return all;
    }
    if (*next == line_source::outcome::end) return all;
    const bool too_long = *next == line_source::outcome::too_long;
    require(too_long || line.size() <= line_max, "a line above the limit");
    all.lines.push_back(too_long ? "(too long)" : std::string{line});
    require(source.line_number() == all.lines.size(), "another number of the line");
    bytes += line.size() + 1;
    if (bytes > (4u << 20)) return all; // a few bytes of zstd may stand for gigabytes
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  input_reader in{bytes, size};
  const std::size_t piece = 1 + in.byte(), line_max = std::size_t{in.byte()} * 16;
  const auto file = in.rest();
  const auto lines = read_lines(file, piece, line_max);
  // Of a damaged frame more or less may come out before the damage is noticed.
  auto in_one = read_lines(file, 64 * 1024, line_max);
  require(lines.code == in_one.code, "the size of the pieces matters for the outcome");
  if (lines.code != op_code::ok)
    in_one.lines.resize(std::min(in_one.lines.size(), lines.lines.size()));
  require(std::equal(in_one.lines.begin(), in_one.lines.end(), lines.lines.begin(),
                     lines.code == op_code::ok
                         ? lines.lines.end()
                         : lines.lines.begin() + static_cast<std::ptrdiff_t>(in_one.lines.size())),
          "the size of the pieces matters");
  constexpr std::string_view zstd_magic{"\x28\xb5\x2f\xfd", 4};
  // A skippable frame of zstd has the magic word 0x184d2a5?.
  const bool skippable =
      file.size() >= 4 && file.substr(1, 3) == "\x2a\x4d\x18" && (file[0] & 0xf0) == 0x50;
  if (file.starts_with(zstd_magic) || skippable) return 0;
  auto plain = file;
  if (plain.starts_with("\xef\xbb\xbf")) plain.remove_prefix(3);
  std::vector<std::string> expected;
  while (!plain.empty()) {
    const auto end = std::min(plain.find('\n'), plain.size());
    expected.push_back(end > line_max ? "(too long)" : std::string{plain.substr(0, end)});
    plain.remove_prefix(std::min(end + 1, plain.size()));
  }
  require(lines.code == op_code::ok && lines.lines == expected, "other lines than the text has");
  return 0;
}
