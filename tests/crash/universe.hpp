#pragma once

#include "storage/engine.hpp"
#include "tests/crash/history.hpp"
#include "tests/crash/process_files.hpp"
#include "tests/support/disk_image.hpp"

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace warp::testing {

/// A promise was broken; what() says which.
class violation : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// A clock that stands still unless it is told.
class still_clock final : public storage::clock {
public:
  explicit still_clock(std::uint64_t us) : us_(us) {}
  [[nodiscard]] std::uint64_t now_us() const noexcept override { return us_.load(); }
  void advance(std::uint64_t us) { us_ += us; }

private:
  std::atomic<std::uint64_t> us_;
};

/// Before anything that a workload writes expires.
inline constexpr std::uint64_t clock_begin_us = 1'700'000'000'000'000;

/// How the universe of a workload is opened.
struct universe_options {
  std::uint32_t shards = 2, streams = 1;
  storage::direct_io direct = storage::direct_io::off;
  std::chrono::milliseconds flush_interval{0};
  std::uint32_t checkpoints_kept = 1;
  std::uint64_t wal_max_bytes = 1u << 20;
  omission left_out = omission::none;

  [[nodiscard]] storage::engine_options engine(storage::file_system& files,
                                               std::shared_ptr<const storage::clock> time) const;
};

/// Keys of a shard that the workloads use. Those of kind `unlogged` are written at level memory and
/// not compared; `probe` is written after a recovery.
enum class key_kind : std::uint8_t { plain, expiring, unlogged, probe, hash };
[[nodiscard]] std::string make_key(key_kind kind, std::uint32_t shard, std::uint32_t shards,
                                   std::uint32_t number = 0);
inline constexpr std::uint32_t plain_keys = 6; ///< of each shard

/// Compares a universe that has just been opened, shard by shard, with a history: whole batches up
/// to some LSN, transactions whole or not at all. Returns the LSN by shard. Throws violation.
std::vector<lsn_t> compare(storage::engine& engine, const history& with);
/// The LSN is not below what was promised. Throws violation.
void require_durable(const std::vector<lsn_t>& recovered, const promises& promised);

inline constexpr const char* backup_folder = "backup";
/// Every backup that was promised is there, is good, and the newest one can be restored. Throws
/// violation.
void check_backups(const universe_options& options, disk_image disk, const history& with,
                   const promises& promised);

/// What a recovery of a disk came to.
struct recovery_outcome {
  std::vector<lsn_t> last; ///< by shard: the record that recovery kept last
  std::vector<lsn_t> next; ///< by shard: the LSN of the next write
};

/// Opens the universe that a crash left, compares it, and uses it: writes go on above every LSN
/// that was handed out, retries have no second effect. `thorough`: it is stopped, cleanly or not,
/// and opened once more. Throws violation.
recovery_outcome check_disk(universe_options options, disk_image disk, const history& with,
                            const promises& promised, bool thorough, bool clean_stop);

} // namespace warp::testing
