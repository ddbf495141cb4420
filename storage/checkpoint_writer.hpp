#pragma once

#include "messages/status.hpp"
#include "storage/blob.hpp"
#include "storage/checkpoint_format.hpp"
#include "storage/file_system.hpp"
#include "storage/record.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace warp::storage {

struct checkpoint_writer_options {
  std::uint64_t rate_bytes = 0; ///< a second; 0: no limit. See pause()
  /// Written between two syncs, so that the last one is short; 0: only at the end, as for direct
  /// files, whose bytes don't wait for a sync.
  std::uint64_t sync_bytes = 32u << 20;
  /// Past the page cache; only where choose_direct_io() says yes. Files of 2.5 MB took 3 instead of
  /// 8 ms to write and sync, one of 128 MB 0.08 instead of 0.27 s of processor time a GB.
  bool direct = false;
  /// Blocks with zstd level 1, where that saves an eighth or more. Off: 1 M keys of 16 B with 100 B
  /// of JSON took a fifth of the bytes, but 3.3 instead of 7.4 M keys/s to write and 100 instead of
  /// 25 ns a key to read (2 shared cores).
  bool compress = false;
};

/// What a finished checkpoint file holds.
struct checkpoint_totals {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0; ///< of the file
};

/// Writes one checkpoint file, block by block, under a temporary name; it is under its own name
/// only once it is whole and on disk. One thread at a time. How a shard is saved while writes go
/// on:
///
///     auto writer = checkpoint_writer::create(files, path, header, options);
///     do {
///       { std::lock_guard hold(lock); cursor = table.walk(cursor, [&](const record& r) {
///       writer->add(...); }); } if (writer->has_full_blocks()) { writer->write_full_blocks();
///       sleep(writer->pause(now)); }
///     } while (cursor != 0);
///     writer->add_section(checkpoint_section_requests, ...);
///     ... wait until the log is durable up to end.end_lsn ...
///     writer->finish(end);
///
/// Any failure leaves a writer that can only be destroyed; so does a process that dies: its
/// temporary file is removed at the next start. Statuses: no_space, io_error, invalid_argument.
class checkpoint_writer {
public:
  /// Starts `path` + ".tmp" (replacing what is left of an earlier try). `files` must outlive the
  /// writer.
  static op_result<std::unique_ptr<checkpoint_writer>>
  create(file_system& files, std::string path, const checkpoint_header& header,
         const checkpoint_writer_options& options = {});
  /// Removes the temporary file, unless finished.
  ~checkpoint_writer();
  checkpoint_writer(const checkpoint_writer&) = delete;
  checkpoint_writer& operator=(const checkpoint_writer&) = delete;

  // -- in memory, no I/O: may be called under a shard's lock
  // -----------------------------------------------------------

  /// Copies a record into the current block. Key and value within the limits of
  /// messages/limits.hpp. The same key may come more than once: what counts is the highest version.
  /// Throws std::bad_alloc.
  void add(std::string_view key, std::string_view value, const record_meta& meta);
  /// The same for a large value, which is shared, not copied; an indexed hash is packed when its
  /// block is written.
  void add(std::string_view key, blob_ref value, const record_meta& meta);
  /// Is there something for write_full_blocks()? A caller that goes on without it only uses more
  /// memory.
  [[nodiscard]] bool has_full_blocks() const noexcept;

  // -- I/O
  // ------------------------------------------------------------------------------------------------------------

  /// Writes the blocks that are full.
  op_status write_full_blocks();
  /// How long to pause now to stay within the rate, for what was written since the last call. With
  /// `hurry` not at all, nor is what was written in a hurry made up for later.
  [[nodiscard]] std::chrono::nanoseconds pause(std::chrono::steady_clock::time_point now,
                                               bool hurry = false) noexcept;

  /// Writes a named section, after the last record. Name: 1 to 64 bytes, each once. Bytes: at most
  /// 512 MiB.
  op_status add_section(std::string_view name, std::string_view bytes);

  /// Writes what is left and the footer, syncs, renames, syncs the folder. After ok the file is
  /// published and immutable. Call it once the log is durable up to end.end_lsn, otherwise a crash
  /// could restore a later write without an earlier one.
  op_result<checkpoint_totals> finish(const checkpoint_end& end);

  /// Bytes and records so far.
  [[nodiscard]] const checkpoint_totals& totals() const noexcept;

private:
  struct state;
  explicit checkpoint_writer(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

} // namespace warp::storage
