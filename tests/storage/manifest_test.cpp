#include "storage/manifest.hpp"

#include "storage/crc32c.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <catch2/catch_test_macros.hpp>
#include <fmt/format.h>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

manifest test_manifest() {
  manifest m;
  m.universe = *parse_universe_id("000102030405060708090a0b0c0d0e0f");
  m.generation = 0xabcdef;
  m.starts = 3;
  m.log_start = 3;
  m.log_reaches = 240;
  m.checkpoints.resize(2);
  m.checkpoints[1] = {{shard_id{1}, 7, 100, 120, 4'096, 1, 2, 10, 1'234, 1'700'000'000'000},
                      {shard_id{1}, 6, 50, 80, 2'048, 1, 1, 9, 1'200, 1'600'000'000'000}};
  return m;
}

std::string with_crc(const std::string& body) {
  return body + fmt::format("crc32c {:08x}\n", crc32c(body));
}

} // namespace

TEST_CASE("a manifest reads as the format page shows", "[storage][manifest]") {
  CHECK(
      encode_manifest(test_manifest()) ==
      with_crc("warpengine-manifest 2\n"
               "universe 000102030405060708090a0b0c0d0e0f\n"
               "generation 0000000000abcdef\n"
               "shards 2\n"
               "starts 3\n"
               "log start=3 reaches=240\n"
               "checkpoint shard=1 sequence=7 start_lsn=100 start_epoch=1 end_lsn=120 end_epoch=2 "
               "reserved_lsn=4096 records=10 bytes=1234 created_at_ms=1700000000000\n"
               "checkpoint shard=1 sequence=6 start_lsn=50 start_epoch=1 end_lsn=80 end_epoch=1 "
               "reserved_lsn=2048 records=9 bytes=1200 created_at_ms=1600000000000\n"));
}

TEST_CASE("a manifest comes back as it was saved", "[storage][manifest]") {
  faulty_file_system files;
  REQUIRE(files.create_folder("data").ok());
  CHECK(load_manifest(files, "data").code() == op_code::not_found);
  REQUIRE(save_manifest(files, "data", test_manifest()).ok());
  auto loaded = load_manifest(files, "data");
  REQUIRE(loaded.ok());
  CHECK(*loaded == test_manifest());
  auto next = test_manifest();
  next.checkpoints.assign(16'384, {});
  REQUIRE(save_manifest(files, "data", next).ok());
  loaded = load_manifest(files, "data");
  REQUIRE(loaded.ok());
  CHECK(*loaded == next);
}

TEST_CASE("a flipped bit anywhere in a manifest is an error", "[storage][manifest][damage]") {
  const auto bytes = encode_manifest(test_manifest());
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    CAPTURE(bit);
    const auto loaded = decode_manifest(damaged, "data/MANIFEST");
    REQUIRE(loaded.code() == op_code::corruption);
    REQUIRE(loaded.status().message().find("data/MANIFEST: offset ") == 0);
  }
}

TEST_CASE("a manifest cut or continued at any byte is an error", "[storage][manifest][damage]") {
  const auto bytes = encode_manifest(test_manifest());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    REQUIRE(!decode_manifest(bytes.substr(0, size), "M").ok());
  }
  CHECK(decode_manifest(bytes.substr(0, 40), "M").code() == op_code::corruption);
  CHECK(!decode_manifest(bytes + "\n", "M").ok());
  CHECK(!decode_manifest(bytes + bytes, "M").ok());
}

TEST_CASE("a file of somebody else is not called damaged", "[storage][manifest]") {
  const auto loaded = decode_manifest("MANIFEST-000004\n", "data/MANIFEST");
  CHECK(loaded.code() == op_code::invalid_argument);
  CHECK(loaded.status().message().find("data/MANIFEST is not a WarpEngine manifest") == 0);
  CHECK(decode_manifest(with_crc("something else\n"), "M").code() == op_code::invalid_argument);
}

TEST_CASE("a manifest of a newer program is told from damage", "[storage][manifest]") {
  const auto loaded =
      decode_manifest(with_crc("warpengine-manifest 9\nwhatever comes then\n"), "M");
  CHECK(loaded.code() == op_code::version_mismatch);
  CHECK(loaded.status().message() ==
        "M: written by a newer version (format 9, this program knows up to 2)");
}

TEST_CASE("a manifest of format 1 is read: it says nothing about the log", "[storage][manifest]") {
  auto bytes = encode_manifest(test_manifest());
  const auto line = bytes.find("log start=");
  bytes.erase(line, bytes.find('\n', line) + 1 - line);
  bytes.replace(bytes.find(" 2\n"), 3, " 1\n");
  const auto loaded = decode_manifest(with_crc(bytes.substr(0, bytes.rfind("crc32c"))), "M");
  REQUIRE(loaded.ok());
  auto expected = test_manifest();
  expected.log_start = expected.log_reaches = 0;
  CHECK(*loaded == expected);
}

TEST_CASE("a manifest that contradicts itself is refused even with a good checksum",
          "[storage][manifest][damage]") {
  const std::string head = "warpengine-manifest 1\nuniverse 000102030405060708090a0b0c0d0e0f\n"
                           "generation 0000000000abcdef\n";
  const auto line = [](int shard, int sequence, int start, int end) {
    return fmt::format(
        "checkpoint shard={} sequence={} start_lsn={} start_epoch=0 end_lsn={} end_epoch=0 "
        "reserved_lsn=9 records=1 bytes=1 created_at_ms=1\n",
        shard, sequence, start, end);
  };
  const auto code = [](const std::string& body) {
    return decode_manifest(with_crc(body), "M").code();
  };
  CHECK(code(head + "shards 2\nstarts 1\n" + line(0, 1, 1, 1)) == op_code::ok);
  CHECK(code(head + "shards 3\nstarts 1\n") == op_code::corruption);
  CHECK(code(head + "shards 0\nstarts 1\n") == op_code::corruption);
  CHECK(code(head + "shards 32768\nstarts 1\n") == op_code::corruption);
  CHECK(code(head + "shards 02\nstarts 1\n") == op_code::corruption);
  CHECK(code(head + "shards 2\nstarts -1\n") == op_code::corruption);
  CHECK(code(head + "shards 2\nstarts 1\n" + line(2, 1, 1, 1)) == op_code::corruption);
  CHECK(code(head + "shards 2\nstarts 1\n" + line(0, 0, 1, 1)) == op_code::corruption);
  CHECK(code(head + "shards 2\nstarts 1\n" + line(0, 1, 2, 1)) == op_code::corruption);
  CHECK(code(head + "shards 2\nstarts 1\n" + line(0, 1, 1, 1) + line(0, 1, 1, 1)) ==
        op_code::corruption);
  CHECK(code(head + "shards 2\nstarts 1\n" + line(0, 1, 1, 1) + "x\n") == op_code::corruption);
  auto head_2 = head;
  head_2.replace(head_2.find('1'), 1, "2");
  CHECK(code(head_2 + "shards 2\nstarts 1\nlog start=1 reaches=0\n") == op_code::ok);
  CHECK(code(head_2 + "shards 2\nstarts 1\nlog start=2 reaches=0\n") == op_code::corruption);
  CHECK(code(head_2 + "shards 2\nstarts 1\n") == op_code::corruption);
}

TEST_CASE("a crash while a manifest is replaced leaves the old or the new one",
          "[storage][manifest][crash]") {
  auto next = test_manifest();
  ++next.starts;
  for (std::uint64_t step = 0;; ++step) {
    bool done = false;
    for (const auto policy :
         {crash_policy::drop_all, crash_policy::keep_all, crash_policy::random}) {
      CAPTURE(step, static_cast<int>(policy));
      faulty_file_system machine;
      REQUIRE(machine.create_folder("data").ok());
      REQUIRE(save_manifest(machine, "data", test_manifest()).ok());
      machine.power_off_after(step);
      done = save_manifest(machine, "data", next).ok();
      machine.crash(policy, step);
      auto loaded = load_manifest(machine, "data");
      REQUIRE(loaded.ok());
      REQUIRE((*loaded == next || *loaded == test_manifest()));
      if (done) REQUIRE(*loaded == next);
      if (step == 0) REQUIRE(*loaded == test_manifest());
    }
    if (done) break;
  }
}
