#pragma once

#include "tests/support/disk_image.hpp"
#include "tests/support/recording_file_system.hpp"

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace warp::testing {

/// What a crash leaves of one change that was not durable.
struct fate {
  enum class kind : std::uint8_t {
    lost,
    kept,
    front,     ///< of a write: the first `n` sectors
    back,      ///< of a write: all but the first `n` sectors
    scattered, ///< of a write: each sector or not, by the seed `n`
    size_only, ///< of a write: the file is as long as if it had been done, the new part zeros
  };
  kind what = kind::lost;
  std::uint64_t n = 0;
};

/// The legal states of a disk after a crash, point by point of a trace.
///
/// What is taken as legal (as the ALICE paper and the practice of ext4 and XFS have it, or worse):
/// - What a sync covered is there: of a file its bytes and its size, of a folder its names.
///   A sync of a file does not make its name durable.
/// - Of a file that was not synced, each sector of 512 bytes is as it was at the last sync or after
///   any later write to it, whatever became of other sectors: writes arrive in any order, in part,
///   or not at all. A sector is never torn, and never shows a later write without the earlier bytes
///   of the same sector, for memory and device write it as a whole. The size is that of any of the
///   writes; what is below it and never arrived is zeros.
/// - Names of one folder that were not synced: each creation, removal and renaming arrived or not,
///   in any combination, which no journaling file system does and POSIX allows. A renaming is
///   atomic. What is in a folder whose own name never arrived is gone.
class crash_states {
public:
  static constexpr std::uint64_t sector_bytes = 512;

  explicit crash_states(const disk_trace& trace); ///< borrowed

  /// Goes to the next point: just before an event that is not a mark, at last behind all of them.
  /// False: there is none. Starts before the first point.
  bool next_point();
  /// Index of the first event that did not happen.
  [[nodiscard]] std::size_t point() const noexcept { return at_; }
  /// Value of the newest mark before it; 0: none.
  [[nodiscard]] std::uint64_t mark() const noexcept { return mark_; }
  /// Changes that may be lost.
  [[nodiscard]] std::size_t pending() const noexcept { return pending_.size(); }

  /// Choices worth looking at: none and all first; then, in random order, every prefix, each change
  /// alone there and alone missing, torn writes, all subsets of few changes, and random ones. May
  /// describe the same disk twice.
  [[nodiscard]] std::vector<std::vector<fate>> choices(std::mt19937_64& random) const;
  [[nodiscard]] disk_image disk(const std::vector<fate>& choice) const;
  /// "before sync wal/...: lost write wal/... 80+240; ..."
  [[nodiscard]] std::string describe(const std::vector<fate>& choice) const;

private:
  struct range {
    std::uint64_t begin, end; ///< whole sectors
  };
  struct change {
    const disk_event* event;
    std::vector<range> left; ///< of a write: what is not durable yet
  };
  void happens(const disk_event& event);
  void make_durable(std::uint32_t file);
  void make_durable(const std::string& folder);
  void make_last_write_durable(const disk_event& event);
  [[nodiscard]] bool is_name(const disk_event& event) const;
  static void name(disk_image& image, std::map<std::string, std::uint32_t>& names,
                   const disk_event& event);

  const disk_trace& trace_;
  std::size_t at_ = 0;
  bool started_ = false;
  std::uint64_t mark_ = 0;
  std::map<std::string, std::uint32_t> names_; ///< durable
  std::set<std::string> folders_;              ///< durable
  std::vector<file_content> durable_, latest_; ///< by file
  std::vector<change> pending_;
};

} // namespace warp::testing
