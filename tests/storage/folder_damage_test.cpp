#include "storage/byte_order.hpp"
#include "storage/checkpoint_reader.hpp"
#include "storage/checkpoint_writer.hpp"
#include "storage/crc32c.hpp"
#include "storage/manifest.hpp"
#include "storage/segment_scan.hpp"
#include "storage/wal_format.hpp"
#include "tests/support/damage_universe.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;
using Catch::Matchers::ContainsSubstring;

// What tests/run damage has found, one by one.

namespace {

const std::string manifest_path = "data/MANIFEST";

/// The newest segments, one of each stream.
std::vector<std::string> newest_segments(const damage_universe& u) {
  std::vector<std::string> paths;
  std::uint64_t start = 0;
  for (const auto& [path, bytes] : u.files)
    if (const auto name = parse_segment_file_name(path.substr(path.rfind('/') + 1))) {
      if (name->start > start) paths.clear();
      start = name->start;
      paths.push_back(path);
    }
  return paths;
}

/// Where the frames of a segment end; what is behind may be left from an earlier use of the file.
std::size_t data_end_of(const damage_universe& u, const std::string& path) {
  memory_file_system files;
  files.set_bytes(path, u.files.at(path));
  const auto header = decode_segment_header(u.files.at(path));
  return scan_segment(files, path, header->universe)->info->data_end;
}

void check_refused(const damage_universe& u, const damage_opener::changes& damage,
                   const std::string& named) {
  damage_opener opener{u};
  const auto found = opener.open_whole(damage); // which looks whether the folder stayed as it was
  CAPTURE(found.status().to_string());
  CHECK(found.code() == op_code::corruption);
  CHECK_THAT(found.status().message(), ContainsSubstring(named));
}

} // namespace

TEST_CASE("a newest segment that is missing stops the start", "[storage][damage]") {
  const damage_universe u{{.clean = GENERATE(true, false)}};
  for (const auto& path : newest_segments(u)) {
    CAPTURE(path);
    if (data_end_of(u, path) == segment_header_bytes) continue; // made ahead, nothing in it
    check_refused(u, {{path, std::nullopt}}, "data/wal/0000000003-");
  }
  damage_opener::changes no_log;
  for (const auto& [path, bytes] : u.files)
    if (path.starts_with("data/wal/")) no_log[path] = std::nullopt;
  check_refused(u, no_log, "data/wal/0000000003-");
}

TEST_CASE("a manifest that is older than the log stops the start", "[storage][damage]") {
  const damage_universe u{{.clean = GENERATE(true, false)}};
  check_refused(u, {{manifest_path, u.older.at(manifest_path)}}, "data/MANIFEST: it is older");
}

TEST_CASE("a log that was stopped cleanly and has lost its end stops the start",
          "[storage][damage]") {
  const damage_universe u{{.clean = true}};
  for (const auto& path : newest_segments(u)) {
    const auto& bytes = u.files.at(path);
    const auto data_end = data_end_of(u, path);
    for (const auto size : {data_end / 3, data_end / 2, data_end - 80}) {
      CAPTURE(path, size);
      auto damaged = bytes;
      std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(data_end - size), size, '\0');
      check_refused(u, {{path, damaged}}, "data/wal/0000000003-");
    }
  }
}

TEST_CASE("an end mark that is damaged costs nothing", "[storage][damage]") {
  const damage_universe u{{.clean = true}};
  damage_opener opener{u};
  for (const auto& path : newest_segments(u)) {
    auto damaged = u.files.at(path);
    damaged[data_end_of(u, path) - 1] ^= 1;
    const auto found = opener.open_whole({{path, damaged}});
    REQUIRE(found.ok());
    CHECK(*found == u.rounds.back());
  }
}

TEST_CASE("a segment that has lost its end, or has grown, stops the start", "[storage][damage]") {
  const damage_universe u{{.clean = false}};
  for (const auto& path : newest_segments(u)) {
    const auto& bytes = u.files.at(path);
    const auto data_end = data_end_of(u, path);
    for (const auto size : {segment_header_bytes, data_end / 2 + 40, data_end, bytes.size() - 1})
      check_refused(u, {{path, bytes.substr(0, size)}}, path);
    check_refused(u, {{path, bytes + "x"}}, path);
  }
}

TEST_CASE("a checkpoint of another generation, and another one of its shard, are passed over",
          "[storage][damage]") {
  const damage_universe u{{.clean = true}};
  damage_opener opener{u};
  std::size_t tried = 0;
  for (const auto& [path, bytes] : u.files) {
    if (!path.starts_with("data/checkpoint/")) continue;
    memory_file_system scratch;
    scratch.set_bytes("a", bytes);
    auto reader = checkpoint_reader::open(scratch, "a");
    REQUIRE(reader.ok());
    for (const bool generation : {true, false}) {
      auto header = reader->header();
      auto end = reader->end();
      generation ? header.generation += 1 : end.created_at_ms += 1;
      const auto forged_path = generation ? "b" : "c";
      auto writer = checkpoint_writer::create(scratch, forged_path, header, {});
      REQUIRE(writer.ok());
      REQUIRE(reader
                  ->read_records(
                      [&](const checkpoint_record& r) { (*writer)->add(r.key, "forged", r.meta); })
                  .ok());
      REQUIRE((*writer)->finish(end).ok());
      const auto found = opener.open({{path, scratch.bytes(forged_path)}});
      if (found.ok()) CHECK(*found == u.rounds.back());
      ++tried;
    }
  }
  CHECK(tried > 0);
}

TEST_CASE("a log that ends before its newest checkpoint does stops the start",
          "[storage][damage]") {
  const damage_universe u{{.clean = false}};
  // As if writes had gone on while it was made, and the log of them were gone.
  auto known = *decode_manifest(u.files.at(manifest_path), manifest_path);
  auto& newest = known.checkpoints[0].front();
  memory_file_system scratch;
  const auto path = "data/checkpoint/" + checkpoint_file_name({newest.shard, newest.sequence});
  scratch.set_bytes("a", u.files.at(path));
  auto reader = checkpoint_reader::open(scratch, "a");
  REQUIRE(reader.ok());
  auto end = reader->end();
  end.end_lsn += 1'000'000;
  end.reserved_lsn += 1'000'000;
  auto writer = checkpoint_writer::create(scratch, "b", reader->header(), {});
  REQUIRE(reader
              ->read_records(
                  [&](const checkpoint_record& r) { (*writer)->add(r.key, r.value, r.meta); })
              .ok());
  const auto totals = (*writer)->finish(end);
  REQUIRE(totals.ok());
  newest.end_lsn = end.end_lsn;
  newest.reserved_lsn = end.reserved_lsn;
  newest.bytes = totals->bytes;
  check_refused(u, {{manifest_path, encode_manifest(known)}, {path, scratch.bytes("b")}}, path);
}

TEST_CASE("a log whose versions are used up stops the start, and stays as it was",
          "[storage][damage]") {
  const damage_universe u{{.clean = false}};
  const auto path = newest_segments(u).front();
  auto bytes = u.files.at(path);
  char* const frame = bytes.data() + segment_header_bytes;
  const auto length = load_le<std::uint32_t>(frame + 12);
  // The first line of the state table: what it reserves is its last number.
  store_le<std::uint64_t>(frame + frame_header_bytes + 24, lsn_max);
  set_frame_crc(frame, crc32c({frame + frame_header_bytes, length - frame_header_bytes},
                              frame_crc_begin(frame, segment_header_bytes)));
  check_refused(u, {{path, bytes}}, "/wal: shard");
}
