#include "tests/support/test_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

constexpr std::uint32_t shards = 2;

test_log_options small() {
  test_log_options options;
  options.shards = shards;
  return options;
}

/// A log of three rounds; the last one is the only one that a crash could have torn, unless an idle
/// mark follows.
struct small_log {
  faulty_file_system files;
  std::string path;
  std::string bytes;
  std::uint64_t data_end = 0;
  std::vector<std::vector<std::pair<lsn_t, std::string>>> before_last, all;

  explicit small_log(bool idle_mark) {
    test_log log{files, small()};
    REQUIRE(log.open().ok());
    for (int round = 0; round < 3; ++round) {
      for (std::uint32_t s = 0; s < shards; ++s)
        log.put(s, "key" + std::to_string(round),
                std::string(20 + static_cast<std::size_t>(round) * 7, 'v'));
      if (round == 2) before_last = records();
      REQUIRE(log.round());
    }
    all = records();
    if (idle_mark)
      for (int i = 0; i < 2; ++i) CHECK_FALSE(log.stream().run(std::chrono::milliseconds{5}));
    path = list_segments(files, test_log::folder)->front();
    data_end = scan_segment(files, path, test_log::universe)->info->data_end;
    bytes = files.memory().bytes(path);
  }

  [[nodiscard]] std::vector<std::vector<std::pair<lsn_t, std::string>>> records() {
    const auto log = test_log::read(files, shards);
    REQUIRE(log.status.ok());
    return {log.shards[0].records, log.shards[1].records};
  }

  /// A prefix of each shard's records that has everything up to the last round.
  [[nodiscard]] bool correct(const replayed_log& log, bool last_round_may_be_torn) const {
    for (std::uint32_t s = 0; s < shards; ++s) {
      const auto& got = log.shards[s].records;
      if (got != all[s] && !(last_round_may_be_torn && got == before_last[s])) return false;
    }
    return true;
  }
};

} // namespace

TEST_CASE("recovery stops quietly at a torn tail, whichever byte it is torn at",
          "[storage][wal][torn]") {
  small_log log{false};
  const auto last_round = scan_segment(log.files, log.path, test_log::universe)->info->runs;
  for (auto at = segment_header_bytes; at <= log.data_end; ++at) {
    // Behind `at` are zeros, or, in a recycled segment, whatever was there.
    for (const char old : {'\0', '\x5a'}) {
      auto torn = log.bytes;
      std::fill(torn.begin() + static_cast<std::ptrdiff_t>(at), torn.end(), old);
      log.files.memory().set_bytes(log.path, torn);
      const auto read = test_log::read(log.files, shards);
      if (!read.status.ok()) FAIL("torn at " << at << ": " << read.status.to_string());
      for (std::uint32_t s = 0; s < shards; ++s) {
        const auto& got = read.shards[s].records;
        if (got.size() > log.all[s].size() ||
            !std::equal(got.begin(), got.end(), log.all[s].begin()))
          FAIL("torn at " << at << ": not a prefix");
      }
    }
  }
}

TEST_CASE("a segment cut off at any byte is an error or a prefix", "[storage][wal][damage]") {
  small_log log{true};
  for (std::size_t size = 0; size < log.data_end + 16; ++size) {
    log.files.memory().set_bytes(log.path, log.bytes.substr(0, size));
    const auto read = test_log::read(log.files, shards);
    if (size < segment_header_bytes) CHECK(read.status == op_code::corruption);
    if (!read.status.ok()) continue;
    for (std::uint32_t s = 0; s < shards; ++s)
      if (const auto& got = read.shards[s].records;
          !std::equal(got.begin(), got.end(), log.all[s].begin()))
        FAIL("cut at " << size << ": not a prefix");
  }
}

TEST_CASE("a flipped bit anywhere below an idle mark is an error or changes nothing",
          "[storage][wal][damage]") {
  small_log log{true};
  const auto mark = log.data_end - frame_header_bytes;
  for (std::size_t byte = 0; byte < log.data_end + 64; ++byte) {
    const auto bit = byte * 8 + byte % 8;
    log.files.memory().flip_bit(log.path, bit);
    const auto read = test_log::read(log.files, shards);
    log.files.memory().flip_bit(log.path, bit);
    if (!read.status.ok()) {
      CHECK(read.status.message().find(log.path) != std::string::npos);
      continue;
    }
    // The mark itself may be damaged, and a frame's padding: nothing is lost by either.
    if (!log.correct(read, byte >= mark)) FAIL("byte " << byte << ": wrong data");
    if (byte < segment_header_bytes) FAIL("byte " << byte << " of the header is not covered");
  }
}

TEST_CASE("a flipped bit in the last round without a mark is a torn tail, elsewhere an error",
          "[storage][wal][damage]") {
  small_log log{false};
  for (std::size_t byte = 0; byte < log.data_end; ++byte) {
    const auto bit = byte * 8 + byte * 3 % 8;
    log.files.memory().flip_bit(log.path, bit);
    const auto read = test_log::read(log.files, shards);
    log.files.memory().flip_bit(log.path, bit);
    if (!read.status.ok()) continue;
    for (std::uint32_t s = 0; s < shards; ++s) {
      const auto& got = read.shards[s].records;
      if (got.size() < log.before_last[s].size() ||
          !std::equal(got.begin(), got.end(), log.all[s].begin()))
        FAIL("byte " << byte << ": lost or wrong");
    }
  }
}

TEST_CASE("doubled or moved bytes never pass for frames", "[storage][wal][damage]") {
  small_log log{true};
  for (std::size_t at = segment_header_bytes; at < log.data_end; at += frame_alignment)
    for (const std::size_t size : {8, 88, 136, 400}) {
      auto doubled = log.bytes;
      doubled.insert(at, log.bytes.substr(at, size));
      log.files.memory().set_bytes(log.path, doubled);
      const auto read = test_log::read(log.files, shards);
      if (!read.status.ok()) continue;
      for (std::uint32_t s = 0; s < shards; ++s)
        if (const auto& got = read.shards[s].records;
            got.size() > log.all[s].size() ||
            !std::equal(got.begin(), got.end(), log.all[s].begin()))
          FAIL("doubled at " << at << ": wrong data");
    }
}

TEST_CASE("damage in a sealed segment is an error that names file and offset",
          "[storage][wal][damage]") {
  faulty_file_system files;
  test_log log{files, small()};
  REQUIRE(log.open().ok());
  for (int i = 0; i < 60; ++i) {
    log.put(0, std::to_string(i), std::string(4'000, 'v'));
    log.round();
  }
  const auto paths = *list_segments(files, test_log::folder);
  REQUIRE(paths.size() >= 4);
  const auto end = scan_segment(files, paths[1], test_log::universe)->info->data_end;

  SECTION("in the middle") {
    files.memory().flip_bit(paths[1], 30'000 * 8);
    const auto read = test_log::read(files, shards);
    CHECK(read.status == op_code::corruption);
    CHECK(read.status.message().find(paths[1]) != std::string::npos);
  }
  SECTION("in its seal, or the round before it") {
    for (std::uint64_t back = 1; back < 4'500; back += 37) {
      files.memory().flip_bit(paths[1], (end - back) * 8);
      const auto read = test_log::read(files, shards);
      files.memory().flip_bit(paths[1], (end - back) * 8);
      if (read.status.ok()) CHECK(read.shards[0].records.size() == 60); // padding
    }
  }
  SECTION("a segment that is missing leaves a gap that only a checkpoint covers") {
    REQUIRE(files.remove(paths[1]).ok());
    CHECK(test_log::read(files, shards).status == op_code::corruption);
    CHECK(test_log::read(files, shards, {60, 0}).status.ok());
  }
  SECTION("a segment under another's name") {
    files.memory().set_bytes(paths[2], files.memory().bytes(paths[1]));
    CHECK(test_log::read(files, shards).status == op_code::corruption);
  }
}

TEST_CASE("a segment of another universe, generation or version is refused",
          "[storage][wal][damage]") {
  small_log log{false};
  auto other = test_log::universe;
  other.bytes[3] ^= 1;
  CHECK(scan_segment(log.files, log.path, other).code() == op_code::corruption);
  CHECK(scan_segment(log.files, log.path, test_log::universe, 5).code() == op_code::corruption);

  auto header = *decode_segment_header(log.bytes);
  header.version = wal_format_version + 1;
  char bytes[segment_header_bytes];
  encode(header, bytes);
  CHECK(decode_segment_header({bytes, sizeof bytes}).code() == op_code::version_mismatch);
  CHECK(decode_segment_header("not a segment" + std::string(100, ' ')).code() ==
        op_code::corruption);
}
