// An object of a backup: what is read at any offset is what is read from front to back, and an
// object written from it reads the same.
//
// Input: a byte of choices (1: checksums are put right), then the object.

#include "storage/backup_object.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/fuzz/seals.hpp"
#include "tests/support/memory_file_system.hpp"

#include <algorithm>

using namespace warp;
using namespace warp::storage;
using namespace warp::fuzzing;

namespace {

void check_code(const op_status& status) {
  if (status.ok()) return;
  require(status.code() == op_code::corruption || status.code() == op_code::version_mismatch,
          "refused with an unexpected code: " + status.to_string());
  require(status.message().find("file") != std::string::npos, "the message does not name the file");
}

/// All of it, or fewer bytes with the reason.
op_status read_all(backup_object_reader& reader, std::string& all) {
  all.resize(std::min<std::uint64_t>(reader.object().raw_bytes, 4 * backup_chunk_bytes));
  const auto count = reader.read_at(0, all);
  if (!count) return count.status();
  require(*count == all.size(), "fewer bytes than it says");
  return {};
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  input_reader in{bytes, size};
  const auto choices = in.byte();
  std::string object{in.rest()};
  if ((choices & 1) != 0) seal_backup_object(object);
  testing::memory_file_system files;
  static_cast<void>(files.create_folder("store/objects"));
  files.set_bytes("store/objects/file", object);
  const auto store = open_backup_folder(files, "store");
  auto reader = backup_object_reader::open(*store, "file");
  check_code(reader.status());
  if (!reader) return 0;
  std::string all;
  const auto status = read_all(**reader, all);
  check_code(status);
  if (all.size() == (*reader)->object().raw_bytes)
    require((*reader)->verify().ok() == status.ok(), "verify() and reading disagree");
  if (!status.ok()) return 0;

  const auto hash = hash_of(object);
  const auto from = hash % (all.size() + 2);
  std::string part(hash / 7 % 5'000, '\0');
  const auto count = (*reader)->read_at(from, part);
  require(count.ok(), "a part cannot be read");
  const auto there =
      std::string_view{all}.substr(std::min<std::size_t>(from, all.size()), part.size());
  if (from + part.size() <= all.size() || all.size() == (*reader)->object().raw_bytes)
    require(std::string_view{part}.substr(0, *count) == there, "a part reads differently");

  auto writer = backup_object_writer::create(*store, "again", (*reader)->header());
  require(writer.ok(), "create: " + writer.status().to_string());
  require((*writer)->append(all).ok(), "append");
  const auto written = (*writer)->finish();
  require(written.ok(), "finish: " + written.status().to_string());
  auto second = backup_object_reader::open(*store, "again");
  require(second.ok(), "open again: " + second.status().to_string());
  std::string again;
  require(read_all(**second, again).ok() && again == all, "what was written reads differently");
  require((*second)->header() == (*reader)->header(), "another header");
  require((*second)->object() == *written, "another object than was written");
  return 0;
}
