#pragma once

#include "cluster/admin_types.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

/// What an operator can ask of a running universe. The program implements it; the front ends call
/// it, never from an I/O thread: every call may block, and they come one at a time from a thread
/// that the front end keeps for them. Counters of shards and streams are not here: front ends read
/// them from the engine.
class admin_backend {
public:
  virtual ~admin_backend() = default;

  /// Writes and publishes a checkpoint of each of these shards; of all when `shards` is empty. The
  /// first failure ends it.
  virtual op_status checkpoint(std::span<const shard_id> shards) = 0;

  /// The supervision tree, each actor after its supervisor.
  virtual op_result<std::vector<actor_summary>> tree() = 0;

  /// Ends the actor at `path` on purpose, as a crash would. not_found when there is none.
  virtual op_status chaos(std::string_view path) = 0;

  /// What checking everything at rest has found; `now`: asks for another run. Returns at once.
  virtual op_result<verify_summary> verify(bool now) = 0;

  /// Frames of the shard's log on disk, from the one that holds `from` on (0: the oldest kept),
  /// about `limit` records.
  virtual op_result<log_page> log_frames(shard_id shard, lsn_t from, std::size_t limit,
                                         bool with_values) = 0;

  /// Orders a backup into a folder of this machine (empty: the configured one) and returns its
  /// ticket. unauthorized: not into that folder. Does not wait for it.
  virtual op_result<std::uint64_t> order_backup(const std::string& folder) = 0;
  /// What became of it. Returns at once.
  virtual op_result<backup_summary> backup(std::uint64_t ticket) = 0;

  /// Calls `changed` once, on any thread, when the answer of verify() or backup() may next have
  /// changed. Dropping what is returned ends that.
  virtual std::shared_ptr<void> on_job_change(std::function<void()> changed) = 0;
};

} // namespace warp::cluster
