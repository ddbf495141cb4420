#pragma once

#include "storage/checkpoint_reader.hpp"
#include "storage/checkpoint_writer.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace warp::testing {

/// A record that owns its bytes.
struct saved_record {
  std::string key, value;
  storage::record_meta meta;
};

inline bool operator==(const saved_record& a, const saved_record& b) {
  return a.key == b.key && a.value == b.value && a.meta.version == b.meta.version &&
         a.meta.expires_at_ms == b.meta.expires_at_ms && a.meta.type == b.meta.type &&
         a.meta.rank == b.meta.rank && a.meta.pattern == b.meta.pattern;
}

inline std::string random_bytes(std::mt19937_64& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (auto& c : bytes) c = static_cast<char>(random());
  return bytes;
}

inline saved_record random_record(std::mt19937_64& random, std::size_t key_size,
                                  std::size_t value_size) {
  saved_record r{random_bytes(random, key_size), random_bytes(random, value_size), {}};
  r.meta.version = random() & lsn_max;
  r.meta.expires_at_ms = random() % 2 ? random() : 0;
  r.meta.rank = static_cast<priority>(random() % 5);
  r.meta.pattern = static_cast<access_pattern>(random() % 4);
  return r;
}

inline storage::checkpoint_header test_header() {
  storage::checkpoint_header header;
  for (std::size_t i = 0; i < 16; ++i) header.universe.bytes[i] = static_cast<std::uint8_t>(i + 1);
  header.generation = 0x1122334455667788;
  header.shard = shard_id{3};
  header.shard_count = 64;
  header.start_epoch = 2;
  header.start_lsn = 1'000;
  return header;
}

inline storage::checkpoint_end test_end() {
  return {2, 1'100, 2'000, 1'700'000'000'000};
}

/// Makes a checkpoint; with two sections if wanted.
inline void write_checkpoint(storage::file_system& files, const std::string& path,
                             const std::vector<saved_record>& records, bool sections = false,
                             const storage::checkpoint_writer_options& options = {}) {
  auto writer = storage::checkpoint_writer::create(files, path, test_header(), options);
  REQUIRE(writer.ok());
  for (const auto& r : records) {
    if (r.value.size() >= storage::blob_size_min)
      (*writer)->add(r.key, storage::blob_ref::copy_of(r.value), r.meta);
    else
      (*writer)->add(r.key, r.value, r.meta);
    if ((*writer)->has_full_blocks()) REQUIRE((*writer)->write_full_blocks().ok());
  }
  if (sections) {
    REQUIRE((*writer)->add_section("requests", "some bytes").ok());
    REQUIRE((*writer)->add_section("empty", "").ok());
  }
  auto totals = (*writer)->finish(test_end());
  REQUIRE(totals.ok());
  CHECK(totals->records == records.size());
}

/// Everything in a checkpoint, or why it can't be read.
inline op_result<std::vector<saved_record>> read_checkpoint(storage::file_system& files,
                                                            const std::string& path) {
  auto reader = storage::checkpoint_reader::open(files, path);
  if (!reader.ok()) return reader.status();
  std::vector<saved_record> records;
  auto status = reader->read_records([&](const storage::checkpoint_record& r) {
    records.push_back({std::string{r.key}, std::string{r.value}, r.meta});
  });
  if (!status.ok()) return status;
  return records;
}

} // namespace warp::testing
