#pragma once

#include "tests/crash/history.hpp"
#include "tests/crash/universe.hpp"
#include "tests/support/recording_file_system.hpp"

#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

namespace warp::testing {

/// What a workload is about; everything else is drawn from its seed.
enum class workload_kind : std::uint8_t {
  creation,     ///< of the data folder, and a few writes
  log,          ///< one stream
  transactions, ///< over shards in several streams
  roll,         ///< values that fill segments
  checkpoints,  ///< while writes go on; segments are released and used again
  restarts,     ///< clean ones and kills, with another number of streams
  backups,      ///< into a repository on the same disk, and their removal
  failures,     ///< of syncs, and the new chains that follow
  hashes,       ///< changes of fields, of small and large ones, also in transactions
  walks,        ///< checkpoints of large values, with writes in the middle of the walk
};
inline constexpr std::size_t workload_kinds = 10;
[[nodiscard]] std::string_view to_string(workload_kind kind);

/// Where a life begins: a disk at rest and what it holds.
struct life_begin {
  disk_image disk;
  history holds;
  promises promised;        ///< `history` is not used
  std::uint64_t number = 0; ///< values are never written twice
};

/// What happened from the start on one disk to the next loss of power.
struct life {
  disk_trace trace;
  std::vector<history> histories; ///< one for each start of a process
  std::vector<promises> marks;    ///< the trace's mark n is marks[n - 1]; none: as it began
  std::uint64_t number = 0;
  universe_options options; ///< of its last process
};

/// A workload of its seed. The same seed does the same.
class workload {
public:
  explicit workload(std::uint64_t seed);

  [[nodiscard]] workload_kind kind() const noexcept { return kind_; }
  [[nodiscard]] const universe_options& options() const noexcept { return options_; }
  universe_options& options() noexcept { return options_; }
  [[nodiscard]] life_begin first() const;
  /// Lives once. Throws violation when the universe breaks a promise without any crash.
  [[nodiscard]] life run(const life_begin& begin);

private:
  std::mt19937_64 random_;
  workload_kind kind_;
  universe_options options_;
};

} // namespace warp::testing
