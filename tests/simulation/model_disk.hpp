#pragma once

#include "cluster/replication/replica.hpp"
#include "tests/simulation/model_table.hpp"
#include "tests/simulation/sim_random.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace warp::testing {

/// A checkpoint: the table as it was at one place of the log.
struct model_checkpoint {
  cluster::replication::log_position end;
  model_table table;
};

/// What a node has on disk of its copy. Of what is not synced a crash keeps a beginning of any
/// length (recovery ends at the first torn frame); names and checkpoints arrive whole.
class model_disk {
public:
  /// What a start would find.
  struct image {
    epoch_t max_epoch = 0;
    std::shared_ptr<const model_checkpoint> base = std::make_shared<model_checkpoint>();
    std::vector<cluster::replication::log_record> records; ///< behind the base
    lsn_t commit_lsn = 0;
    bool incomplete = false;
    cluster::replication::boot_id stopped_boot;

    [[nodiscard]] bool has(lsn_t lsn, epoch_t epoch) const;
    void take(const cluster::replication::wal_piece& piece,
              const std::shared_ptr<const model_checkpoint>& installed);
  };

  void write(std::uint64_t position, cluster::replication::wal_piece piece,
             std::shared_ptr<const model_checkpoint> installed);
  void synced(std::uint64_t position);
  /// Everything is written and the clean-stop mark behind it.
  void stop(cluster::replication::boot_id boot);
  void crash(sim_random& random);
  /// Reads what is there, and removes the clean-stop mark.
  [[nodiscard]] cluster::replication::recovered_copy start(model_table& table);
  /// A checkpoint is published; the log below it is released.
  void publish(std::shared_ptr<const model_checkpoint> checkpoint);

  [[nodiscard]] const image& on_disk() const { return image_; }
  [[nodiscard]] std::uint64_t written() const { return written_; }
  [[nodiscard]] bool all_synced() const { return unsynced_.empty(); }

private:
  struct pending {
    std::uint64_t position;
    cluster::replication::wal_piece piece;
    std::shared_ptr<const model_checkpoint> installed;
  };
  image image_;
  std::deque<pending> unsynced_;
  std::uint64_t written_ = 0;
};

} // namespace warp::testing
