#pragma once

#include "cluster/replication/ack_set.hpp"
#include "cluster/replication/peer_table.hpp"
#include "cluster/replication/replica_events.hpp"
#include "messages/ring.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace warp::cluster::replication {

/// What a start has found on disk of a copy.
struct recovered_copy {
  epoch_t max_epoch = 0;
  replica_log log; ///< every record synced
  lsn_t commit_lsn = 0;
  bool incomplete = false; ///< a checkpoint was on its way into it (R10)
  /// The boot that stopped cleanly last, from the mark that is synced last at a stop and removed by
  /// the next start; 0: none. It keeps a seat of that very boot only (R11): an older one, still
  /// listed, may have lost its end in a crash.
  boot_id stopped_boot;
  /// Somebody has made it start again with what could still be read (R11): what it has acknowledged
  /// may be gone, so it takes up no seat, until a loss was accepted or it got a new one. The wiring
  /// has no way to do so; the simulated operator has.
  bool repaired = false;
};

/// One copy of one shard: follower, learner, candidate or primary. A pure state machine, a value:
/// an event and the time go in, actions come out, to be done in their order. It knows no sockets,
/// clocks, files or threads, and one copy's machine belongs to one thread at a time.
///
///     follower --(promise passed, compare-and-set won; R6, R11, R12)--> fencing
///     fencing  --(max_epoch on disk; R1)--------------------------------> primary
///     primary  --(no-op committed; R8)----------------------------------> primary, serving
///     any      --(a higher epoch, or the key names another; R9)---------> follower
///
/// Nothing of a copy is safe from an operator's decision (R11): an accepted loss makes one copy the
/// truth, and every other copy from before it that knows of more is rebuilt.
///
/// Which rule stands where: R1, R2, R7 (giving) `replica_follower.cpp`; R3, R7 (taking), R8, R9
/// `replica_primary.cpp`; R4, R5, R6, R11 `replica_membership.cpp`; R10 `replica_catch_up.cpp`; R12
/// `replica_move.cpp`.
class replica {
public:
  enum class standing : std::uint8_t { follower, fencing, primary };

  /// Promises what an earlier life may have promised (R7).
  replica(replication_options options, member self, recovered_copy found, moment now);

  /// Handles one event. `now` never goes back. What is to be done takes the place of what is in
  /// `actions`.
  void step(const replica_event& what, moment now, std::vector<replica_action>& actions);
  [[nodiscard]] std::vector<replica_action> step(const replica_event& what, moment now);

  [[nodiscard]] member self() const { return self_; }
  [[nodiscard]] standing stands() const { return stands_; }
  [[nodiscard]] bool serves() const { return serving_; }
  /// Of the reign as primary; 0 for others.
  [[nodiscard]] epoch_t reign() const { return stands_ == standing::primary ? reign_ : 0; }
  [[nodiscard]] epoch_t max_epoch() const { return max_epoch_; }
  [[nodiscard]] lsn_t commit_lsn() const { return commit_lsn_; }
  [[nodiscard]] const replica_log& log() const { return log_; }
  [[nodiscard]] const authority& known() const { return known_; }
  [[nodiscard]] bool is_member() const { return known_.lists(self_); }
  [[nodiscard]] bool incomplete() const { return incomplete_; }
  [[nodiscard]] bool repaired() const { return repaired_; }
  /// Whether the authority key, as far as it is known here, names this node at all: a copy that it
  /// does not name may be deleted after a while.
  [[nodiscard]] bool is_known() const { return known_.knows(self_.node); }
  /// R7: whether a value that was read before now may be given out.
  [[nodiscard]] bool may_read(moment now) const;
  /// What a client_write behind `before` others would be answered now: ok, unavailable, no_replicas
  /// or overloaded.
  [[nodiscard]] op_code may_write(std::size_t before = 0) const;

private:
  struct waiting_write {
    std::uint64_t token = 0;
    lsn_t lsn = 0;
  };
  struct waiting_read {
    std::uint64_t token;
    lsn_t depends_on;
  };
  struct planned_move {
    node_id target;
    bool leave;
    moment began;
  };
  enum class rebuilding : std::uint8_t { no, marking, drawing, fetching, installing };

  // Actions
  template <class Action>
  void act(Action&& what) {
    actions_->emplace_back(std::forward<Action>(what));
  }
  void send(node_id to, decltype(message::body) body);
  std::uint64_t write(wal_piece what);
  void write_records(log_run records);
  void cut_from(lsn_t lsn);
  void broken(std::string what);

  // R1, R2, R7: replica_follower.cpp
  void raise_fence(epoch_t epoch);
  [[nodiscard]] bool fenced() const;
  void on(const message& from, const append& m);
  void accept(const message& from, const append& m);
  enum class taken : std::uint8_t { nothing_new, written, refused };
  taken take_records(const append& m);
  void acknowledge(node_id to, moment sent_at);
  void acknowledge_at_last();
  void commit_up_to(lsn_t lsn);
  void tell_durable();

  // R3, R7, R8, R9: replica_primary.cpp
  void begin_reign();
  void begin_serving();
  void step_down();
  void on(const message& from, const append_ack& m);
  void on(const message& from, const append_nack& m);
  void on(const event::client_writes& e);
  void send_logged();
  void send_gathered();
  [[nodiscard]] log_run records_behind(lsn_t lsn, std::size_t count_max);
  void on(const event::client_read& e);
  void send_append(node_id to, peer& p);
  void send_append(node_id to, peer& p, std::size_t count_max);
  void send_heartbeat(node_id to, peer& p);
  /// What comes behind what was sent, in as many Appends as that takes: up to a window of it, as a
  /// copy without a seat may lack far more.
  void send_rest(node_id to, peer& p);
  void send_appends();
  [[nodiscard]] bool waits_for(ack_level level) const;
  [[nodiscard]] peer* peer_of(member who);
  void advance();
  void answer_waiting(lsn_t held_at_own);
  /// min_isr gates answers, never membership.
  [[nodiscard]] bool has_min_isr() const;
  /// The LSN that every member of the ack set has appended, or synced.
  [[nodiscard]] lsn_t held_by_all(bool synced) const;
  [[nodiscard]] lsn_t held_at(ack_level level) const;

  // R4, R5, R6, R11: replica_membership.cpp
  [[nodiscard]] moment patience(unsigned unanswered) const;
  void ask_authority();
  void propose(authority_change::purpose why, authority value);
  void retry_change();
  void on(const event::authority_read& e);
  void on(const event::compare_failed& e);
  void obey_authority();
  void change_members();
  [[nodiscard]] bool may_join(const peer& p) const;
  void try_take_over();
  void try_claim();
  [[nodiscard]] bool somebody_has_more() const;
  void on(const event::accept_loss& e);
  void on(const event::members_wanted& e);
  void on(const event::min_isr_wanted& e);
  void on(const event::node_gone& e);
  [[nodiscard]] bool is_as_wanted() const;
  [[nodiscard]] bool is_wanted(node_id node) const;
  /// Takes a node's seat in a value to be proposed; it may join again.
  void drop(authority& from, member who) const;
  void place(authority& next);
  [[nodiscard]] authority alone() const;
  [[nodiscard]] node_id readiest() const;

  // R10: replica_catch_up.cpp
  void seek_primary();
  void on(const message& from, const join& m);
  void on(const message& from, const rebuild& m);
  void on(const message& from, const checkpoint_request& m);
  void on(const message& from, const release& m);
  void on(const event::boot_drawn& e);
  void on(const event::checkpoint_coming& e);
  void on(const event::checkpoint_received& e);
  [[nodiscard]] lsn_t pinned() const;
  void on(const event::checkpoint_published& e);
  void on(const event::log_read& e);
  void on(const event::copy_damaged& e);
  void begin_rebuilding();
  void go_on_rebuilding();

  // R12: replica_move.cpp
  void on(const event::move_requested& e);
  void go_on_moving();

  void on(const event::tick& e);
  void on(const event::received& e);
  void on(const event::wal_synced& e);
  void on(const event::authority_doorbell& e);
  void on(const event::nodes_seen& e);

  replication_options options_;
  member self_;
  moment now_ = 0;
  std::vector<replica_action>* actions_ = nullptr; ///< of the step that runs

  // The copy
  epoch_t max_epoch_ = 0;
  std::uint64_t fence_position_ = 0; ///< in the write-ahead log, of max_epoch_
  std::uint64_t wal_end_ = 0, wal_synced_ = 0;
  replica_log log_;
  lsn_t commit_lsn_ = 0;
  bool incomplete_ = false, repaired_ = false;
  boot_id stopped_boot_;

  // What etcd is known to say
  authority known_;
  std::uint64_t known_revision_ = 0;
  std::optional<authority_change> change_;
  bool read_wanted_ = true;
  std::optional<moment> read_asked_at_;
  unsigned reads_unanswered_ = 0;
  moment known_at_ = 0; ///< of the last answer
  std::vector<member> live_nodes_;
  bool nodes_known_ = false;
  std::optional<std::vector<node_id>> wanted_;

  // Follower
  standing stands_ = standing::follower;
  lease_promise promise_;
  moment heard_at_ = 0;         ///< from a primary
  std::optional<message> held_; ///< an Append that waits for the fence
  node_id primary_heard_;
  epoch_t proved_epoch_ = 0; ///< of the primary that proved_lsn_ was proved by
  lsn_t proved_lsn_ = 0, told_durable_ = 0;
  struct owed_ack {
    node_id to;
    moment sent_at; ///< of the last Append
    moment since;   ///< it is owed
  };
  std::optional<owed_ack> owed_; ///< waits for a sync, to tell of that as well
  bool durable_wanted_ = false;  ///< by the primary, at once
  moment joined_at_ = 0;
  std::map<node_id, std::pair<join, moment>> others_; ///< copies without a seat, as they said hello

  // Rebuilding a copy
  rebuilding rebuilding_ = rebuilding::no;
  std::uint64_t rebuild_position_ = 0;
  moment checkpoint_asked_at_ = 0;
  std::size_t checkpoint_turn_ = 0;
  lsn_t pins_ = 0; ///< the end of the checkpoint that is arriving

  // Primary
  epoch_t reign_ = 0;
  bool serving_ = false;
  lsn_t no_op_lsn_ = 0;
  peer_table peers_;
  struct sent_records {
    lsn_t behind = 0;
    log_run records;
  };
  std::optional<sent_records> together_;      ///< while several members are sent the same
  std::array<ring<waiting_write>, 4> writes_; ///< by level; each by LSN
  std::vector<waiting_read> reads_;
  std::optional<planned_move> move_;
  bool reads_stopped_ = false;
};

} // namespace warp::cluster::replication
