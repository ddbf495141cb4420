#include "storage/backup_format.hpp"

#include "storage/backup_manifest.hpp"
#include "storage/backup_object.hpp"
#include "tests/support/memory_file_system.hpp"

#include <catch2/catch_test_macros.hpp>
#include <random>

using namespace warp;
using namespace warp::storage;
using warp::testing::memory_file_system;

namespace {

std::string hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += digits[static_cast<unsigned char>(c) >> 4];
    text += digits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

backup_header example_header() {
  backup_header header{.kind = backup_kind::log,
                       .generation = 0x1122334455667788,
                       .number = 1,
                       .shard_count = 4,
                       .start = 2,
                       .sequence = 3,
                       .segment = 0x0123456789abcdef,
                       .from = 80};
  for (std::uint8_t i = 0; i < 16; ++i) header.universe.bytes[i] = i;
  return header;
}

backup_manifest example_manifest() {
  backup_manifest m;
  m.name = "20231114T221320Z";
  for (std::uint8_t i = 0; i < 16; ++i) m.universe.bytes[i] = i;
  m.generation = 0xabcdef;
  m.base_us = 1'700'000'000'000'000;
  m.taken_us = 1'700'000'000'250'000;
  m.anew = "records 4 to 9 of shard 0 had been let go by the log before a backup had them";
  m.new_bytes = 150;
  m.shards.resize(2);
  m.shards[0] = {.last = 3, .reserved = 1'000};
  m.shards[1] = {.checkpoint = backup_checkpoint{{.shard = shard_id{1},
                                                  .sequence = 7,
                                                  .start_lsn = 100,
                                                  .end_lsn = 120,
                                                  .reserved_lsn = 4'096,
                                                  .start_epoch = 1,
                                                  .end_epoch = 2,
                                                  .records = 10,
                                                  .bytes = 1'234,
                                                  .created_at_ms = 1'699'999'999'000},
                                                 {"0000000000abcdef-checkpoint-00001-0000000007",
                                                  700, 1'234, 0x0a0b0c0d}},
                 .last = 130,
                 .reserved = 5'000};
  m.log.push_back({.segment = {3, 0, 12},
                   .id = 0x1122334455667788,
                   .from = 0,
                   .to = 792,
                   .closed = false,
                   .object = {"0000000000abcdef-log-3-0-12-0-792", 150, 792, 0x01020304}});
  return m;
}

} // namespace

TEST_CASE("the example of an object in backup_format.md", "[storage][backup][format]") {
  memory_file_system files;
  const auto store = open_backup_folder(files, "r");
  REQUIRE(store->lock().ok());
  auto writer = backup_object_writer::create(*store, "o", example_header());
  REQUIRE(writer.ok());
  REQUIRE((*writer)->append("hello").ok());
  const auto object = (*writer)->finish();
  REQUIRE(object.ok());
  const auto bytes = files.bytes("r/objects/o");
  CHECK(hex(bytes) == "57415250424b5550"
                      "0100000002000000"
                      "000102030405060708090a0b0c0d0e0f"
                      "8877665544332211"
                      "0100000004000000"
                      "02000000000000000300000000000000"
                      "efcdab89674523015000000000000000"
                      "000000000000000000000000e3d27756"
                      "02831d7e0500000005000000"
                      "0000000000000000"
                      "68656c6c6f"
                      "02831d7e05000000"
                      "050000000000000001000000"
                      "c1d05dea"
                      "57415250424b5545");
  CHECK(bytes.size() == 96 + 20 + 5 + 8 + 24);
  CHECK(*object == backup_object{"o", bytes.size(), 5, object->checksum});
}

TEST_CASE("the example of a manifest in backup_format.md", "[storage][backup][format]") {
  const auto text = encode_backup_manifest(example_manifest());
  CHECK(text ==
        "warpengine-backup 2\n"
        "name 20231114T221320Z\n"
        "universe 000102030405060708090a0b0c0d0e0f\n"
        "generation 0000000000abcdef\n"
        "base_us 1700000000000000\n"
        "taken_us 1700000000250000\n"
        "follows -\n"
        "anew records 4 to 9 of shard 0 had been let go by the log before a backup had them\n"
        "new_bytes 150\n"
        "shards 2\n"
        "shard 0 last=3 reserved=1000\n"
        "shard 1 last=130 reserved=5000\n"
        "checkpoint sequence=7 start_lsn=100 start_epoch=1 end_lsn=120 end_epoch=2 "
        "reserved_lsn=4096 records=10 bytes=1234 created_at_ms=1699999999000 "
        "object=0000000000abcdef-checkpoint-00001-0000000007 object_bytes=700 raw_bytes=1234 "
        "checksum=0a0b0c0d\n"
        "log start=3 stream=0 sequence=12 id=1122334455667788 from=0 to=792 closed=0 "
        "object=0000000000abcdef-log-3-0-12-0-792 object_bytes=150 raw_bytes=792 "
        "checksum=01020304\n"
        "crc32c 95ba5171\n");
  const auto back = decode_backup_manifest(text, "m", "20231114T221320Z");
  INFO(back.status().to_string());
  REQUIRE(back.ok());
  CHECK(*back == example_manifest());
  CHECK(decode_backup_manifest(text, "m", "other").code() == op_code::corruption);
  CHECK(decode_backup_manifest("hello", "m", "other").code() == op_code::invalid_argument);
}

TEST_CASE("an object reads back from any offset, whatever was put into it",
          "[storage][backup][format]") {
  memory_file_system files;
  const auto store = open_backup_folder(files, "r");
  REQUIRE(store->lock().ok());
  std::mt19937_64 random{7};
  for (const std::size_t size : {0ul, 1ul, backup_chunk_bytes - 1, backup_chunk_bytes,
                                 backup_chunk_bytes + 1, 3 * backup_chunk_bytes + 12'345}) {
    CAPTURE(size);
    std::string raw(size, '\0'); // the first chunks are text, the others noise
    for (std::size_t i = 0; i < size; ++i)
      raw[i] = static_cast<char>(i < backup_chunk_bytes ? 'a' + i % 7 : random());
    auto writer = backup_object_writer::create(*store, "o", example_header());
    REQUIRE(writer.ok());
    for (std::size_t at = 0; at < size;) {
      const auto part = std::min<std::size_t>(size - at, 1 + random() % 700'000);
      REQUIRE((*writer)->append({raw.data() + at, part}).ok());
      at += part;
    }
    const auto object = (*writer)->finish();
    REQUIRE(object.ok());
    const auto reader = backup_object_reader::open(*store, "o");
    REQUIRE(reader.ok());
    CHECK((*reader)->object() == *object);
    CHECK((*reader)->header() == example_header());
    CHECK((*reader)->verify().ok());
    std::string back(size + 10, '\0');
    REQUIRE(*(*reader)->read_at(0, back) == size);
    CHECK(back.substr(0, size) == raw);
    for (int i = 0; i < 20 && size > 0; ++i) {
      const auto at = random() % size;
      std::string part(1 + random() % 5'000, '\0');
      const auto count = (*reader)->read_at(at, part);
      REQUIRE(count.ok());
      CHECK(part.substr(0, *count) == raw.substr(at, part.size()));
    }
  }
}

TEST_CASE("an object of a newer format is told from a damaged one", "[storage][backup][format]") {
  auto bytes = encode(example_header());
  CHECK(*decode_backup_header(bytes) == example_header());
  bytes[8] = 2;
  CHECK(decode_backup_header(bytes).code() == op_code::corruption);
  const auto crc = backup_header_crc(bytes);
  for (int i = 0; i < 4; ++i)
    bytes[static_cast<std::size_t>(92 + i)] = static_cast<char>(crc >> (8 * i));
  CHECK(decode_backup_header(bytes).code() == op_code::version_mismatch);
}
