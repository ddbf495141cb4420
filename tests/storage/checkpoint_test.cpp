#include "storage/checkpoint_reader.hpp"
#include "storage/checkpoint_writer.hpp"
#include "tests/storage/checkpoint_fixture.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

const std::string path = "data/checkpoint";

/// Small, with every odd thing in it.
std::vector<saved_record> small_records() {
  std::vector<saved_record> records{
      {"k", "", {}}, {"key", "value", {}}, {"large", std::string(64, 'x'), {}}};
  records[0].meta.version = 1'001;
  records[1].meta = {lsn_max, 1'700'000'000'123, value_type::bytes, priority::background,
                     access_pattern::cold};
  records[2].meta.version = 1'100;
  return records;
}

struct file_fixture {
  faulty_file_system files;
  file_fixture() { REQUIRE(files.create_folder("data").ok()); }
};

} // namespace

TEST_CASE_METHOD(file_fixture, "a checkpoint gives back every record as it was",
                 "[storage][checkpoint]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  checkpoint_writer_options options;
  options.compress = random() % 2;
  options.direct = random() % 2;
  CAPTURE(options.compress, options.direct);
  std::vector<saved_record> records;
  for (int i = 0; i < 2'000; ++i)
    records.push_back(random_record(random, 1 + random() % 60, random() % 600));
  for (const std::size_t size : {0u, 16'383u, 16'384u, 262'143u, 262'144u, 300'000u, 3'000'000u})
    records.push_back(random_record(random, 1 + random() % 60, size));
  records.push_back(random_record(random, key_size_max, 100));
  records.push_back({"compressible", std::string(1'000'000, 'a'), {}});
  std::shuffle(records.begin(), records.end(), random);
  write_checkpoint(files, path, records, true, options);
  auto read = read_checkpoint(files, path);
  REQUIRE(read.ok());
  CHECK(*read == records);
}

TEST_CASE_METHOD(file_fixture, "a value of 64 MiB has a block of its own",
                 "[storage][checkpoint]") {
  saved_record large{"large", std::string(64u << 20, 'v'), {}};
  large.value.back() = 'e';
  const bool compress = GENERATE(false, true);
  checkpoint_writer_options options;
  options.compress = compress;
  options.direct = GENERATE(false, true);
  write_checkpoint(files, path, {{"a", "1", {}}, large, {"b", "2", {}}}, false, options);
  auto read = read_checkpoint(files, path);
  REQUIRE(read.ok());
  REQUIRE(read->size() == 3);
  CHECK((*read)[1] == large);
  CHECK((*read)[2].key == "b");
}

TEST_CASE_METHOD(file_fixture, "an empty shard has a checkpoint as well", "[storage][checkpoint]") {
  write_checkpoint(files, path, {});
  auto read = read_checkpoint(files, path);
  REQUIRE(read.ok());
  CHECK(read->empty());
}

TEST_CASE_METHOD(file_fixture, "header, end and sections come back", "[storage][checkpoint]") {
  write_checkpoint(files, path, small_records(), true);
  auto reader = checkpoint_reader::open(files, path);
  REQUIRE(reader.ok());
  CHECK(reader->header() == test_header());
  CHECK(reader->end() == test_end());
  CHECK(reader->record_count() == 3);
  CHECK(reader->section_names() == std::vector<std::string>{"requests", "empty"});
  auto section = reader->section("requests");
  REQUIRE(section.ok());
  CHECK(*section == "some bytes");
  section = reader->section("empty");
  REQUIRE(section.ok());
  CHECK(section->empty());
  CHECK(reader->section("other").code() == op_code::not_found);
  // Sections and records can be read in any order, and again.
  CHECK(reader->verify().ok());
  CHECK(reader->section("requests").ok());
  CHECK(reader->verify().ok());
}

TEST_CASE_METHOD(file_fixture, "a section's name comes once and has 1 to 64 bytes",
                 "[storage][checkpoint]") {
  auto writer = checkpoint_writer::create(files, path, test_header());
  REQUIRE(writer.ok());
  CHECK((*writer)->add_section("", "x") == op_code::invalid_argument);
  CHECK((*writer)->add_section(std::string(65, 'n'), "x") == op_code::invalid_argument);
  CHECK((*writer)->add_section("twice", "x").ok());
  CHECK((*writer)->add_section("twice", "x") == op_code::invalid_argument);
  CHECK((*writer)->finish(test_end()).ok());
}

TEST_CASE_METHOD(file_fixture, "the layout of a checkpoint is what the format page shows",
                 "[storage][checkpoint]") {
  checkpoint_writer_options options;
  options.direct = GENERATE(false, true); // the bytes are the same
  write_checkpoint(
      files, path,
      {{"key", "value", {0x1234, 0, value_type::bytes, priority::high, access_pattern::warm}}},
      false, options);
  const auto bytes = files.memory().bytes(path);
  std::string hex;
  for (const char c : bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    hex += digits[static_cast<unsigned char>(c) >> 4];
    hex += digits[static_cast<unsigned char>(c) & 15];
  }
  CHECK(hex == "57415250434b505402000000400000000102030405060708090a0b0c0d0e0f10"
               "887766554433221103000000000000000200000000000000e803000000000000"
               "00000000c5ccad02"                                 // header
               "ada84df71600000016000000010000000000000001000000" // block
               "02000012050000003412000000006b657976616c7565"     // record
               "010000000000000001000000c52b7cd702000000000000004c04000000000000"
               "d0070000000000000068e5cf8b0100000000000000000000" // footer
               "380000002751d40857415250434b5045"                 // trailer
  );
}

TEST_CASE_METHOD(file_fixture, "a flipped bit anywhere is an error, never wrong data",
                 "[storage][checkpoint][damage]") {
  const auto records = small_records();
  checkpoint_writer_options options;
  options.compress = GENERATE(false, true);
  auto compressible = records;
  compressible.push_back({"long", std::string(500, 'y'), {}});
  write_checkpoint(files, path, compressible, true, options);
  const auto bytes = files.memory().bytes(path);
  for (std::uint64_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    CAPTURE(bit);
    files.memory().flip_bit(path, bit);
    auto read = read_checkpoint(files, path);
    REQUIRE(!read.ok());
    REQUIRE(read.code() == op_code::corruption);
    REQUIRE(read.status().message().find(path + ": offset ") == 0);
    files.memory().flip_bit(path, bit);
  }
  CHECK(read_checkpoint(files, path).ok());
}

TEST_CASE_METHOD(file_fixture, "a file cut or continued at any byte is an error",
                 "[storage][checkpoint][damage]") {
  write_checkpoint(files, path, small_records(), true);
  const auto bytes = files.memory().bytes(path);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    files.memory().set_bytes(path, std::string_view{bytes}.substr(0, size));
    CAPTURE(size);
    REQUIRE(read_checkpoint(files, path).code() == op_code::corruption);
  }
  files.memory().set_bytes(path, bytes + '\0');
  CHECK(read_checkpoint(files, path).code() == op_code::corruption);
  files.memory().set_bytes(path, bytes + bytes);
  CHECK(read_checkpoint(files, path).code() == op_code::corruption);
}

TEST_CASE_METHOD(file_fixture, "a block of another file or place is refused",
                 "[storage][checkpoint][damage]") {
  std::vector<saved_record> records;
  for (int i = 0; i < 3; ++i)
    records.push_back({std::string(1, static_cast<char>('a' + i)), std::string(250'000, 'v'), {}});
  write_checkpoint(files, path, records);
  const auto bytes = files.memory().bytes(path);
  const auto block = checkpoint_block_header_bytes + checkpoint_record_header_bytes + 1 + 250'000;
  const auto at = [&](std::size_t i) { return checkpoint_header_bytes + i * block; };
  SECTION("two blocks of the same file change places") {
    auto swapped = bytes;
    swapped.replace(at(0), block, bytes, at(1), block);
    swapped.replace(at(1), block, bytes, at(0), block);
    files.memory().set_bytes(path, swapped);
  }
  SECTION("a block is doubled") {
    auto doubled = bytes;
    doubled.insert(at(1), bytes, at(0), block);
    files.memory().set_bytes(path, doubled);
  }
  SECTION("a block is missing") {
    auto shorter = bytes;
    shorter.erase(at(2), block);
    files.memory().set_bytes(path, shorter);
  }
  SECTION("a block comes from a checkpoint of another LSN") {
    auto header = test_header();
    ++header.start_lsn;
    auto writer = checkpoint_writer::create(files, "data/other", header);
    REQUIRE(writer.ok());
    for (const auto& r : records) (*writer)->add(r.key, r.value, r.meta);
    REQUIRE((*writer)->finish(test_end()).ok());
    auto mixed = bytes;
    mixed.replace(at(0), block, files.memory().bytes("data/other"), at(0), block);
    files.memory().set_bytes(path, mixed);
  }
  CHECK(read_checkpoint(files, path).code() == op_code::corruption);
}

TEST_CASE_METHOD(file_fixture, "a checkpoint whose list of sections is wrong is not whole",
                 "[storage][checkpoint][damage]") {
  write_checkpoint(files, path, small_records(), true);
  auto bytes = files.memory().bytes(path);
  const auto header = std::string_view{bytes}.substr(0, checkpoint_header_bytes);
  const auto size = checkpoint_footer_bytes(
      std::string_view{bytes}.substr(bytes.size() - checkpoint_trailer_bytes));
  REQUIRE(size.ok());
  auto footer = decode_checkpoint_footer(
      std::string_view{bytes}.substr(bytes.size() - static_cast<std::size_t>(*size)), header);
  REQUIRE(footer.ok());
  footer->sections[1].name = "other";
  const auto forged = encode(*footer, header);
  files.memory().set_bytes(path, bytes.substr(0, bytes.size() - static_cast<std::size_t>(*size)) +
                                     forged);
  auto reader = checkpoint_reader::open(files, path);
  REQUIRE(reader.ok());
  CHECK(reader->verify().code() == op_code::corruption);
}

TEST_CASE("decoding random payloads never reads beyond them", "[storage][checkpoint][damage]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  for (int i = 0; i < 20'000; ++i) {
    // On the heap and exactly as long, so that the address sanitizer sees one byte too many.
    const auto size = random() % 200;
    const std::vector<char> payload = [&] {
      std::vector<char> bytes(size);
      for (auto& c : bytes) c = static_cast<char>(random() % 3 ? 0 : random());
      return bytes;
    }();
    checkpoint_block_cursor cursor{{payload.data(), payload.size()},
                                   static_cast<std::uint32_t>(random() % 8)};
    checkpoint_record record;
    std::size_t sum = 0;
    while (cursor.next(record))
      for (const auto part : {record.key, record.value})
        for (const char c : part) sum += static_cast<unsigned char>(c);
    CHECK(cursor.offset() <= payload.size());
    CHECK(sum < 200 * 256);
  }
}

TEST_CASE_METHOD(file_fixture, "a newer format is told from damage", "[storage][checkpoint]") {
  write_checkpoint(files, path, small_records());
  auto bytes = files.memory().bytes(path);
  bytes[8] = checkpoint_format_version + 1;
  const auto crc = checkpoint_header_crc(bytes);
  std::memcpy(bytes.data() + 68, &crc, 4);
  files.memory().set_bytes(path, bytes);
  const auto read = read_checkpoint(files, path);
  CHECK(read.code() == op_code::version_mismatch);
  CHECK(read.status().message() ==
        path + ": written by a newer version (format 3, this program knows up to 2)");
}

TEST_CASE_METHOD(file_fixture,
                 "a checkpoint has its name only when it is whole and on disk (crash)",
                 "[storage][checkpoint][crash]") {
  // Counts the steps of one write, then stops the world at each of them.
  const auto records = small_records();
  const auto steps_before = files.changes();
  checkpoint_writer_options options;
  options.direct = GENERATE(false, true);
  write_checkpoint(files, path, records, true, options);
  const auto steps = files.changes() - steps_before;
  REQUIRE(steps > 4);
  for (std::uint64_t step = 0; step <= steps; ++step)
    for (const auto policy :
         {crash_policy::drop_all, crash_policy::keep_all, crash_policy::random}) {
      CAPTURE(step, static_cast<int>(policy));
      faulty_file_system machine;
      REQUIRE(machine.create_folder("data").ok());
      machine.power_off_after(step);
      bool published = false;
      if (auto writer = checkpoint_writer::create(machine, path, test_header(), options);
          writer.ok()) {
        for (const auto& r : records) (*writer)->add(r.key, r.value, r.meta);
        published = (*writer)->add_section("requests", "some bytes").ok() &&
                    (*writer)->add_section("empty", "").ok() && (*writer)->finish(test_end()).ok();
      }
      REQUIRE(published == (step == steps));
      machine.crash(policy, step);
      auto there = machine.exists(path);
      REQUIRE(there.ok());
      if (published) REQUIRE(*there);
      if (*there) {
        auto read = read_checkpoint(machine, path);
        REQUIRE(read.ok());
        REQUIRE(*read == records);
      }
    }
}

TEST_CASE_METHOD(file_fixture, "an abandoned checkpoint leaves nothing", "[storage][checkpoint]") {
  {
    auto writer = checkpoint_writer::create(files, path, test_header());
    REQUIRE(writer.ok());
    (*writer)->add("k", "v", {});
  }
  auto names = files.list("data");
  REQUIRE(names.ok());
  CHECK(names->empty());
}

TEST_CASE_METHOD(file_fixture, "a full disk abandons the checkpoint and names the file",
                 "[storage][checkpoint][full]") {
  files.memory().set_capacity(100'000);
  {
    checkpoint_writer_options options;
    options.direct = GENERATE(false, true);
    auto writer = checkpoint_writer::create(files, path, test_header(), options);
    REQUIRE(writer.ok());
    (*writer)->add("k", std::string(3'000'000, 'v'), {});
    CHECK((*writer)->has_full_blocks());
    CHECK((*writer)->write_full_blocks() == op_code::no_space);
    // The first failure is final: nothing half written is ever published.
    files.memory().set_capacity(~std::uint64_t{0});
    CHECK((*writer)->finish(test_end()).code() == op_code::no_space);
  }
  CHECK(files.memory().used_bytes() == 0);
}

TEST_CASE_METHOD(file_fixture, "a failed sync publishes nothing", "[storage][checkpoint]") {
  files.inject({.operation = file_operation::sync});
  {
    checkpoint_writer_options options;
    options.direct = GENERATE(false, true);
    auto writer = checkpoint_writer::create(files, path, test_header(), options);
    REQUIRE(writer.ok());
    (*writer)->add("k", "v", {});
    CHECK((*writer)->finish(test_end()).code() == op_code::io_error);
    files.clear_faults();
    CHECK((*writer)->finish(test_end()).code() == op_code::io_error);
  }
  auto there = files.exists(path);
  REQUIRE(there.ok());
  CHECK(!*there);
}

TEST_CASE_METHOD(file_fixture, "adding records does no I/O", "[storage][checkpoint]") {
  auto writer = checkpoint_writer::create(files, path, test_header());
  REQUIRE(writer.ok());
  const auto changes = files.changes();
  for (int i = 0; i < 10'000; ++i)
    (*writer)->add("key" + std::to_string(i), std::string(100, 'v'), {});
  CHECK(files.changes() == changes);
  CHECK((*writer)->has_full_blocks());
  CHECK((*writer)->finish(test_end()).ok());
  auto read = read_checkpoint(files, path);
  REQUIRE(read.ok());
  CHECK(read->size() == 10'000);
}

TEST_CASE_METHOD(file_fixture, "the pauses of a writer add up to its rate",
                 "[storage][checkpoint]") {
  using namespace std::chrono;
  checkpoint_writer_options options;
  options.rate_bytes = 1'000'000;
  auto writer = checkpoint_writer::create(files, path, test_header(), options);
  REQUIRE(writer.ok());
  const steady_clock::time_point start{};
  auto now = start;
  for (int i = 0; i < 40; ++i) {
    (*writer)->add("k", std::string(250'000, 'v'), {});
    REQUIRE((*writer)->write_full_blocks().ok());
    now += (*writer)->pause(now);
  }
  const auto bytes = static_cast<double>((*writer)->totals().bytes);
  const auto seconds = duration<double>(now - start).count();
  CHECK(bytes / seconds < 1'010'000);
  CHECK(bytes / seconds > 990'000);
  CHECK((*writer)->pause(now).count() == 0); // nothing new was written

  // In a hurry nothing is waited for, nor made up for later.
  for (int i = 0; i < 40; ++i) {
    (*writer)->add("k", std::string(250'000, 'v'), {});
    REQUIRE((*writer)->write_full_blocks().ok());
    CHECK((*writer)->pause(now, true).count() == 0);
  }
  const auto hurried = (*writer)->totals().bytes;
  (*writer)->add("k", std::string(500'000, 'v'), {});
  REQUIRE((*writer)->write_full_blocks().ok());
  const auto owed = microseconds{(*writer)->totals().bytes - hurried}; // at a byte a microsecond
  const auto pause = (*writer)->pause(now);
  CHECK(pause > owed - milliseconds{1});
  CHECK(pause < owed + milliseconds{1});
}
