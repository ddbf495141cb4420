#include "storage/crc32c.hpp"
#include "storage/wal_format.hpp"
#include "tests/support/test_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <fmt/format.h>
#include <random>
#include <string>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

class fixed_clock final : public clock {
public:
  [[nodiscard]] std::uint64_t now_us() const noexcept override { return 1'700'000'000'000'000; }
};

/// A universe of two shards: one put in shard 1, then a transaction over both, then a clean stop.
constexpr std::string_view golden = R"(57 41 52 50 57 41 4c 00  02 00 00 00 00 00 00 00
01 02 03 04 05 06 07 08  09 0a 0b 0c 0d 0e 0f 10
00 00 00 00 00 00 00 00  88 77 66 55 44 33 22 11
01 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
00 00 00 00 00 00 01 00  00 00 00 00 5b 55 ad 0d
88 77 66 55 44 33 22 11  95 96 d6 be 98 00 00 00
02 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
00 40 1e 18 24 0a 06 00  50 00 00 00 00 00 00 00
02 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
e8 03 00 00 00 00 00 00  01 00 00 00 00 00 00 00
00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
e8 03 00 00 00 00 00 00  88 77 66 55 44 33 22 11
92 1c 8e 91 68 00 00 00  01 00 00 00 01 00 00 00
00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
01 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
e8 03 00 00 00 00 00 00  00 40 1e 18 24 0a 06 00
e8 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
01 00 03 00 04 00 00 00  63 69 74 79 4a 65 6e 61
88 77 66 55 44 33 22 11  d9 66 68 4a 92 00 00 00
01 00 01 00 00 00 00 00  00 00 00 00 00 00 00 00
00 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
01 00 00 00 00 00 00 00  e8 03 00 00 00 00 00 00
00 40 1e 18 24 0a 06 00  50 01 00 00 00 00 00 00
01 00 00 00 00 00 00 00  04 00 00 00 28 00 00 00
00 00 00 00 01 00 00 00  00 00 00 00 01 00 00 00
00 00 00 00 01 00 00 00  02 00 00 00 00 00 00 00
02 00 00 00 00 00 00 00  01 00 00 00 01 00 00 00
6b 76 00 00 00 00 00 00  88 77 66 55 44 33 22 11
d5 dd fc 6f 92 00 00 00  01 00 01 00 01 00 00 00
00 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
02 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00
e8 03 00 00 00 00 00 00  00 40 1e 18 24 0a 06 00
50 01 00 00 00 00 00 00  01 00 00 00 00 00 00 00
04 00 00 00 28 00 00 00  00 00 00 00 01 00 00 00
00 00 00 00 01 00 00 00  00 00 00 00 01 00 00 00
02 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00
01 00 00 00 01 00 00 00  6b 76 00 00 00 00 00 00
88 77 66 55 44 33 22 11  f9 e5 77 77 98 00 00 00
05 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
00 40 1e 18 24 0a 06 00  80 02 00 00 00 00 00 00
02 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
00 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
02 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00
00 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00
03 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
)";

std::string hex(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    text += fmt::format("{:02x}{}", static_cast<unsigned char>(bytes[i]),
                        i % 16 == 15 ? "\n"
                        : i % 8 == 7 ? "  "
                                     : " ");
  return text;
}

} // namespace

TEST_CASE("a log has exactly the bytes that wal_format.md shows", "[storage][wal][format]") {
  faulty_file_system files;
  fixed_clock time;
  test_log_options options;
  options.shards = 2;
  options.stream.time = &time;
  options.random_id = [] { return 0x1122334455667788; };
  test_log log{files, options};
  REQUIRE(log.open().ok());
  log.put(1, "city", "Jena");
  REQUIRE(log.round());
  log.put_all({0, 1}, "k", "v");
  REQUIRE(log.round());
  REQUIRE(log.close().ok());
  const auto path = list_segments(files, test_log::folder)->front();
  CHECK(path == test_log::folder + "/0000000001-0000-000000000001.wal");
  CHECK(hex(files.memory().bytes(path).substr(0, golden.size() / 49 * 16)) == golden);
}

TEST_CASE("a segment's header comes back as it was written", "[storage][wal][format]") {
  segment_header header;
  header.stream = 7;
  header.universe = test_log::universe;
  header.generation = 1;
  header.id = 2;
  header.start = 3;
  header.sequence = 4;
  header.after_failure = GENERATE(false, true);
  header.file_bytes = 65'536;
  char bytes[segment_header_bytes];
  encode(header, bytes);
  CHECK(*decode_segment_header({bytes, sizeof bytes}) == header);
  CHECK(decode_segment_header({bytes, sizeof bytes - 1}).code() == op_code::corruption);
}

TEST_CASE("segment names sort by start, stream and sequence, and only such names parse",
          "[storage][wal][format]") {
  const segment_name name{12, 3, 4'567};
  CHECK(segment_file_name(name) == "0000000012-0003-000000004567.wal");
  CHECK(parse_segment_file_name(segment_file_name(name)) == name);
  const segment_name huge{~std::uint64_t{0}, ~std::uint32_t{0}, ~std::uint64_t{0}};
  CHECK(parse_segment_file_name(segment_file_name(huge)) == huge);
  for (const auto* other :
       {"", "lock", "spare-0000000001-1.wal", "1-1-1.wal", "0000000012-0003-000000004567.wal.tmp",
        "0000000012-0003-000000004567", "00000000x2-0003-000000004567.wal",
        "99999999999999999999999-0003-000000004567.wal"})
    CHECK_FALSE(parse_segment_file_name(other));
}

TEST_CASE("noise behind a valid header is an error or an empty log, never a crash",
          "[storage][wal][format]") {
  const auto seed = GENERATE(range(1u, 100u));
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  faulty_file_system files;
  REQUIRE(files.create_folder(test_log::folder).ok());
  segment_header header;
  header.universe = test_log::universe;
  header.id = 0x0101010101010101;
  std::string bytes(8'192, '\0');
  encode(header, bytes.data());
  // Frames with correct checksums around fields and bodies that are anything.
  for (std::size_t at = segment_header_bytes; at + 200 < bytes.size();) {
    frame_header frame;
    frame.segment = header.id;
    frame.length = static_cast<std::uint32_t>(frame_header_bytes + random() % 100);
    frame.kind =
        static_cast<frame_kind>(at == segment_header_bytes && random() % 2 == 0 ? 2 : random() % 7);
    frame.flags = static_cast<std::uint16_t>(random() % 4);
    frame.shard = shard_id{static_cast<std::uint32_t>(random() % 4 == 0 ? random() : random() % 4)};
    frame.count = static_cast<std::uint32_t>(random() % 4);
    frame.epoch = random() % 3;
    frame.previous = random() % 50;
    frame.first = frame.previous + random() % 3;
    frame.last = frame.first + random() % 5;
    frame.reserved = random() % 2 == 0 ? lsn_max : random() % 100;
    frame.synced = random() % (at + 1);
    if (frame.kind != frame_kind::records)
      frame.length = frame_header_bytes + frame.count * table_entry_bytes;
    for (std::size_t i = frame_header_bytes; i < frame.length; ++i)
      bytes[at + i] = static_cast<char>(random() % 3 == 0 ? random() : random() % 5);
    encode(frame, bytes.data() + at);
    set_frame_crc(bytes.data() + at,
                  crc32c(std::string_view{bytes}.substr(at + frame_header_bytes,
                                                        frame.length - frame_header_bytes),
                         frame_crc_begin(bytes.data() + at, at)));
    at += padded(frame.length);
  }
  files.memory().set_bytes(test_log::folder + "/" + segment_file_name({0, 0, 0}), bytes);
  const auto log = test_log::read(files, 4);
  if (!log.status.ok())
    CHECK((log.status == op_code::corruption || log.status == op_code::version_mismatch));
}
