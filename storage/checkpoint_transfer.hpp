#pragma once

#include "messages/status.hpp"
#include "storage/checkpoint_format.hpp"
#include "storage/file_system.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace warp::storage {

/// Bytes of a chunk of a checkpoint on its way to another node; the last one may be shorter.
inline constexpr std::size_t checkpoint_chunk_bytes = 1u << 20;

/// What is on offer: enough to know, after the last chunk, that all of it came from the same file.
struct checkpoint_offer {
  checkpoint_header header;
  checkpoint_end end;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint32_t checksum = 0; ///< of header and footer, which cover every block
};

/// One piece. `offset` is a multiple of checkpoint_chunk_bytes.
struct checkpoint_chunk {
  std::uint64_t offset = 0;
  std::uint32_t crc = 0; ///< crc32c of the bytes
  std::string_view bytes;
};

/// Hands out a published checkpoint in chunks. The file stays open, so it can be read to its end
/// even after it was removed. One thread at a time.
class checkpoint_exporter {
public:
  static op_result<checkpoint_exporter> open(file_system& files, const std::string& path);

  [[nodiscard]] const checkpoint_offer& offer() const noexcept { return offer_; }
  /// The chunk at an offset; its bytes are valid until the next call. invalid_argument for an
  /// offset that is not a multiple of checkpoint_chunk_bytes or lies beyond the file.
  op_result<checkpoint_chunk> read(std::uint64_t offset);

private:
  checkpoint_exporter() = default;
  std::string path_;
  std::unique_ptr<file> file_;
  checkpoint_offer offer_;
  std::string buffer_;
};

/// Receives a checkpoint into `path` + ".part", in order. After a broken connection a new importer
/// of the same path goes on at next_offset(). One thread at a time.
class checkpoint_importer {
public:
  /// Starts, or goes on with what is there. `files` must outlive the importer.
  static op_result<checkpoint_importer> open(file_system& files, std::string path,
                                             const checkpoint_offer& offer);

  /// Where the next chunk must begin; offer.bytes when all are here.
  [[nodiscard]] std::uint64_t next_offset() const noexcept { return offset_; }

  /// Takes the chunk at next_offset(). corruption (its checksum is wrong: ask for it again) and
  /// invalid_argument (another offset, a wrong length) leave everything as it was.
  op_status accept(const checkpoint_chunk& chunk);

  /// Checks the whole file against its own checksums and the offer, syncs it and gives it its name.
  /// On corruption the part is removed: start again from 0.
  op_status finish();

  /// Removes what has been received.
  op_status abandon();

private:
  checkpoint_importer() = default;
  file_system* files_ = nullptr;
  std::string path_;
  checkpoint_offer offer_;
  std::unique_ptr<file> file_;
  std::uint64_t offset_ = 0;
};

} // namespace warp::storage
