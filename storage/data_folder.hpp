#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/file_system.hpp"
#include "storage/folder_chain.hpp"
#include "storage/manifest.hpp"
#include "storage/universe_id.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

/// Names in a data folder:
///
///     lock                          held by the process that uses the folder, with its pid
///     MANIFEST                      table of contents, see manifest_format.md
///     wal/                          the log's segments, see wal_format.md
///     checkpoint/00012-0000000007   checkpoint 7 of shard 12, see checkpoint_format.md
///     physics                       what was learned from samples, see actors/live_physics.hpp;
///     may
///                                   be missing
///     damaged-20261121-163000/      what `warp repair` has replaced then: MANIFEST, wal/,
///                                   checkpoint/; no start looks at it, remove it when you like
///     *.tmp *.part *.damaged        being written, being received, put aside
inline constexpr std::string_view wal_folder_name = "wal";
inline constexpr std::string_view checkpoint_folder_name = "checkpoint";

/// Stands in a folder while a backup is restored into it.
inline constexpr std::string_view restore_marker_name = "RESTORE-UNFINISHED";

struct checkpoint_name {
  shard_id shard;
  std::uint64_t sequence = 0;
  friend bool operator==(const checkpoint_name&, const checkpoint_name&) = default;
};
/// "00012-0000000007": sorts by shard, then by age, up to the shards and checkpoints anybody has.
[[nodiscard]] std::string checkpoint_file_name(checkpoint_name name);
/// The inverse; empty for any other text.
[[nodiscard]] std::optional<checkpoint_name> parse_checkpoint_file_name(std::string_view text);

/// A data folder that this process holds: its lock, its manifest, its names. Thread-safe.
///
/// open() changes nothing but the lock file (and makes the folder when it is absent); start() is
/// the point where the folder becomes ours: call it when recovery has succeeded and before the log
/// is written.
class data_folder {
public:
  /// Takes the lock and reads the manifest. An absent or empty folder is a new universe, with
  /// `shard_count` shards (0: 64). An existing one must have `shard_count` (0: whatever it has).
  /// Fails with
  ///   unavailable       another process has it
  ///   invalid_argument  it holds something else and nothing of ours, or has another shard count
  ///   corruption        a damaged manifest, none beside log or checkpoint files, or one without
  ///                     its log folder
  ///   version_mismatch  written by a newer version
  ///   io_error, no_space
  /// `files` must outlive the object.
  static op_result<std::unique_ptr<data_folder>> open(file_system& files, std::string path,
                                                      std::uint32_t shard_count);

  /// Makes the sub-folders of a new universe, removes left-over temporary files and checkpoints
  /// that never got into the manifest, and writes the manifest with the next start number. Durable
  /// when it returns ok. Once.
  op_status start();

  /// The log of this start is on disk: each shard is named by a segment. From now on a start
  /// without it is refused.
  op_status log_opened();
  /// The log was ended cleanly, and the last LSNs of all shards' logs are `reaches`, added up. From
  /// now on a log that is shorter is refused.
  op_status log_closed(std::uint64_t reaches);
  /// What the manifest says about the log, see there.
  [[nodiscard]] std::uint64_t log_start() const;
  [[nodiscard]] std::uint64_t log_reaches() const;

  [[nodiscard]] bool created() const noexcept { return created_; } ///< open() found nothing
  [[nodiscard]] universe_id universe() const noexcept { return universe_; }
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
  [[nodiscard]] std::uint32_t shard_count() const noexcept { return shard_count_; }
  /// Number of this start, from 1, never the same twice; before start(), that of the last one.
  [[nodiscard]] std::uint64_t start_number() const;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::string wal_path() const;
  [[nodiscard]] std::string checkpoint_folder() const;
  [[nodiscard]] std::string checkpoint_path(shard_id shard, std::uint64_t sequence) const;

  /// Published checkpoints of a shard, newest first.
  [[nodiscard]] std::vector<checkpoint_info> checkpoints(shard_id shard) const;
  /// A number for the shard's next checkpoint: above all that are published or were handed out.
  [[nodiscard]] std::uint64_t next_sequence(shard_id shard);

  /// Enters finished checkpoint files, at most one of each shard, into the manifest, all at once;
  /// keeps the newest `kept` (at least 1) of their shards, and when the new manifest is durable
  /// removes the files of the others. After a failure the manifest on disk is the old or the new
  /// one, and in memory the old: the new files must stay.
  op_status publish(std::span<const checkpoint_info> infos, std::uint32_t kept);
  op_status publish(const checkpoint_info& info, std::uint32_t kept) {
    return publish({&info, 1}, kept);
  }

  /// Takes a damaged checkpoint out of the manifest and puts its file aside under the name
  /// *.damaged, for inspection.
  op_status put_aside(shard_id shard, std::uint64_t sequence);

private:
  data_folder() = default;
  op_status save(manifest next);
  op_status remove_left_overs();

  file_system* files_ = nullptr;
  std::string path_;
  std::unique_ptr<folder_lock> lock_;
  bool created_ = false;
  universe_id universe_;
  std::uint64_t generation_ = 0;
  std::uint32_t shard_count_ = 0;
  std::optional<folder_chain> unsynced_; ///< of a folder that has no manifest yet

  mutable std::mutex mutex_; ///< guards what is below, and the manifest file
  manifest manifest_;
  std::vector<std::uint64_t> last_sequence_; ///< per shard
};

} // namespace warp::storage
