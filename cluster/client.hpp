#pragma once

#include "cluster/admin_types.hpp"
#include "cluster/client_types.hpp"
#include "cluster/client_watch.hpp"
#include "cluster/put_stream.hpp"
#include "messages/gpu.hpp"
#include "messages/physics.hpp"
#include "messages/status.hpp"
#include "messages/watch.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace warp {

class client_admin;

/// A client of WarpEngine over Cap'n Proto RPC. Thread-safe: any thread calls it, and the calls of
/// concurrent threads travel together. It keeps one thread and a pool of connections of its own,
/// which reconnect by themselves.
///
/// In a cluster (options.addresses names any of its nodes) each operation goes to the primary of
/// its key's shard; batches are split by node; when a shard moves or its primary fails the client
/// finds the new one. An atomic batch has keys of one shard (as those with the same {tag} are),
/// else it is invalid_argument. A watch is of one key, or of a prefix with a complete hash tag,
/// else it is not_supported. Calls that are about a server (info(), ping(), admin()) go to any of
/// them.
///
/// Every call is bounded by a deadline. Until then the client retries by itself what a retry can
/// cure: a lost connection, and the codes unavailable, overloaded and shutting_down; in a cluster
/// also wrong_shard, no_replicas and, of a write, outcome_unknown. Writes carry a
/// request id, so that a retry has one effect. When the deadline passes, the reply says what is
/// known:
///   timed_out            nothing was done (for a read: no answer came)
///   outcome_unknown      the write was sent and may have happened
///   any other code       the last answer; unavailable, overloaded, shutting_down: nothing was done
///
/// Order: a call that starts after another one has returned sees its effect. Calls that overlap,
/// asynchronous ones included, may be done in any order; operations within one batch that touch the
/// same key keep theirs.
class client {
public:
  /// Connects and logs in. unavailable: no address answered, the message has the last reason;
  /// unauthorized; invalid_argument: an address or option that makes no sense.
  static op_result<std::unique_ptr<client>> connect(client_options options = {});

  /// Calls under way end first: with unavailable, or outcome_unknown for writes that were sent.
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  // -- one operation; blocks until the reply or the deadline ------------------------------------

  [[nodiscard]] client_reply get(std::string_view key, durability level = durability::unspecified);
  /// ok or not_found, with version and expiry.
  [[nodiscard]] client_reply exists(std::string_view key,
                                    durability level = durability::unspecified);
  [[nodiscard]] client_reply put(std::string_view key, std::string_view value,
                                 const client_write_options& options = {});
  [[nodiscard]] client_reply erase(std::string_view key, const client_write_options& options = {});
  /// Writes `value` if the record's version is `expected` (0: it is absent); version_mismatch
  /// carries the one it met.
  [[nodiscard]] client_reply compare_and_set(std::string_view key, lsn_t expected,
                                             std::string_view value,
                                             client_write_options options = {});
  /// Adds to a decimal 64-bit integer; an absent key counts as 0. reply.number is the result.
  [[nodiscard]] client_reply increment(std::string_view key, std::int64_t delta = 1,
                                       durability level = durability::unspecified);

  // Hashes; fields are packed, see messages/packed_fields.hpp. wrong_type: the key has another
  // value.

  /// Writes fields and makes a hash of an absent key. reply.number: how many are new.
  [[nodiscard]] client_reply hash_set(std::string_view key, std::string_view pairs,
                                      const client_write_options& options = {});
  /// not_found: the key is absent. reply.number: how many fields were there.
  [[nodiscard]] client_reply hash_erase(std::string_view key, std::string_view names,
                                        const client_write_options& options = {});
  /// As increment(), of a field.
  [[nodiscard]] client_reply hash_increment(std::string_view key, std::string_view name,
                                            std::int64_t delta = 1,
                                            durability level = durability::unspecified);
  /// reply.value: an answer for each name.
  [[nodiscard]] client_reply hash_get(std::string_view key, std::string_view names,
                                      durability level = durability::unspecified);
  /// reply.value: all fields, as pairs.
  [[nodiscard]] client_reply hash_all(std::string_view key,
                                      durability level = durability::unspecified);

  /// Sets the expiry from `options` (none given: never) and leaves the value.
  [[nodiscard]] client_reply expire(std::string_view key, const client_write_options& options);

  // -- many operations; block likewise ----------------------------------------------------------

  /// Each key on its own; replies[i] answers keys[i].
  [[nodiscard]] std::vector<client_reply> multi_get(std::span<const std::string_view> keys);
  [[nodiscard]] std::vector<client_reply>
  multi_put(std::span<const std::pair<std::string_view, std::string_view>> pairs,
            const client_write_options& options = {});
  /// Each operation on its own; any number of them: a long batch travels in several messages.
  [[nodiscard]] std::vector<client_reply> execute(const client_batch& batch);

  /// All or nothing. status: ok, or the code of the first condition that failed, or why it could
  /// not be done.
  struct atomic_reply {
    op_status status;
    std::vector<client_reply> replies; ///< empty when the call as a whole was refused
  };
  /// At most server_info::batch_operations_max operations.
  [[nodiscard]] atomic_reply execute_atomic(const client_batch& batch);

  // -- without blocking: for many batches in flight ---------------------------------------------

  using callback = std::function<void(std::vector<client_reply>)>;
  /// Sends the batch and calls `done` on the client's thread, exactly once; it must not block, but
  /// may send the next batch (which is dropped when the client is being destroyed). Blocks only
  /// while more than options.queued_bytes_max are under way (never on the client's thread).
  void execute_async(client_batch batch, callback done);
  [[nodiscard]] std::future<std::vector<client_reply>> execute_async(client_batch batch);

  /// Opens a stream of puts, for bulk loads. Blocks for the server's limits; fails as info() does.
  [[nodiscard]] op_result<std::unique_ptr<put_stream>> stream_puts(put_stream_options options = {});

  // -- everything else; block likewise ----------------------------------------------------------

  /// A page of about `limit` records in hash order whose key starts with `prefix`; cursor 0 starts,
  /// next_cursor 0 ends. In a cluster a page has records of one shard; its cursors are those of a
  /// node alone with as many shards.
  [[nodiscard]] op_result<client_scan_page> scan_page(std::uint64_t cursor, std::string_view prefix,
                                                      std::size_t limit = 1'000,
                                                      bool keys_only = false);
  /// Visits all records with the prefix until visit returns false. What is present for the whole
  /// scan is visited; some keys may come twice. The deadline holds for each page.
  op_status scan(std::string_view prefix, const std::function<bool(const client_record&)>& visit,
                 bool keys_only = false);

  /// Tells of the changes of a key, or of all keys with a prefix, until the watch is destroyed: see
  /// messages/watch.hpp for what is told, client_watch.hpp for how. Every change after the call has
  /// returned is among them. Without a server it keeps trying, and ends with `ended` after
  /// `give_up_after` (0: never), or when a server refuses it. Codes: those of
  /// storage::engine::watch_changes; overloaded: this connection has all the watches that it may.
  [[nodiscard]] op_result<std::unique_ptr<client_watch>>
  watch(watch_options options, client_watch_callback on_event,
        std::chrono::milliseconds give_up_after = {});

  /// The value of a key, and the keys that belong to it with strength and state, in one round trip:
  /// see messages/physics.hpp. An absent key is an answer.
  [[nodiscard]] op_result<quantum_answer> quantum_get(std::string_view key,
                                                      const quantum_options& options = {});
  /// Declares that the partners belong to the key, with a strength in [0, 1]; 0 takes it back.
  op_status entangle(std::string_view key, std::span<const std::string> partners,
                     double strength = 1);

  /// Round trip of an empty call.
  [[nodiscard]] op_result<std::chrono::nanoseconds> ping();
  [[nodiscard]] op_result<server_info> info();

  /// The operator's calls. Borrows this client.
  [[nodiscard]] client_admin admin();

  // -- observation ------------------------------------------------------------------------------

  /// Since connect(); any thread.
  struct counters {
    std::uint64_t operations = 0, messages = 0, retries = 0, reconnects = 0;
  };
  [[nodiscard]] counters count() const noexcept;
  [[nodiscard]] std::uint64_t client_id() const noexcept;

private:
  friend class client_admin;
  struct state;
  explicit client(std::shared_ptr<state> s);
  std::shared_ptr<state> state_;
};

/// The operator's calls of a client: see `Admin` in messages/warp.capnp. Blocking, thread-safe; the
/// client must outlive it.
class client_admin {
public:
  [[nodiscard]] op_result<std::vector<shard_summary>> shards();
  [[nodiscard]] op_result<std::vector<stream_summary>> streams();
  /// Of these shards, of all when empty. `deadline` because it may take long.
  op_status checkpoint(std::span<const shard_id> shards = {},
                       std::chrono::milliseconds deadline = std::chrono::minutes{10});
  [[nodiscard]] op_result<std::vector<actor_summary>> tree();
  /// What checking everything at rest has found; `now`: asks for another run, which has ended when
  /// `finished` reaches the `begun` of this answer.
  [[nodiscard]] op_result<verify_summary> verify(bool now);
  /// The same when run number `run` has ended, or after `wait` (a minute at most).
  [[nodiscard]] op_result<verify_summary> wait_verified(std::uint64_t run,
                                                        std::chrono::milliseconds wait);
  /// Ends an actor on purpose; never retried.
  op_status chaos(std::string_view path);
  [[nodiscard]] op_result<log_page> log_frames(shard_id shard, lsn_t from,
                                               std::size_t limit = 1'000, bool with_values = false);
  /// Orders a backup into a folder on the server's machine (empty: the configured one); returns a
  /// ticket at once; never retried.
  [[nodiscard]] op_result<std::uint64_t> order_backup(std::string_view folder);
  [[nodiscard]] op_result<backup_summary> backup(std::uint64_t ticket);
  /// The same when it is done or has come on beyond `seen_bytes` of bytes_done, or after `wait` (a
  /// minute at most).
  [[nodiscard]] op_result<backup_summary>
  wait_backup(std::uint64_t ticket, std::uint64_t seen_bytes, std::chrono::milliseconds wait);

  // What the server knows of itself; not_supported below physics tier T2, the first two
  [[nodiscard]] op_result<entropy_report> entropy();
  /// What a rebalancing would do: 0 minimal, 1 moderate, 2 aggressive. Nothing carries it out.
  [[nodiscard]] op_result<rebalance_report> plan_rebalance(unsigned strategy = 0);
  [[nodiscard]] op_result<physics_report> physics();
  op_status set_physics_tier(physics_tier tier);
  /// A pattern rule; strength 0 takes it back, and not_found says that there was none.
  op_status set_physics_rule(std::string_view rule, double strength);

  // What the server computes beside its data path; the last two take seconds and are never retried
  [[nodiscard]] op_result<gpu_report> gpu();
  [[nodiscard]] op_result<std::vector<gpu_timing>>
  gpu_bench(std::uint64_t work, std::chrono::milliseconds deadline = std::chrono::minutes{2});
  [[nodiscard]] op_result<gpu_calibration_report>
  gpu_calibrate(std::chrono::milliseconds deadline = std::chrono::minutes{2});

private:
  friend class client;
  op_result<verify_summary> ask_verify(bool now, std::uint64_t run, std::chrono::milliseconds wait);
  explicit client_admin(client& owner) : owner_(&owner) {}
  client* owner_;
};

} // namespace warp
