#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/backup_object.hpp"
#include "storage/manifest.hpp"
#include "storage/universe_id.hpp"
#include "storage/wal_format.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

/// 2: `anew`.
inline constexpr std::uint32_t backup_manifest_version = 2;

/// A checkpoint of a shard, as the source had published it.
struct backup_checkpoint {
  checkpoint_info info;
  backup_object object;
  friend bool operator==(const backup_checkpoint&, const backup_checkpoint&) = default;
};

/// The bytes [from, to) of a log segment.
struct backup_piece {
  segment_name segment;
  std::uint64_t id = 0; ///< of the segment
  std::uint64_t from = 0, to = 0;
  bool closed = false; ///< the segment gets nothing more
  backup_object object;
  friend bool operator==(const backup_piece&, const backup_piece&) = default;
};

/// One shard in a backup.
struct backup_shard {
  std::optional<backup_checkpoint> checkpoint; ///< none: all of it is in the log
  lsn_t last = 0;                              ///< of its last record in the log of this backup
  lsn_t reserved = 0;                          ///< the source may have handed out LSNs up to here
  friend bool operator==(const backup_shard&, const backup_shard&) = default;
};

/// The table of contents of one backup. backup_format.md describes the file. Times in us since
/// 1970.
struct backup_manifest {
  std::string name;
  universe_id universe;
  std::uint64_t generation = 0;
  std::uint64_t base_us = 0;  ///< what the checkpoints hold was written before
  std::uint64_t taken_us = 0; ///< everything written before is in the backup
  /// The backup whose log goes on in this one without a gap; empty: none.
  std::string follows;
  /// A sentence: why it follows nobody although backups of this universe were there. Empty: it does
  /// follow one, or is the first, or is of format 1.
  std::string anew;
  std::uint64_t new_bytes = 0; ///< of objects that this backup brought
  std::vector<backup_shard> shards;
  std::vector<backup_piece> log; ///< by segment (start, sequence, stream) and offset

  /// Of all objects it refers to.
  [[nodiscard]] std::uint64_t bytes() const noexcept;
  [[nodiscard]] std::vector<const backup_object*> objects() const;
  friend bool operator==(const backup_manifest&, const backup_manifest&) = default;
};

[[nodiscard]] std::string encode_backup_manifest(const backup_manifest& m);
/// `path` is for the messages; `name` is what the backup must be called. invalid_argument (not one
/// of ours), version_mismatch, corruption.
op_result<backup_manifest> decode_backup_manifest(std::string_view bytes, std::string_view path,
                                                  std::string_view name);

/// May be a backup's name: 1 to 128 of a-z A-Z 0-9 dash and dot, no dot in front.
[[nodiscard]] bool is_backup_name(std::string_view text) noexcept;
/// Order of a log: by start, then sequence, then stream.
[[nodiscard]] bool log_order(const segment_name& a, const segment_name& b) noexcept;

} // namespace warp::storage
