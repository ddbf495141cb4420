#pragma once

#include "cluster/client.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace warp::programs {

/// Sends records to a server in batches with many of them under way, and knows of each line what
/// became of it. Of two lines with the same key the later one wins, as if they had been written one
/// after the other. Used by one thread.
class bulk_writer {
public:
  struct options {
    durability level = durability::sync;
    std::size_t batch_records = 1'000;
    std::size_t batch_bytes =
        1u << 20; ///< a batch is sent when it is this large; one record may be larger
    std::size_t batches_in_flight = 32;
  };
  /// `on_failure` is called on the caller's thread for each record that was not stored.
  bulk_writer(client& c, options o,
              std::function<void(std::uint64_t line, const op_status&)> on_failure);
  /// Waits for what is under way.
  ~bulk_writer();
  bulk_writer(const bulk_writer&) = delete;
  bulk_writer& operator=(const bulk_writer&) = delete;

  /// Copies the record; may block until a batch comes back. `line` grows from call to call.
  void put(std::uint64_t line, std::string_view key, std::string_view value,
           const client_write_options& how);
  /// A line that needs nothing to be done: it only moves finished_line() on.
  void skip(std::uint64_t line);
  /// Sends what is left and waits for all answers; at level async also until all of it is on disk
  /// (a failure of that comes back).
  op_status finish();

  [[nodiscard]] std::uint64_t stored() const noexcept { return stored_; }
  [[nodiscard]] std::uint64_t failed() const noexcept { return failed_; }
  /// All lines up to this one are done with, each stored or skipped; stands still before the first
  /// one that failed.
  [[nodiscard]] std::uint64_t finished_line() const noexcept { return finished_line_; }

private:
  struct batch {
    client_batch operations;
    std::vector<std::uint64_t> lines;
    std::vector<std::size_t> keys;      ///< hashes
    std::vector<std::string> key_texts; ///< at level async only
    std::uint64_t last_line = 0; ///< this and all before are in this batch or in earlier ones
  };
  struct answered {
    std::uint64_t number;
    std::vector<client_reply> replies;
  };
  /// What the client's thread touches; outlives this object if it must.
  struct inbox {
    std::mutex mutex;
    std::condition_variable arrived;
    std::vector<answered> answers;
  };

  void send();
  void take_answers(bool wait);
  void take(const answered& a);

  client& client_;
  options options_;
  std::function<void(std::uint64_t, const op_status&)> on_failure_;
  std::shared_ptr<inbox> inbox_ = std::make_shared<inbox>();
  batch filling_;
  std::uint64_t next_number_ = 0;
  std::map<std::uint64_t, batch> under_way_; ///< the operations themselves have moved to the client
  std::map<std::uint64_t, std::uint64_t>
      waiting_; ///< batch -> last line: answered, but an earlier one is not
  std::unordered_set<std::size_t> keys_under_way_; ///< hashes
  /// At level async: the newest record of ours in each shard.
  struct newest_record {
    lsn_t version = 0;
    std::string key;
  };
  std::map<std::uint32_t, newest_record> newest_;
  std::uint64_t stored_ = 0, failed_ = 0, finished_line_ = 0;
};

} // namespace warp::programs
