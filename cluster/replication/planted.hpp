#pragma once

namespace warp::cluster::replication {

/// Known mistakes, to show that the simulator would see them (`tests/run planted cluster`). Outside
/// of the build for that, which defines WARP_PLANTED, planted() is false at compile time and
/// nothing is left of them.
enum class mistake : unsigned char {
  none,
  ack_before_append,      ///< R3: the primary's own log is enough
  ack_set_confirmed_only, ///< R4: a member that was proposed is not waited for
  ack_set_proposed_only,  ///< R4: a member that was proposed to leave is not waited for
  read_settles,           ///< R4: a read of the old revision settles a lost compare-and-set
  failed_compare_settles, ///< R4: "compare failed" settles it
  add_on_appended,        ///< R4: a member is added on what it has not synced
  lower_epoch_accepted,   ///< R1: no fence
  fence_not_synced,       ///< R1: acts in an epoch before max_epoch is on disk
  checkpoint_no_fence,    ///< R1: an installed checkpoint does not raise max_epoch
  ack_own_end,            ///< an Ack names the end of the acker's own log
  commit_own_end,         ///< R2: a replica applies up to the end of its own log
  truncate_always,        ///< R2: a late or shorter Append cuts the log
  no_match,               ///< R2: (prev_lsn, prev_epoch) is not compared
  candidate_grants,       ///< R6: a candidate grants while its compare-and-set is under way
  no_promise,             ///< R6: takes over while its own promise runs
  outsider_takes_over,    ///< R6: a node that is not in the set in etcd takes over
  lease_confirmed_only,   ///< R7: a member that was proposed need not grant
  lease_not_checked,      ///< R7: a primary believes in its role instead
  serve_early,            ///< R8: before the no-op is committed
  checkpoint_same_boot,   ///< R10: a copy that is set back keeps its boot
  any_boot_counts,        ///< R3: Acks of another boot count
  claim_at_replicated,    ///< R11: a seat is claimed though the level keeps nothing on disk
  loss_not_told,          ///< R11: a copy from before an accepted loss goes on as it was
  hand_over_reads,        ///< R12: reads go on while the switch-over is under way
  window_ignored,         ///< I12: what is in flight is not bounded
  pins_without_end,       ///< I12: what is kept for a checkpoint that arrives is not bounded
};

#ifdef WARP_PLANTED
extern mistake planted_mistake;
[[nodiscard]] inline bool planted(mistake m) noexcept {
  return planted_mistake == m;
}
#else
[[nodiscard]] constexpr bool planted(mistake) noexcept {
  return false;
}
#endif

} // namespace warp::cluster::replication
