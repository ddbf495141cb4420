// The reader of checkpoints. A file that it takes, written anew from what it has read, reads the
// same; a memory of requests that is taken encodes to the same bytes.
//
// Input: a byte of choices (1: checksums are put right), then the file.

#include "storage/checkpoint_reader.hpp"
#include "storage/checkpoint_writer.hpp"
#include "storage/request_window.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/fuzz/seals.hpp"
#include "tests/support/memory_file_system.hpp"

#include <map>
#include <vector>

using namespace warp;
using namespace warp::storage;
using namespace warp::fuzzing;

namespace {

struct kept_record {
  std::string key, value;
  record_meta meta;

  friend bool operator==(const kept_record& a, const kept_record& b) {
    return a.key == b.key && a.value == b.value && a.meta.version == b.meta.version &&
           a.meta.expires_at_ms == b.meta.expires_at_ms && a.meta.type == b.meta.type &&
           a.meta.rank == b.meta.rank && a.meta.pattern == b.meta.pattern;
  }
};
struct kept {
  std::vector<kept_record> records;
  std::map<std::string, std::string> sections;
};

void check_code(const op_status& status) {
  if (status.ok()) return;
  require(status.code() == op_code::corruption || status.code() == op_code::version_mismatch,
          "refused with an unexpected code: " + status.to_string());
  require(status.message().find("file") != std::string::npos, "the message does not name the file");
}

/// False: it says that the file is damaged.
bool read_all(checkpoint_reader& reader, kept& all) {
  const auto status = reader.read_records([&](const checkpoint_record& r) {
    all.records.push_back({std::string{r.key}, std::string{r.value}, r.meta});
  });
  check_code(status);
  if (!status.ok()) return false;
  require(all.records.size() == reader.record_count(), "another number of records than it says");
  for (const auto& name : reader.section_names()) {
    auto bytes = reader.section(name);
    check_code(bytes.status());
    if (!bytes) return false;
    all.sections[name] = *bytes;
  }
  return true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  input_reader in{bytes, size};
  const auto choices = in.byte();
  std::string file{in.rest()};
  if ((choices & 1) != 0) seal_checkpoint(file);
  testing::memory_file_system files;
  files.set_bytes("file", file);
  auto reader = checkpoint_reader::open(files, "file");
  check_code(reader.status());
  if (!reader) return 0;
  kept all;
  const bool whole = read_all(*reader, all);
  require(reader->verify().ok() == whole, "verify() and reading disagree");
  if (!whole) return 0;
  if (const auto requests = all.sections.find(std::string{checkpoint_section_requests});
      requests != all.sections.end())
    if (const auto window = request_window::decode(requests->second))
      require(window->encode() == requests->second, "a memory of requests does not come back");

  auto writer = checkpoint_writer::create(files, "again", reader->header());
  require(writer.ok(), "create: " + writer.status().to_string());
  for (const auto& r : all.records) (*writer)->add(r.key, r.value, r.meta);
  for (const auto& [name, section] : all.sections)
    require((*writer)->add_section(name, section).ok(), "a section cannot be written again");
  const auto finished = (*writer)->finish(reader->end());
  require(finished.ok(), "finish: " + finished.status().to_string());
  auto second = checkpoint_reader::open(files, "again");
  require(second.ok(), "open again: " + second.status().to_string());
  kept again;
  require(read_all(*second, again), "what was written is not read");
  require(second->header() == reader->header() && second->end() == reader->end(), "another header");
  require(again.records == all.records, "other records");
  require(again.sections == all.sections, "other sections");
  return 0;
}
