#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/backup_inventory.hpp"
#include "storage/backup_manifest.hpp"
#include "storage/backup_pace.hpp"
#include "storage/backup_store.hpp"
#include "storage/file_system.hpp"
#include "storage/log_continuity.hpp"
#include "storage/segment_store.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace warp::storage {

/// Brings the log of a running engine into a repository, piece by piece, and goes on from what the
/// backup before has of it. It holds nothing back: segments are held one at a time while they are
/// copied, and what is let go before its turn shows as a gap. Borrows all that it is made of. One
/// thread.
///
///     look(); choose checkpoints; begin(); copy() as often as one likes; pieces(); when the
///     manifest is published: set_archived()
class backup_log_copier {
public:
  backup_log_copier(segment_store& segments, file_system& files, backup_store& store,
                    const backup_inventory& inventory, const backup_subject& subject,
                    backup_pace& pace)
      : segments_(segments), files_(files), store_(store), inventory_(inventory), subject_(subject),
        pace_(pace), continuity_(subject.shard_count) {}

  /// Notes what log there is. Before the checkpoints are chosen: a segment that is gone by then is
  /// one that the chosen ones do not need.
  void look();
  /// `needed_from`: by shard, the first LSN that its checkpoint lacks. Takes over what the backup
  /// before has of the log.
  void begin(const std::vector<lsn_t>& needed_from);
  /// Copies what is on disk by now and not in the repository yet.
  op_status copy();
  /// What was copied stays with the log no longer: it has a backup.
  void set_archived();

  [[nodiscard]] std::vector<backup_piece> pieces() const;
  [[nodiscard]] const log_continuity& continuity() const noexcept { return continuity_; }
  /// Does the log go on from the backup before without a gap?
  [[nodiscard]] bool goes_on() const noexcept { return goes_on_; }
  /// A sentence: why it does not, though there is a backup before; else empty.
  [[nodiscard]] const std::string& begins_anew_because() const noexcept { return anew_; }
  [[nodiscard]] std::uint64_t new_bytes() const noexcept { return new_bytes_; }

private:
  struct in_log_order {
    bool operator()(const segment_name& a, const segment_name& b) const { return log_order(a, b); }
  };
  /// A segment as it was a moment ago. Not held.
  struct seen_segment {
    std::weak_ptr<segment_info> info;
    std::string path;
    segment_header header;
    std::uint64_t data_end = 0;
    bool closed = false;
    [[nodiscard]] segment_name name() const {
      return {header.start, header.stream, header.sequence};
    }
  };
  struct looked_at {
    seen_segment segment;
    std::vector<shard_run> runs;
  };
  /// All segments of a stream in one start.
  using chain_id = std::pair<std::uint64_t, std::uint32_t>;
  static chain_id chain_of(const segment_name& name) { return {name.start, name.stream}; }

  static seen_segment see(const segment_info& s);
  [[nodiscard]] bool needed(const segment_name& name) const;
  [[nodiscard]] bool is_new(const segment_name& name) const;
  void go_on_from(const backup_manifest& previous);
  [[nodiscard]] std::string misfit(const backup_manifest& previous) const;
  void begin_anew(std::string why);
  void drop(const segment_name& name);
  void note_begin(const seen_segment& s);
  op_status copy_piece(const seen_segment& s, std::uint64_t from);
  op_status copy_frames(const seen_segment& s, std::uint64_t at, class file_window& window,
                        class backup_object_writer& out);

  segment_store& segments_;
  file_system& files_;
  backup_store& store_;
  const backup_inventory& inventory_;
  const backup_subject& subject_;
  backup_pace& pace_;

  std::map<segment_name, looked_at, in_log_order> there_; ///< look() found them
  /// The oldest segment that the checkpoints need; those behind it are copied.
  segment_name first_needed_;
  bool goes_on_ = false;
  std::string anew_;
  std::uint64_t previous_start_ = 0;               ///< the newest that the backup before knew
  std::map<chain_id, std::uint64_t> previous_end_; ///< and the last segment of each chain
  /// Segments that were let go when not all of them was copied, as far as one knows: the last of
  /// their chain, or the log has a gap behind them.
  std::map<chain_id, segment_name> open_ends_;

  std::map<segment_name, std::vector<backup_piece>, in_log_order> archived_;
  /// The last record of each shard in a segment.
  std::map<segment_name, std::map<std::uint32_t, lsn_t>> contents_;
  std::map<segment_name, std::uint64_t> seen_end_; ///< by the last copy()
  log_continuity continuity_;
  std::uint64_t new_bytes_ = 0;
};

} // namespace warp::storage
