#pragma once

#include "messages/watch.hpp"
#include "storage/gapless_reader.hpp"
#include "storage/watch.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace warp::storage {

/// What all watches of a hub hold together, of `max` bytes that they may.
struct watch_memory {
  std::atomic<std::size_t> held{0};
  std::size_t max = 0;

  [[nodiscard]] bool full() const noexcept { return held.load(std::memory_order_relaxed) >= max; }
};

/// The inside of one watch: a queue to whoever takes, and what the hub knows of its progress in
/// each shard.
///
/// A place is one shard's progress:
///
///     live <-- all read -- reading <-- the queue is full, or the start lies in the past
///                           ^  |
///                 state told|  |the log cannot tell
///          walking <--> settling <-- starting <-- the state is wanted, or a shard's tap lost sight
///
/// Settling waits for the disk, at level durable. Only a live place takes changes as they come. The
/// others put them aside (`staged`) while they are about to become live, so that nothing is missing
/// in between.
class watcher {
public:
  enum class mode : std::uint8_t { live, reading, starting, settling, walking };

  /// The hub's alone, under its pump lock.
  struct place {
    mode in = mode::live;
    lsn_t position = 0; ///< all up to here was told, or is in carry
    bool staging = false;
    lsn_t target = 0; ///< staging began here: what is above and matches is in `staged`
    std::vector<watch_change_ptr> staged;
    std::unique_ptr<gapless_reader> reader;
    lsn_t settle_at = 0;                   ///< settling: goes on when the log is durable up to it
    std::vector<watch_change_ptr> settled; ///< told then
    bool walk_next = false;                ///< and then the table is walked
    std::uint64_t walk_at = 0;             ///< walking: position in hash order
    lsn_t state_at = 0;                    ///< the state that is told is that of this LSN
    bool tell_lost = false;                ///< starting: `lost` comes first
  };

  watcher(watch_options o, watch_limits l, std::uint64_t key_hash,
          std::shared_ptr<watch_memory> memory, std::function<void()> on_ready)
      : options(std::move(o)), limits(l), hash(key_hash), memory_(std::move(memory)),
        on_ready_(std::move(on_ready)) {}
  ~watcher();

  const watch_options options;
  const watch_limits limits;
  const std::uint64_t hash; ///< of the key or prefix

  // -- the hub's, under its pump lock
  shard_id first_shard;
  std::vector<place> places;          ///< from first_shard on
  std::deque<watch_change_ptr> carry; ///< read while catching up, on its way to the queue
  std::size_t staged_bytes = 0, staged_events = 0; ///< of all places
  std::size_t not_live = 0;                        ///< places
  std::size_t next_place = 0;
  bool owes_synced = true, told_lagged = false;
  bool pending = false; ///< in the hub's list of those that have something to do
  bool told = false;    ///< announce() is due at the end of the turn

  [[nodiscard]] place& at(shard_id shard) noexcept {
    return places[shard.value - first_shard.value];
  }
  [[nodiscard]] bool matches(std::string_view key) const noexcept {
    return options.prefix ? key.starts_with(options.key) : key == options.key;
  }

  /// Counts a change in or out of a place's `staged`.
  void add_staged(const watch_change& change) noexcept;
  void remove_staged(const watch_change& change) noexcept;
  [[nodiscard]] bool may_stage(const watch_change& change) const noexcept;

  // -- the queue
  /// Is there room? If not, the hub is woken when there is again.
  bool has_room();
  /// Appends, room or not. announce() must follow.
  void push(watch_change_ptr change);
  /// Tells the taker that there is something, if it does not know.
  void announce();
  /// No more events; what is queued can still be taken unless `drop`.
  void finish(op_status why, bool drop);
  [[nodiscard]] bool finished() const;

  /// See watch::take(). `room`: the hub waits for room and has some now.
  bool take(std::vector<watch_change_ptr>& out, std::size_t events_max, std::size_t bytes_max,
            bool& room);
  [[nodiscard]] op_status end() const;

private:
  const std::shared_ptr<watch_memory> memory_;
  mutable std::mutex mutex_;
  std::function<void()> on_ready_;
  std::deque<watch_change_ptr> queue_;
  std::size_t queued_bytes_ = 0;
  bool armed_ = true; ///< the taker waits to be told
  bool wants_room_ = false;
  bool over_ = false;
  op_status end_;
};

} // namespace warp::storage
