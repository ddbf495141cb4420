#pragma once

#include "messages/status.hpp"
#include "messages/watch.hpp"
#include "storage/blob.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace warp::storage {

class watch_hub;
class watcher;

/// One event with what it names; shared by all watches that are told. Immutable.
struct watch_change {
  watch_kind kind = watch_kind::put;
  bool state = false;
  shard_id shard;
  lsn_t version = 0;
  std::uint64_t expires_at_ms = 0;
  std::string key, value;
  blob_ref large; ///< in place of `value`
  value_type type = value_type::bytes;

  [[nodiscard]] watch_event view() const noexcept {
    return {.kind = kind,
            .state = state,
            .shard = shard,
            .version = version,
            .expires_at_ms = expires_at_ms,
            .type = type,
            .key = key,
            .value = large ? large.view() : std::string_view{value},
            .message = {}};
  }
  /// What it counts for in a watch's memory.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return 192 + key.size() + (large ? large.get()->size() : value.size());
  }
};
using watch_change_ptr = std::shared_ptr<const watch_change>;

/// How much one watch may hold that nobody has taken, beside the frame of the log that it reads
/// while it catches up. A single event is always held, however large it is.
struct watch_limits {
  std::size_t bytes = 1u << 20;
  std::size_t events = 8'192;
};

/// A watch, seen from whoever takes its events: engine::watch() makes it, and engine::run_watches()
/// fills it on another thread. take() by one thread at a time; everything else by any thread. Never
/// waits for anything but short locks.
class watch {
public:
  explicit watch(std::shared_ptr<watcher> w, std::weak_ptr<watch_hub> hub, watch_token start);
  /// As cancel().
  ~watch();
  watch(const watch&) = delete;
  watch& operator=(const watch&) = delete;

  /// Appends what is there, at most about this much (an event at least), to `out`. When it leaves
  /// nothing behind, on_ready is called once more when there is something again. False: the watch
  /// is over and `out` has the last of it; end() has the reason. No event of kind `ended` comes.
  bool take(std::vector<watch_change_ptr>& out, std::size_t events_max, std::size_t bytes_max);
  [[nodiscard]] op_status end() const;

  /// Position at the start.
  [[nodiscard]] const watch_token& start() const noexcept { return start_; }

  /// Ends it: nothing more is told, and on_ready is not called any more once this has returned (so
  /// not from within on_ready).
  void cancel();

private:
  std::shared_ptr<watcher> watcher_;
  std::weak_ptr<watch_hub> hub_;
  const watch_token start_;
};

/// Counters of all watches since start; a copy.
struct watch_stats {
  std::uint64_t watches = 0;      ///< now
  std::uint64_t catching_up = 0;  ///< of those: not told of the present yet
  std::uint64_t queued_bytes = 0; ///< held now, waiting to be taken
  std::uint64_t events = 0;       ///< told, per watch
  std::uint64_t lagged = 0;       ///< times a watch was too slow
  std::uint64_t lost = 0;         ///< times a shard's changes could not be told one by one
  std::uint64_t overflows = 0;    ///< times writers were too fast for a shard's tap
};

} // namespace warp::storage
