#pragma once

#include "messages/watch.hpp"
#include "storage/engine.hpp"
#include "storage/gapless_reader.hpp"
#include "storage/shard.hpp"
#include "storage/stream_gate.hpp"
#include "storage/watch.hpp"
#include "storage/watch_tap.hpp"
#include "storage/watcher.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace warp::storage {

/// What the hub borrows from its engine.
struct watch_sources {
  std::vector<shard*> shards;
  segment_store* segments = nullptr; ///< null: memory only
  std::vector<log_origin> origins;   ///< by shard; empty: memory only
  const clock* time = nullptr;
  std::string universe; ///< as in watch_token
  std::size_t value_bytes_max = 0;
  std::size_t watches_max = 0;
  std::size_t memory_max = 0; ///< of all watches
};

/// All watches of an engine: taps their shards, and carries what the taps catch to the watches, on
/// the thread that calls run(). What a tap or a watch has no memory for is read from the log, and
/// where the log cannot tell, from the table.
///
/// Locks, in the order in which they are taken: pump (the running thread's, all through a turn),
/// hub (who watches what), a shard's, a watch's queue. The hub's is held for as long as one tap's
/// changes take to be dealt out, never over I/O.
class watch_hub final : public round_listener {
public:
  explicit watch_hub(watch_sources from);
  ~watch_hub() override;

  /// See engine::watch().
  op_result<std::unique_ptr<watch>> add(watch_options options, watch_limits limits,
                                        std::function<void()> on_ready,
                                        const std::shared_ptr<watch_hub>& self);
  void remove(const std::shared_ptr<watcher>& w);
  /// Ends all watches, and lets go of the shards.
  void close();

  /// One turn: waits up to `wait_max` for work, then does a bounded part of it. Blocks for reads of
  /// the log. Threads that call it at the same time take turns.
  void run(std::chrono::milliseconds wait_max);
  /// Ends the waiting of run(). Any thread.
  void interrupt() noexcept { gate_.request_round(); }
  void on_round() noexcept override;

  [[nodiscard]] watch_stats stats() const;

private:
  using watcher_ptr = std::shared_ptr<watcher>;
  using place = watcher::place;

  /// One shard that is watched, or was.
  struct side {
    // Under the hub's lock.
    std::unordered_map<std::uint64_t, std::vector<watcher_ptr>> keys; ///< by hash
    std::unique_ptr<watch_tap> tap;
    std::size_t watchers = 0;
    bool too_wide = false; ///< the tap lets more through than it should
    bool paused = false;   ///< the tap is

    /// Every change up to here that somebody wants was dealt out. The pump's, but for a new tap.
    std::atomic<lsn_t> seen{0};

    // The pump's.
    tapped_changes caught;
    /// The tap had overflowed: the log is read from `seen` to `feed_to`.
    bool feeding = false;
    lsn_t feed_to = 0;
    std::unique_ptr<gapless_reader> feed;
    std::size_t unwanted = 0; ///< changes that it caught in a row and nobody took
  };
  enum class progress : std::uint8_t { again, waits, done };

  // -- who watches what; hub lock held
  [[nodiscard]] op_status check(const watch_options& options) const;
  void enter_all(const watcher_ptr& w, watch_token& start, std::uint32_t& entered);
  void forget(const watcher_ptr& w, std::uint32_t entered) noexcept;
  void take_turn(std::chrono::milliseconds wait_max);
  void end_all() noexcept;
  lsn_t enter(watcher& w, shard_id shard, const watcher_ptr& owner);
  lsn_t place_at_start(watcher& w, shard_id shard, lsn_t now, const record* r);
  [[nodiscard]] lsn_t as_position(shard_id shard, lsn_t lsn) const noexcept;
  [[nodiscard]] bool was_logged(shard_id shard, lsn_t lsn) const;
  void build_keys(side& at, shard_id shard);
  void build_prefixes();
  void narrow_taps();

  // -- the live way; pump lock held
  void drain_tap(std::uint32_t shard);
  bool feed(std::uint32_t shard);
  void pause_tap(shard_id shard);
  void resume_tap(shard_id shard);
  template <class Make>
  bool deal(shard_id shard, std::uint64_t hash, std::string_view key, lsn_t version, Make make);
  void offer(const watcher_ptr& w, shard_id shard, const watch_change_ptr& change);
  void lose_all(shard_id shard, lsn_t seen);
  void lose(const watcher_ptr& w, shard_id shard, lsn_t seen);

  // -- catching up (watch_catch_up.cpp); pump lock held
  progress serve(const watcher_ptr& w);
  progress advance(const watcher_ptr& w, shard_id shard);
  progress read_log(const watcher_ptr& w, shard_id shard);
  progress settle(watcher& w, shard_id shard);
  progress walk(watcher& w, shard_id shard);
  void begin_state(watcher& w, shard_id shard);
  void fall_behind(watcher& w, shard_id shard, lsn_t from);
  void ask_for_state(watcher& w, place& p);
  void go_live(const watcher_ptr& w, place& p);
  [[nodiscard]] bool release_staged(const watcher_ptr& w);
  [[nodiscard]] bool drain_carry(const watcher_ptr& w);
  bool stage(watcher& w, place& p, const watch_change_ptr& change);
  void unstage(watcher& w, place& p) noexcept;
  void tell(const watcher_ptr& w, watch_change_ptr change);
  void leave_live(watcher& w, place& p) noexcept;
  void add_pending(const watcher_ptr& w);
  [[nodiscard]] watch_change_ptr change_of(shard_id shard, const log_record& r) const;
  [[nodiscard]] bool is_durable(shard_id shard, lsn_t lsn) const noexcept;
  [[nodiscard]] lsn_t readable(shard_id shard) const;

  const watch_sources from_;
  const std::size_t tap_bytes_;
  const std::shared_ptr<watch_memory> memory_ = std::make_shared<watch_memory>();
  stream_gate gate_;
  std::atomic<bool> wants_rounds_{false};

  std::mutex pump_;
  bool announce_all_ = false;        ///< all watches have ended
  bool again_ = false;               ///< the last turn left something that need not wait
  std::vector<watcher_ptr> pending_; ///< that have something to do, or to wait for
  std::vector<watcher_ptr> told_;    ///< to be announced
  std::vector<std::uint32_t> feeding_;

  mutable std::mutex mutex_; ///< the hub's
  std::vector<std::unique_ptr<side>> sides_;
  /// Watches of prefixes, by length and hash of the prefix.
  std::map<std::size_t, std::unordered_map<std::uint64_t, std::vector<watcher_ptr>>> prefixes_;
  std::shared_ptr<const prefix_sieve> prefix_sieve_;
  bool prefixes_too_wide_ = false;
  std::vector<std::uint32_t> to_narrow_;
  std::vector<watcher_ptr> added_; ///< on their way to pending_
  std::unordered_set<watcher_ptr> all_;
  bool closed_ = false;

  std::atomic<std::uint64_t> events_{0}, lagged_{0}, lost_{0}, overflows_{0}, catching_up_{0};
};

} // namespace warp::storage
