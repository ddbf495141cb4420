#pragma once

#include "storage/log_cursor.hpp"
#include "storage/segment_store.hpp"
#include "storage/shard_log.hpp"
#include "storage/wal_reader.hpp"
#include "storage/wal_stream.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace warp::testing {

/// What a log says about one shard: what a table would hold after replaying it.
struct replayed_shard {
  std::map<std::string, std::string> values;
  std::vector<std::pair<lsn_t, std::string>>
      records; ///< LSN and "key=value" (or "key" for an erase), in log order
};

struct replayed_log {
  op_status status;
  storage::log_survey survey;
  std::uint64_t parts_cut = 0;
  std::vector<replayed_shard> shards;
};

struct test_log_options {
  std::uint32_t shards = 4, streams = 1;
  std::uint64_t segment_bytes = 64 * 1024;
  std::uint32_t spares_max = 4;
  storage::direct_io direct = storage::direct_io::automatic;
  std::function<std::uint64_t()> random_id; ///< of segments; empty: random
  storage::wal_stream_options stream;
  test_log_options() {
    stream.reservation = 1'000;
    stream.flush_interval = std::chrono::milliseconds{1};
    stream.retry_min = std::chrono::milliseconds{0};
  }
};

/// The log of a universe without tables: shards, streams, and recovery, over any file system. Shard
/// s is in stream s mod streams.
class test_log {
public:
  explicit test_log(storage::file_system& files, test_log_options options = {});
  ~test_log();

  /// Reads the log without changing anything but what sync_tails() does.
  static replayed_log read(storage::file_system& files, std::uint32_t shards,
                           const std::vector<lsn_t>& checkpoints = {});

  /// Recovers and goes on; `recovered` has what was found.
  op_status open();
  replayed_log recovered;
  test_log_options options; ///< of the next open()

  [[nodiscard]] storage::shard_log& log(std::uint32_t shard) { return *shards_[shard]->log; }
  [[nodiscard]] storage::shard_lock& lock(std::uint32_t shard) { return shards_[shard]->lock; }
  [[nodiscard]] storage::wal_stream& stream(std::uint32_t s = 0) { return *streams_[s]; }
  [[nodiscard]] storage::segment_store& store() { return *store_; }

  /// One batch with one record; returns its LSN, or 0 when admit() refuses.
  lsn_t put(std::uint32_t shard, std::string_view key, std::string_view value);
  /// Writes key=value to all these shards in one transaction; returns the LSN in each.
  std::vector<lsn_t> put_all(const std::vector<std::uint32_t>& shards, std::string_view key,
                             std::string_view value);
  /// One round of a stream, now. True when it wrote something.
  bool round(std::uint32_t stream = 0);
  void rounds() {
    for (std::uint32_t s = 0; s < streams_.size(); ++s) round(s);
  }
  /// Lets go of everything, as a process that dies does.
  void drop();
  op_status close();

  static const std::string folder;
  static const storage::universe_id universe;

private:
  struct shard {
    storage::shard_lock lock;
    std::unique_ptr<storage::shard_log> log;
  };
  storage::file_system& files_;
  std::vector<std::unique_ptr<shard>> shards_;
  std::unique_ptr<storage::segment_store> store_;
  std::vector<std::unique_ptr<storage::wal_stream>> streams_;
};

} // namespace warp::testing
