#include "actors/metrics.hpp"

#include "actors/compute_metrics.hpp"
#include "actors/metric_family.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace warp::actors {

namespace {

using families = std::vector<prometheus::MetricFamily>;
using builder = family_builder;

double number(std::uint64_t n) {
  return static_cast<double>(n);
}
double seconds(std::uint64_t ms) {
  return static_cast<double>(ms) / 1e3;
}

std::vector<storage::shard_stats> stats_of_shards(const storage::engine& engine) {
  std::vector<storage::shard_stats> all;
  all.reserve(engine.shard_count());
  for (std::uint32_t i = 0; i < engine.shard_count(); ++i) all.push_back(engine.stats(shard_id{i}));
  return all;
}

/// Sum of a member over the shards.
template <class Member>
double sum(const std::vector<storage::shard_stats>& shards, Member member) {
  std::uint64_t total = 0;
  for (auto& s : shards) total += std::invoke(member, s);
  return number(total);
}

void add_operations(families& out, const std::vector<storage::shard_stats>& shards) {
  using stats = storage::shard_stats;
  out.push_back(builder::counter("warp_operations_total", "Operations executed, by kind.")
                    .value(sum(shards, &stats::gets), {{"operation", "get"}})
                    .value(sum(shards, &stats::puts), {{"operation", "put"}})
                    .value(sum(shards, &stats::erases), {{"operation", "erase"}})
                    .value(sum(shards, &stats::other_ops), {{"operation", "other"}})
                    .done());
  out.push_back(builder::counter("warp_get_hits_total", "Gets that found their key.")
                    .value(sum(shards, &stats::get_hits))
                    .done());
  out.push_back(builder::counter("warp_read_bytes_total", "Bytes of keys and values read.")
                    .value(sum(shards, &stats::bytes_read))
                    .done());
  out.push_back(builder::counter("warp_written_bytes_total", "Bytes of keys and values written.")
                    .value(sum(shards, &stats::bytes_written))
                    .done());
  auto per_shard = builder::counter("warp_shard_ops_total", "Operations executed, by shard.");
  for (std::size_t i = 0; i < shards.size(); ++i) {
    auto& s = shards[i];
    per_shard.value(number(s.gets + s.puts + s.erases + s.other_ops),
                    {{"shard", std::to_string(i)}});
  }
  out.push_back(per_shard.done());
  storage::latency_histogram reads, writes;
  for (auto& s : shards) {
    merge(reads, s.read_latency);
    merge(writes, s.write_latency);
  }
  out.push_back(
      builder::histogram("warp_operation_seconds", "Time inside the engine of sampled operations.")
          .durations(reads, {{"operation", "read"}})
          .durations(writes, {{"operation", "write"}})
          .done());
}

void add_memory(families& out, const std::vector<storage::shard_stats>& shards) {
  using stats = storage::shard_stats;
  auto of_table = [&](auto member) {
    return sum(shards, [member](const stats& s) { return s.table.*member; });
  };
  using table = storage::table_stats;
  auto per_shard = builder::gauge("warp_shard_keys", "Keys present, by shard.");
  for (std::size_t i = 0; i < shards.size(); ++i)
    per_shard.value(number(shards[i].table.keys), {{"shard", std::to_string(i)}});
  out.push_back(per_shard.done());
  out.push_back(builder::gauge("warp_keys", "Keys present.").value(of_table(&table::keys)).done());
  out.push_back(builder::gauge("warp_expiring_keys", "Keys with an expiry.")
                    .value(of_table(&table::expiring_keys))
                    .done());
  out.push_back(builder::counter("warp_expired_keys_total", "Keys removed by expiry.")
                    .value(sum(shards, &stats::expired))
                    .done());
  out.push_back(builder::gauge("warp_data_bytes", "Bytes of the keys and values present.")
                    .value(of_table(&table::key_bytes), {{"part", "key"}})
                    .value(of_table(&table::value_bytes), {{"part", "value"}})
                    .done());
  out.push_back(builder::gauge("warp_table_memory_bytes", "Memory allocated for the tables.")
                    .value(of_table(&table::record_bytes), {{"part", "record"}})
                    .value(of_table(&table::index_bytes), {{"part", "index"}})
                    .done());
}

void add_memory_limit(families& out, const storage::engine& engine,
                      const std::vector<storage::shard_stats>& shards) {
  out.push_back(
      builder::gauge("warp_memory_max_bytes", "Limit of the tables' memory (storage.max_memory).")
          .value(number(engine.options().max_memory_bytes))
          .done());
  out.push_back(builder::counter("warp_memory_refusals_total",
                                 "Writes refused because the memory limit was reached.")
                    .value(sum(shards, &storage::shard_stats::memory_refusals))
                    .done());
}

void add_log(families& out, const storage::engine& engine,
             const std::vector<storage::shard_stats>& shards) {
  using stats = storage::shard_stats;
  out.push_back(builder::counter("warp_wal_records_total", "Records logged.")
                    .value(sum(shards, &stats::log_records))
                    .done());
  out.push_back(builder::counter("warp_wal_record_bytes_total", "Bytes of the records logged.")
                    .value(sum(shards, &stats::log_bytes))
                    .done());
  out.push_back(
      builder::counter("warp_write_stalls_total", "Writes that waited for room in the log.")
          .value(sum(shards, &stats::stalls))
          .done());
  std::uint64_t lag_records = 0, lag_ms = 0;
  for (auto& s : shards) {
    lag_records += s.last_lsn - std::min(s.last_lsn, s.durable_lsn);
    lag_ms = std::max(lag_ms, s.durable_lag_ms);
  }
  out.push_back(builder::gauge("warp_durable_lag_records", "Logged records not on disk yet.")
                    .value(number(lag_records))
                    .done());
  out.push_back(builder::gauge("warp_durable_lag_seconds",
                               "Age of the oldest logged record that is not on disk yet.")
                    .value(seconds(lag_ms))
                    .done());

  auto rounds = builder::counter("warp_wal_rounds_total", "Group commits.");
  auto frames = builder::counter("warp_wal_frames_total", "Frames written.");
  auto bytes = builder::counter("warp_wal_written_bytes_total", "Bytes written to the log.");
  auto syncs = builder::counter("warp_wal_syncs_total", "Syncs of log files.");
  auto created = builder::counter("warp_wal_segments_created_total", "Segment files created.");
  auto recycled =
      builder::counter("warp_wal_segments_recycled_total", "Segment files used once more.");
  auto waits = builder::counter("warp_wal_segment_waits_total",
                                "Full segments whose successor was not there in time.");
  auto direct = builder::gauge("warp_wal_direct_io",
                               "Whether the log is written past the page cache (1) or not (0).");
  auto kept = builder::gauge("warp_wal_segments", "Segment files kept.");
  auto size = builder::gauge("warp_wal_segment_bytes", "Size of the segment files kept.");
  auto failed =
      builder::gauge("warp_wal_failed", "Whether the stream refuses writes (1) or not (0).");
  auto full = builder::gauge("warp_wal_no_space",
                             "Whether the stream waits for disk space (1) or not (0).");
  auto failures = builder::counter("warp_wal_failures_total",
                                   "Times the stream failed: a write or sync was refused.");
  auto revivals = builder::counter("warp_wal_new_chains_total",
                                   "Times the stream wrote again after a failure.");
  auto writing = builder::histogram("warp_wal_write_seconds", "Duration of log writes.");
  auto syncing = builder::histogram("warp_wal_sync_seconds", "Duration of log syncs.");
  for (std::uint32_t i = 0; i < engine.stream_count(); ++i) {
    const auto s = engine.stats_of_stream(i);
    const metric_labels label{{"stream", std::to_string(i)}};
    rounds.value(number(s.rounds), label);
    frames.value(number(s.frames), label);
    bytes.value(number(s.bytes), label);
    syncs.value(number(s.syncs), label);
    created.value(number(s.segments_created), label);
    recycled.value(number(s.segments_recycled), label);
    waits.value(number(s.segment_waits), label);
    direct.value(s.direct ? 1 : 0, label);
    kept.value(number(s.segments), label);
    size.value(number(s.segment_bytes), label);
    failed.value(s.failed ? 1 : 0, label);
    full.value(s.no_space ? 1 : 0, label);
    failures.value(number(s.failures), label);
    revivals.value(number(s.revivals), label);
    writing.durations(s.write_latency, label);
    syncing.durations(s.sync_latency, label);
  }
  for (auto* b : {&rounds, &frames, &bytes, &syncs, &created, &recycled, &waits, &direct, &kept,
                  &size, &failed, &full, &failures, &revivals, &writing, &syncing})
    out.push_back(b->done());
  const auto log = engine.stats_of_log();
  out.push_back(builder::gauge("warp_wal_disk_bytes", "Size of all log files, spare ones included.")
                    .value(number(log.bytes))
                    .done());
  out.push_back(
      builder::gauge("warp_wal_disk_max_bytes", "Limit of the log files (storage.wal_max).")
          .value(number(engine.options().wal_max_bytes))
          .done());
  out.push_back(builder::counter("warp_wal_mend_failures_total",
                                 "Attempts to mend a failed log that came to nothing.")
                    .value(number(log.mend_failures))
                    .done());
  out.push_back(builder::counter("warp_wal_limit_pauses_total",
                                 "Times that writers paused because the log was at its limit.")
                    .value(number(log.pauses))
                    .done());
  out.push_back(builder::counter("warp_wal_limit_paused_seconds_total",
                                 "Time that writers paused because the log was at its limit.")
                    .value(seconds(log.paused_ms))
                    .done());
}

void add_watches(families& out, const storage::watch_stats& s) {
  out.push_back(builder::gauge("warp_watch_watches", "Watches of keys and prefixes.")
                    .value(number(s.watches))
                    .done());
  out.push_back(builder::gauge("warp_watch_catching_up",
                               "Watches that are told of the past before they are told of changes.")
                    .value(number(s.catching_up))
                    .done());
  out.push_back(builder::gauge("warp_watch_queued_bytes", "Events that nobody has taken yet.")
                    .value(number(s.queued_bytes))
                    .done());
  out.push_back(builder::counter("warp_watch_events_total", "Events, once per watch that is told.")
                    .value(number(s.events))
                    .done());
  out.push_back(builder::counter("warp_watch_lagged_total",
                                 "Times a watch was too slow and went on from the log.")
                    .value(number(s.lagged))
                    .done());
  out.push_back(builder::counter("warp_watch_lost_total",
                                 "Times a watch was told the state of a shard for its changes.")
                    .value(number(s.lost))
                    .done());
  out.push_back(builder::counter("warp_watch_tap_overflows_total",
                                 "Times writers were too fast for what carries their changes.")
                    .value(number(s.overflows))
                    .done());
}

void add_checkpoints(families& out, const node& n,
                     const std::vector<storage::shard_stats>& shards) {
  using stats = storage::shard_stats;
  const storage::system_clock system;
  const auto* time = n.engine->options().time.get();
  const auto now_ms = time ? time->now_ms() : system.now_ms();
  std::uint64_t oldest_ms = 0, longest_ms = 0;
  for (auto& s : shards) {
    if (s.checkpoint_lsn == 0) continue;
    oldest_ms = std::max(oldest_ms, now_ms - std::min(now_ms, s.checkpoint_at_ms));
    longest_ms = std::max(longest_ms, s.checkpoint_duration_ms);
  }
  out.push_back(builder::counter("warp_checkpoints_total", "Checkpoints of shards written.")
                    .value(sum(shards, &stats::checkpoints))
                    .done());
  out.push_back(builder::counter("warp_checkpoint_failures_total", "Checkpoints that failed.")
                    .value(number(n.checkpoints.failures()))
                    .done());
  const auto scrubbed = n.scrubs ? n.scrubs->status() : scrub_status{};
  out.push_back(builder::counter("warp_scrub_bytes_total", "Bytes at rest that were checked.")
                    .value(number(scrubbed.bytes))
                    .done());
  out.push_back(builder::counter("warp_scrub_files_total", "Files at rest that were checked.")
                    .value(number(scrubbed.files))
                    .done());
  out.push_back(builder::gauge("warp_scrub_findings",
                               "Damaged places at rest that the last check of everything found.")
                    .value(number(scrubbed.last.findings.size()))
                    .done());
  out.push_back(builder::gauge("warp_scrub_finished_timestamp_seconds",
                               "When the last check of everything at rest ended; 0: none has.")
                    .value(seconds(scrubbed.finished_at_ms))
                    .done());
  out.push_back(builder::gauge("warp_checkpoint_age_seconds",
                               "Age of the newest checkpoint of the shard where it is oldest.")
                    .value(seconds(oldest_ms))
                    .done());
  out.push_back(builder::gauge("warp_checkpoint_duration_seconds",
                               "Duration of the slowest shard's newest checkpoint.")
                    .value(seconds(longest_ms))
                    .done());
  out.push_back(builder::gauge("warp_checkpoint_bytes", "Size of the newest checkpoints.")
                    .value(sum(shards, &stats::checkpoint_bytes))
                    .done());
}

void add_backups(families& out, const node& n) {
  const auto c = n.backups.counters();
  out.push_back(
      builder::counter("warp_backups_total", "Backups made.").value(number(c.made)).done());
  out.push_back(builder::counter("warp_backup_failures_total", "Backups that failed.")
                    .value(number(c.failed))
                    .done());
  out.push_back(builder::gauge("warp_backup_last_timestamp_seconds",
                               "When the newest backup was taken, since 1970; 0: not known.")
                    .value(static_cast<double>(c.last_us) / 1e6)
                    .done());
  out.push_back(builder::gauge("warp_backup_last_bytes", "Size of the newest backup.")
                    .value(number(c.last_bytes))
                    .done());
  out.push_back(builder::gauge("warp_backup_last_new_bytes",
                               "What the newest backup added to its repository.")
                    .value(number(c.last_new_bytes))
                    .done());
  out.push_back(builder::gauge("warp_backup_interval_seconds",
                               "How often backups are due (backup.interval); 0: never.")
                    .value(static_cast<double>(n.backups.schedule().interval.count()))
                    .done());
}

void add_recovery(families& out, const storage::recovery_report& r) {
  out.push_back(builder::gauge("warp_recovery_records", "Records the last start read, by source.")
                    .value(number(r.checkpoint_records), {{"source", "checkpoint"}})
                    .value(number(r.log_records), {{"source", "log"}})
                    .done());
  out.push_back(builder::gauge("warp_recovery_log_bytes", "Log the last start read.")
                    .value(number(r.log_bytes))
                    .done());
  out.push_back(builder::gauge("warp_recovery_duration_seconds", "Duration of the last recovery.")
                    .value(seconds(r.duration_ms))
                    .done());
  out.push_back(builder::gauge("warp_recovery_clean",
                               "Whether the stop before the last start was clean (1) or not (0).")
                    .value(r.clean ? 1 : 0)
                    .done());
  out.push_back(builder::gauge("warp_recovery_torn_bytes", "Unfinished log that was cut off.")
                    .value(number(r.torn_bytes))
                    .done());
  out.push_back(builder::gauge("warp_recovery_warnings", "Warnings of the last recovery.")
                    .value(number(r.warnings.size()))
                    .done());
}

/// "universe/storage/shard-17" counts as "universe/storage/shard": siblings of a kind share a
/// label.
std::string kind_of(const std::string& path) {
  const auto end = path.find_last_not_of("0123456789");
  const bool numbered = end + 1 < path.size() && path[end] == '-';
  return numbered ? path.substr(0, end) : path;
}

void add_actors(families& out, const node& n) {
  std::map<std::string, std::uint64_t> restarts;
  std::map<node_state, std::uint64_t> states;
  for (auto& member : n.registry->snapshot()) {
    restarts[kind_of(member.path)] += member.restarts;
    ++states[member.state];
  }
  auto restarted = builder::counter("warp_actor_restarts_total", "Restarts, by kind of actor.");
  for (auto& [kind, count] : restarts) restarted.value(number(count), {{"actor", kind}});
  out.push_back(restarted.done());
  auto living = builder::gauge("warp_actors", "Members of the supervision tree, by state.");
  for (auto& [state, count] : states)
    living.value(number(count), {{"state", std::string{to_string(state)}}});
  out.push_back(living.done());
  out.push_back(builder::counter("warp_actor_turns_total", "Turns of the periodic actors.")
                    .value(number(n.writer_turns), {{"actor", "wal-writer"}})
                    .value(number(n.upkeep_turns), {{"actor", "upkeep"}})
                    .done());
}

void add_physics(families& out, const live_physics& physics) {
  const auto r = physics.report();
  const auto tier = [](physics_tier t) { return static_cast<double>(t); };
  out.push_back(builder::gauge("warp_physics_tier", "Physics tier in force, 0 to 3.")
                    .value(tier(r.tier))
                    .done());
  out.push_back(builder::gauge("warp_physics_tier_wanted",
                               "Physics tier that was ordered; above the one in force while "
                               "observing costs too much.")
                    .value(tier(r.wanted))
                    .done());
  out.push_back(builder::counter("warp_physics_steps_down_total",
                                 "Times the physics tier stepped down by itself.")
                    .value(number(r.steps_down))
                    .done());
  out.push_back(builder::counter("warp_physics_samples_total", "Accesses sampled.")
                    .value(number(r.samples))
                    .done());
  out.push_back(
      builder::counter("warp_physics_samples_dropped_total", "Samples for which there was no room.")
          .value(number(r.dropped))
          .done());
  out.push_back(builder::counter("warp_physics_cpu_seconds_total",
                                 "Processor time of the thread that learns.")
                    .value(r.cpu_s)
                    .done());
  out.push_back(builder::gauge("warp_physics_keys", "Keys whose partners are known.")
                    .value(number(r.keys))
                    .done());
  out.push_back(builder::gauge("warp_physics_saved_bytes", "Size of what was learned, as saved.")
                    .value(number(r.saved_bytes))
                    .done());
  if (!r.horizon.curve.empty()) {
    auto misses = builder::gauge("warp_horizon_miss_ratio",
                                 "Part of the reads that would miss if only this share of the "
                                 "bytes were kept in memory: an estimate, nothing is demoted.");
    for (const auto& p : r.horizon.curve)
      misses.value(p.miss_ratio, {{"share", fmt::format("{}", p.share)}});
    out.push_back(misses.done());
  }
  out.push_back(builder::gauge("warp_horizon_keys_one_in",
                               "One key in so many has its every access sampled; 0: none.")
                    .value(r.horizon.keys_one_in)
                    .done());
  const auto entropy = physics.entropy();
  const auto shards = physics.shards();
  if (!entropy || !shards) return; // below T2
  const auto& [accesses, bytes] = std::pair{entropy->accesses, entropy->bytes};
  out.push_back(builder::gauge("warp_load_evenness_ratio",
                               "Entropy of the shards' load over its maximum; 1: all the same.")
                    .value(accesses.evenness, {{"load", "accesses"}})
                    .value(bytes.evenness, {{"load", "bytes"}})
                    .done());
  out.push_back(builder::gauge("warp_load_entropy_bits", "Entropy of the shards' load.")
                    .value(accesses.entropy_bits, {{"load", "accesses"}})
                    .value(bytes.entropy_bits, {{"load", "bytes"}})
                    .done());
  out.push_back(builder::gauge("warp_load_max_over_mean_ratio",
                               "Load of the busiest shard as a multiple of the mean.")
                    .value(accesses.max_over_mean, {{"load", "accesses"}})
                    .value(bytes.max_over_mean, {{"load", "bytes"}})
                    .done());
  auto rate = builder::gauge("warp_shard_accesses_per_second",
                             "Accesses of a shard, decayed with a half-life of 300 s.");
  auto mass = builder::gauge("warp_shard_mass_kib_per_second",
                             "Mass of a shard: accesses a second times their size.");
  for (const auto& s : *shards) {
    const metric_labels of{{"shard", std::to_string(s.shard.value)}};
    rate.value(s.accesses_per_s, of);
    mass.value(s.mass, of);
  }
  out.push_back(rate.done());
  out.push_back(mass.done());
}

void add_services(families& out, const node& n) {
  auto up = builder::gauge("warp_service_up", "Whether the service answers (1) or not (0).");
  std::vector<metric> metrics;
  for (auto& slot : n.services.all()) {
    up.value(slot->get().health().ok() ? 1 : 0, {{"service", slot->get().name()}});
    slot->get().collect(metrics);
  }
  out.push_back(up.done());
  append(out, metrics);
}

} // namespace

std::vector<prometheus::MetricFamily> node_metrics::Collect() const {
  families out;
  out.push_back(builder::gauge("warp_build_info", "Always 1; the labels say what runs.")
                    .value(1, {{"version", WARP_VERSION}, {"compiler", __VERSION__}})
                    .done());
  const auto shards = stats_of_shards(*node_.engine);
  add_operations(out, shards);
  add_memory(out, shards);
  add_memory_limit(out, *node_.engine, shards);
  add_log(out, *node_.engine, shards);
  add_watches(out, node_.engine->stats_of_watches());
  add_checkpoints(out, node_, shards);
  add_backups(out, node_);
  add_recovery(out, node_.engine->recovery());
  add_actors(out, node_);
  add_physics(out, *node_.physics);
  add_compute_metrics(out, *node_.compute);
  add_services(out, node_);
  return out;
}

} // namespace warp::actors
