#pragma once

#include "cluster/replication_host.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/replicated_executor.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

/// Told, on the thread that calls shard_hosts and without a lock, around what may make copies send:
/// for what they send in one turn leaves best together.
class turn_listener {
public:
  virtual ~turn_listener() = default;
  virtual void turn_begins() noexcept = 0;
  virtual void turn_ends() noexcept = 0;
};

/// The copies of one node, one for each shard, each behind a lock of its own: so any thread may
/// bring what concerns one, and two shards never wait for each other. As the engine's executor it
/// is what servers work on: engine::set_executor(), once all copies are open.
///
/// Every thread that calls may run the machine of that shard, and with it
/// `replication_surroundings`, under the shard's lock. Where a call has resolved tickets, it tells
/// the engine's round listeners before it returns, without that lock; so they must not call this.
class shard_hosts final : public storage::replicated_executor {
public:
  /// The engine is borrowed, options.replicated.
  explicit shard_hosts(storage::engine& engine);

  /// Takes up the copy of one shard; before anything else is called for it. As
  /// replication_host::open().
  [[nodiscard]] op_status open(shard_id shard, replication::node_id self,
                               const replication_host_options& options,
                               replication_surroundings& around);

  /// Before the first call; borrowed.
  void tell_of_turns(turn_listener& listener) noexcept { turns_ = &listener; }

  /// Calls with the same one of these are one turn, on one thread: listeners are told at its end.
  class turn {
  public:
    explicit turn(shard_hosts& of) : of_(of) {
      if (of_.turns_) of_.turns_->turn_begins();
    }
    ~turn() {
      if (of_.turns_) of_.turns_->turn_ends();
      if (resolved) of_.engine_.tell_listeners();
    }
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    bool resolved = false; ///< tickets were

  private:
    shard_hosts& of_;
  };

  /// See replication_host. Any thread.
  void handle(shard_id shard, replication::replica_event what);
  void handle(shard_id shard, replication::replica_event what, turn& in);
  /// Of all copies that wait for the disk and that `may_wait` does not leave out: for their locks.
  void on_round(const std::function<bool(shard_id)>& may_wait);
  void sweep(shard_id shard, std::size_t keys_max);
  [[nodiscard]] op_status checkpoint_arrived(shard_id shard, epoch_t max_epoch,
                                             const std::string& path);
  void stop();
  [[nodiscard]] op_status mark_stopped();

  /// The copy, under its lock, for as long as `look` runs.
  void look_at(shard_id shard, const std::function<void(const replication_host&)>& look);
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }

  // -- storage::replicated_executor
  void execute(std::span<const operation> operations, std::span<storage::op_reply> replies,
               storage::value_arena& arena) override;
  op_code execute_atomic(std::span<const operation> operations,
                         std::span<storage::op_reply> replies,
                         storage::value_arena& arena) override;
  op_code transact(std::span<const std::string_view> keys,
                   const storage::transaction_options& options,
                   const storage::transaction_body& body,
                   std::vector<storage::durable_target>& waits) override;
  op_result<storage::key_mark> mark(std::string_view key) override;
  [[nodiscard]] storage::durable_state durable(shard_id shard,
                                               lsn_t ticket) const noexcept override {
    return copies_[shard.value].host->tickets().state(ticket);
  }
  [[nodiscard]] bool serves(shard_id shard) const noexcept override {
    return copies_[shard.value].serves.load(std::memory_order_acquire);
  }

private:
  struct alignas(64) copy {
    std::mutex mutex;
    std::unique_ptr<replication_host> host;
    std::atomic<bool> serves{false};
    /// Its log has something that is not known to be on disk, or may get some by the call that has
    /// the lock.
    std::atomic<bool> waits_for_disk{false};
  };
  template <class Work>
  auto locked(shard_id shard, Work work);
  template <class Work>
  auto locked(shard_id shard, turn& in, Work work);
  void execute_of(shard_id shard, std::span<const operation> operations,
                  std::span<const std::uint32_t> which, std::span<storage::op_reply> replies,
                  storage::value_arena& arena, turn& in);

  storage::engine& engine_;
  const std::uint32_t count_;
  const std::unique_ptr<copy[]> copies_;
  turn_listener* turns_ = nullptr;
};

} // namespace warp::cluster
