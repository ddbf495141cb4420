#pragma once

#include "messages/status.hpp"
#include "storage/checkpoint_block.hpp"
#include "storage/checkpoint_format.hpp"
#include "storage/file_system.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

/// Reads one checkpoint file. Opening checks its two ends, reading checks each block before a
/// record of it is handed out. One thread at a time. Statuses: corruption (the message names file,
/// offset and cause), version_mismatch (a newer format), not_found, io_error.
class checkpoint_reader {
public:
  /// `files` must outlive the reader.
  static op_result<checkpoint_reader> open(file_system& files, std::string path);
  checkpoint_reader(checkpoint_reader&&) noexcept;
  checkpoint_reader& operator=(checkpoint_reader&&) noexcept;
  ~checkpoint_reader();

  [[nodiscard]] const checkpoint_header& header() const noexcept;
  [[nodiscard]] const checkpoint_end& end() const noexcept;
  [[nodiscard]] std::uint64_t record_count() const noexcept;
  [[nodiscard]] std::uint64_t file_bytes() const noexcept;
  /// Checksum of header and footer, which covers the checksums of all blocks: tells two files
  /// apart.
  [[nodiscard]] std::uint32_t checksum() const noexcept;

  [[nodiscard]] std::vector<std::string> section_names() const;
  /// A section's bytes; not_found if there is none of that name.
  op_result<std::string> section(std::string_view name);

  /// Hands every record to visit(const checkpoint_record&), whose views are valid during the call.
  /// No allocation per record, one read per block. After a failure the records handed out before it
  /// are what the file holds, but not all: throw them away.
  template <class Visitor>
  op_status read_records(Visitor&& visit) {
    rewind();
    for (;;) {
      auto block = next_block();
      if (!block.ok()) return block.status();
      if (!*block) return {};
      checkpoint_record record;
      auto& cursor = **block;
      while (cursor.next(record)) visit(static_cast<const checkpoint_record&>(record));
      if (!cursor.complete()) return damaged_block(cursor);
    }
  }

  /// Reads everything, hands out nothing: is the file whole?
  op_status verify();

  /// Bytes of the file that read_records() has passed.
  [[nodiscard]] std::uint64_t position() const noexcept;

private:
  struct state;
  explicit checkpoint_reader(std::unique_ptr<state> s);

  void rewind() noexcept;
  /// The next data block, checked; null at the end, where the totals have been checked as well.
  op_result<checkpoint_block_cursor*> next_block();
  op_status damaged_block(const checkpoint_block_cursor& cursor) const;

  std::unique_ptr<state> state_;
};

} // namespace warp::storage
