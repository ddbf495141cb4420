#include "storage/backup_manifest.hpp"
#include "storage/backup_object.hpp"
#include "storage/byte_order.hpp"
#include "storage/checkpoint_reader.hpp"
#include "storage/checkpoint_writer.hpp"
#include "storage/crc32c.hpp"
#include "storage/log_replay.hpp"
#include "storage/manifest.hpp"
#include "storage/segment_scan.hpp"
#include "tests/support/memory_file_system.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

// Files as they were written once. Programs of all times read them: a file is added here for each
// format number and each new field, and none is changed. (tests/storage/wal_format_test.cpp
// compares what today's log writes with the newest of them.)

namespace {

std::string golden(const std::string& name) {
  std::ifstream in{std::string{WARP_GOLDEN_FOLDER} + "/" + name, std::ios::binary};
  REQUIRE(in);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

universe_id universe_of(unsigned first) {
  universe_id id;
  for (std::size_t i = 0; i < 16; ++i) id.bytes[i] = static_cast<std::uint8_t>(first + i);
  return id;
}

} // namespace

TEST_CASE("log segments of every format are read", "[storage][golden]") {
  const std::string name = GENERATE("segment-1.wal", "segment-1-without-size.wal");
  CAPTURE(name);
  const auto bytes = golden(name);
  CHECK(decode_segment_header(bytes)->file_bytes == (name == "segment-1.wal" ? 65'536 : 0));
  memory_file_system files;
  const std::string path = "wal/0000000001-0000-000000000001.wal";
  files.set_bytes(path, bytes); // without the zeros behind
  const auto scan = scan_segment(files, path, universe_of(1), 0, false);
  REQUIRE(scan.ok());
  CHECK(scan->end == segment_end::clean);
  CHECK(scan->parts.size() == 2);
  CHECK(scan->info->data_end == 792);
  auto loaded = load_segment(files, scan->info);
  REQUIRE(loaded.ok());
  std::vector<std::string> records;
  const std::vector<replay_range> all(2, {.wanted = true});
  REQUIRE(replay(*loaded, all, [&](const replay_context& at, const log_record& r) -> op_status {
            records.push_back(
                fmt::format("{}/{} {}={}", at.shard.value, r.lsn, r.key, r.payload()));
            return {};
          }).ok());
  CHECK(records == std::vector<std::string>{"1/1 city=Jena", "0/1 k=v", "1/2 k=v"});
}

TEST_CASE("a log segment of format 2 has hashes, changes of fields and numbers of requests",
          "[storage][golden]") {
  memory_file_system files;
  const std::string path = "wal/0000000001-0000-000000000001.wal";
  files.set_bytes(path, golden("segment-2.wal"));
  const auto scan = scan_segment(files, path, universe_of(1), 0, false);
  REQUIRE(scan.ok());
  CHECK(scan->end == segment_end::clean);
  auto loaded = load_segment(files, scan->info);
  REQUIRE(loaded.ok());
  std::vector<log_record> records;
  const std::vector<replay_range> all(2, {.wanted = true});
  REQUIRE(replay(*loaded, all, [&](const replay_context&, const log_record& r) -> op_status {
            records.push_back(r);
            return {};
          }).ok());
  REQUIRE(records.size() == 3);
  CHECK(records[0].op == log_op::put);
  CHECK(records[0].meta.type == value_type::hash);
  CHECK(records[0].value == "\x02\x04"
                            "name\x04"
                            "Jena\x05"
                            "river\x05"
                            "Saale");
  CHECK(records[1].op == log_op::fields_set);
  CHECK(records[1].value == "\x01\x06"
                            "people\x06"
                            "111000");
  CHECK(records[1].request == request_id{7, 2, 1});
  CHECK(records[1].number == 1);
  CHECK(records[2].op == log_op::fields_erased);
  CHECK(records[2].value == "\x01\x05"
                            "river");
  CHECK(records[2].lsn == 3);
}

TEST_CASE("a log segment of format 2 has clears", "[storage][golden]") {
  memory_file_system files;
  const std::string path = "wal/0000000001-0000-000000000001.wal";
  files.set_bytes(path, golden("segment-2-clear.wal"));
  const auto scan = scan_segment(files, path, universe_of(1), 0, false);
  REQUIRE(scan.ok());
  CHECK(scan->end == segment_end::clean);
  auto loaded = load_segment(files, scan->info);
  REQUIRE(loaded.ok());
  std::vector<std::string> records;
  const std::vector<replay_range> all(2, {.wanted = true});
  REQUIRE(replay(*loaded, all, [&](const replay_context&, const log_record& r) -> op_status {
            records.push_back(r.op == log_op::clear ? fmt::format("{} clear", r.lsn)
                                                    : fmt::format("{} {}", r.lsn, r.key));
            return {};
          }).ok());
  CHECK(records == std::vector<std::string>{"1 city", "2 clear", "3 river", "7 clear", "8 k"});
}

TEST_CASE("checkpoints of every format are read, and written as the newest one",
          "[storage][golden]") {
  const std::string name = GENERATE("checkpoint-1", "checkpoint-2");
  CAPTURE(name);
  memory_file_system files;
  files.set_bytes("old", golden(name));
  auto reader = checkpoint_reader::open(files, "old");
  REQUIRE(reader.ok());
  REQUIRE(reader->verify().ok());
  CHECK(reader->header() ==
        checkpoint_header{universe_of(1), 0x1122334455667788, shard_id{3}, 64, 2, 1'000});
  CHECK(reader->end() == checkpoint_end{2, 1'100, 2'000, 1'700'000'000'000});
  auto writer = checkpoint_writer::create(files, "new", reader->header(), {});
  REQUIRE(writer.ok());
  REQUIRE(reader
              ->read_records([&](const checkpoint_record& r) {
                CHECK(r.key == "key");
                CHECK(r.value == "value");
                CHECK(r.meta.version == 0x1234);
                CHECK(r.meta.rank == priority::high);
                (*writer)->add(r.key, r.value, r.meta);
              })
              .ok());
  REQUIRE((*writer)->finish(reader->end()).ok());
  CHECK(files.bytes("new") == golden("checkpoint-2"));
}

TEST_CASE("manifests of every format are read, and written as the newest one",
          "[storage][golden]") {
  const auto oldest = decode_manifest(golden("manifest-1"), "M");
  REQUIRE(oldest.ok());
  CHECK(oldest->universe == universe_of(0));
  CHECK(oldest->starts == 3);
  CHECK(oldest->log_start == 0);
  const auto newest = decode_manifest(golden("manifest-2"), "M");
  REQUIRE(newest.ok());
  CHECK(newest->log_start == 3);
  CHECK(newest->log_reaches == 240);
  CHECK(newest->checkpoints == oldest->checkpoints);
  REQUIRE(newest->checkpoints.size() == 2);
  CHECK(newest->checkpoints[1].front() ==
        checkpoint_info{shard_id{1}, 7, 100, 120, 4'096, 1, 2, 10, 1'234, 1'700'000'000'000});
  CHECK(encode_manifest(*newest) == golden("manifest-2"));
}

TEST_CASE("backups of every format are read", "[storage][golden]") {
  const std::string name = "20231114T221320Z";
  const auto oldest = decode_backup_manifest(golden("backup-manifest-1"), "M", name);
  REQUIRE(oldest.ok());
  CHECK(oldest->universe == universe_of(0));
  CHECK(oldest->follows == "20231114T211320Z");
  CHECK(oldest->anew.empty());
  REQUIRE(oldest->shards.size() == 2);
  CHECK(oldest->shards[1].checkpoint->info.end_lsn == 120);
  REQUIRE(oldest->log.size() == 1);
  CHECK(oldest->log[0].segment == segment_name{3, 0, 12});
  const auto newest = decode_backup_manifest(golden("backup-manifest-2"), "M", name);
  REQUIRE(newest.ok());
  CHECK(newest->follows.empty());
  CHECK(newest->anew.starts_with("records 4 to 9 of shard 0 "));
  CHECK(newest->shards == oldest->shards);
  CHECK(newest->log == oldest->log);
  CHECK(encode_backup_manifest(*newest) == golden("backup-manifest-2"));

  memory_file_system files;
  const auto store = open_backup_folder(files, "r");
  REQUIRE(store->lock().ok());
  files.set_bytes("r/objects/o", golden("backup-object-1"));
  const auto object = backup_object_reader::open(*store, "o");
  REQUIRE(object.ok());
  CHECK((*object)->header().kind == backup_kind::log);
  CHECK((*object)->header().segment == 0x0123456789abcdef);
  std::string raw(10, '\0');
  CHECK(*(*object)->read_at(0, raw) == 5);
  CHECK(raw.substr(0, 5) == "hello");
}

TEST_CASE("a file of the next format is refused as newer, not as damaged", "[storage][golden]") {
  auto segment = golden("segment-1.wal");
  store_le<std::uint32_t>(segment.data() + 8, wal_format_version + 1);
  store_le<std::uint32_t>(segment.data() + 76, crc32c({segment.data(), 76}));
  CHECK(decode_segment_header(segment).code() == op_code::version_mismatch);

  auto checkpoint = golden("checkpoint-1");
  store_le<std::uint32_t>(checkpoint.data() + 8, checkpoint_format_version + 1);
  store_le<std::uint32_t>(checkpoint.data() + 68,
                          checkpoint_header_crc({checkpoint.data(), checkpoint_header_bytes}));
  memory_file_system files;
  files.set_bytes("next", checkpoint);
  CHECK(checkpoint_reader::open(files, "next").code() == op_code::version_mismatch);

  auto body = golden("manifest-2");
  body = body.substr(0, body.rfind("crc32c "));
  body.replace(body.find(" 2\n"), 3, fmt::format(" {}\n", manifest_format_version + 1));
  CHECK(decode_manifest(fmt::format("{}crc32c {:08x}\n", body, crc32c(body)), "M").code() ==
        op_code::version_mismatch);
}
