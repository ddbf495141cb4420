#pragma once

#include "cluster/replication/replica.hpp"
#include "tests/simulation/model_checkpoint.hpp"
#include "tests/simulation/model_table.hpp"
#include "tests/simulation/sim_random.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace warp::testing {

/// What a node has on disk of one copy. Of what is not synced a crash keeps a beginning of any
/// length (recovery ends at the first torn frame), the same for all copies of the node, as they
/// share one write-ahead log: `order` is the place in that. Names and checkpoints arrive whole.
class model_disk {
public:
  /// What a start would find.
  struct image {
    epoch_t max_epoch = 0;
    std::shared_ptr<const model_checkpoint> base = make_checkpoint({}, model_table{});
    std::vector<cluster::replication::log_record> records; ///< behind the base
    lsn_t commit_lsn = 0;
    bool incomplete = false;
    bool repaired = false;
    cluster::replication::boot_id stopped_boot;

    [[nodiscard]] bool has(lsn_t lsn, epoch_t epoch) const;
    void take(const cluster::replication::wal_piece& piece,
              const std::shared_ptr<const model_checkpoint>& installed);
  };

  void write(std::uint64_t order, std::uint64_t position, cluster::replication::wal_piece piece,
             std::shared_ptr<const model_checkpoint> installed);
  /// Everything up to a place in the node's log is on disk: the last position of this copy there.
  std::uint64_t synced(std::uint64_t order);
  /// Everything is written and the clean-stop mark behind it.
  void stop(cluster::replication::boot_id boot);
  /// What was written up to `order` is kept.
  void crash(std::uint64_t order, sim_random& random);
  /// What an operator makes of a copy that is damaged: whole, with what can still be read, and
  /// marked.
  void repair(sim_random& random);
  /// Reads what is there, and removes the clean-stop mark.
  [[nodiscard]] cluster::replication::recovered_copy start(model_table& table);
  /// A checkpoint is published; the log below it is released.
  void publish(std::shared_ptr<const model_checkpoint> checkpoint);

  [[nodiscard]] const image& on_disk() const { return image_; }
  [[nodiscard]] bool all_synced() const { return unsynced_.empty(); }
  /// Of the last record on disk, or of the base.
  [[nodiscard]] lsn_t last_lsn() const;
  /// Of the record, or the base, with this LSN; nothing: the log on disk has none.
  [[nodiscard]] std::optional<epoch_t> epoch_at(lsn_t lsn) const;
  /// Records on disk behind an LSN and up to another.
  [[nodiscard]] std::vector<cluster::replication::log_record> behind(lsn_t lsn, lsn_t up_to,
                                                                     std::size_t count_max) const;

  /// R10: of a checkpoint that is arriving; its chunks are synced together, at the end.
  struct arriving {
    cluster::replication::checkpoint_manifest manifest;
    std::map<std::uint32_t, std::string> chunks;
  };
  std::optional<arriving> incoming;

private:
  struct pending {
    std::uint64_t order, position;
    cluster::replication::wal_piece piece;
    std::shared_ptr<const model_checkpoint> installed;
  };
  image image_;
  std::deque<pending> unsynced_;
};

} // namespace warp::testing
