#pragma once

#include "storage/shard.hpp"
#include "storage/staged_write.hpp"
#include "storage/transaction.hpp"

#include <cstdint>
#include <mutex>
#include <optional>

namespace warp::storage {

/// What a transaction does in one shard. Going away it takes back what was not settled.
struct transaction::share {
  share() = default;
  share(share&&) = delete;
  ~share() { take_back(); }

  void take_back() noexcept {
    if (staging) at->take_back();
    staging = false;
    changing.reset();
    if (lock.owns_lock()) lock.unlock();
  }

  shard* at = nullptr;
  std::unique_lock<shard_lock> lock;
  std::uint64_t writes = 0; ///< known beforehand: what the log is asked for with the lock
  std::uint64_t bytes = 0;  ///< of keys and values written, likewise
  std::uint64_t memory = 0; ///< that the writes may need, likewise
  std::uint64_t bytes_applied = 0;
  staged_writes staged;
  bool staging = false;
  bool full = false;     ///< its log had no room
  lsn_t first_lsn = 0;   ///< while staging: of the transaction's first write
  lsn_t seen = 0;        ///< what the answer waits for when all is done
  lsn_t seen_before = 0; ///< and when nothing is
  std::optional<shard::write_section> changing;
};

} // namespace warp::storage
