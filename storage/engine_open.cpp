// From a folder to an engine, and back.

#include "storage/cpu_list.hpp"
#include "storage/engine_state.hpp"
#include "storage/no_memory.hpp"
#include "storage/recovery.hpp"

#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <new>
#include <thread>

namespace warp::storage {

namespace {

op_status check(const engine_options& o) {
  const auto bad = [](std::string why) {
    return op_status{op_code::invalid_argument, std::move(why)};
  };
  if (o.shard_count > shard_count_max ||
      (o.shard_count != 0 && !std::has_single_bit(o.shard_count)))
    return bad(fmt::format("the number of shards must be a power of two up to {}, not {}",
                           shard_count_max, o.shard_count));
  if (o.value_bytes_max > value_size_hard_max)
    return bad(fmt::format("the longest value can be at most {} bytes, not {}", value_size_hard_max,
                           o.value_bytes_max));
  if (auto cpus = parse_cpu_list(o.wal_cpus); !cpus) return cpus.status();
  if (o.replicated && o.folder.empty())
    return bad("a replicated universe needs a data folder: its copies are told apart by what is on "
               "disk");
  if (o.folder.empty()) return {};
  if (o.segment_bytes < 64 * 1024 || o.segment_bytes % 4096 != 0)
    return bad(
        fmt::format("a log segment needs at least 65,536 bytes and a multiple of 4,096, not {}",
                    o.segment_bytes));
  if (o.wal_max_bytes < 4 * o.segment_bytes)
    return bad(fmt::format("the log limit ({} bytes) must allow at least four segments of {} bytes",
                           o.wal_max_bytes, o.segment_bytes));
  if (o.default_level > durability::sync)
    return bad("the default durability of a single node is memory, async or sync");
  if (o.checkpoints_kept == 0) return bad("at least one checkpoint of each shard must be kept");
  return {};
}

std::uint32_t default_streams() {
  const auto cores = std::max(1u, std::thread::hardware_concurrency());
  return cores <= 4 ? 1 : std::min(8u, cores / 4);
}

/// At this much log writers pause, see engine.hpp.
std::uint64_t pause_bytes(const engine_options& o) {
  const auto on_its_way = o.wal_streams * (o.log_buffer_bytes + 3 * o.segment_bytes);
  const auto half = o.wal_max_bytes / 2;
  return on_its_way < half ? o.wal_max_bytes - on_its_way : half;
}

/// Old segments worth keeping: half of the log may come free at once, when the last shard that
/// needs it has its checkpoint. Those that stay idle are dropped later.
std::uint32_t spares(const engine_options& o) {
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(o.wal_max_bytes / o.segment_bytes / 2, 1, 10'000));
}

} // namespace

engine::engine(std::unique_ptr<state> s) : state_(std::move(s)) {}
engine::~engine() {
  if (state_->watches) state_->watches->close(); // watches may outlive the engine
}

op_result<std::unique_ptr<engine>> engine::open(engine_options options) {
  return unless_no_memory("start", [&] { return open_state(std::move(options)); });
}

op_result<std::unique_ptr<engine>> engine::open_state(engine_options options) {
  if (auto status = check(options); !status.ok()) return status;
  auto s = std::make_unique<state>();
  s->options = std::move(options);
  s->time = s->options.time ? s->options.time : std::make_shared<system_clock>();
  s->files = s->options.files ? s->options.files : &posix_file_system();
  try {
    s->memory = std::make_shared<table_memory>(s->options.table_pages);
  } catch (const std::bad_alloc&) {
    return op_status{op_code::no_space,
                     "no addresses for the tables: the limit on address space (ulimit -v) is too "
                     "low"};
  }
  if (s->options.max_memory_bytes == 0) s->options.max_memory_bytes = default_memory_limit();
  auto status = s->options.folder.empty() ? open_in_memory(*s) : open_folder(*s);
  if (!status.ok()) return status;
  s->memory->budget.set_limit(s->options.max_memory_bytes, s->shard_count());
  for (auto& shard : s->shards)
    shard->settle_memory(); // what was found is there, whatever it takes
  s->slot_shift =
      static_cast<unsigned>(std::countr_zero(slot_count) - std::countr_zero(s->shard_count()));
  s->reads = std::make_unique<read_counters>(s->shard_count());
  s->observed = std::make_unique<observation>(s->options.observation);
  s->plain_gets = s->options.default_level < durability::sync;
  s->set_fast_way();
  open_watches(*s);
  return std::unique_ptr<engine>{new engine(std::move(s))};
}

op_status engine::open_in_memory(state& s) {
  if (s.options.shard_count == 0) s.options.shard_count = shard_count_default;
  s.options.default_level = s.level_max = durability::memory;
  for (std::uint32_t i = 0; i < s.options.shard_count; ++i)
    s.shards.push_back(std::make_unique<shard>(shard_id{i}, s.options, *s.time, s.memory));
  s.report.created = true;
  return {};
}

op_status engine::open_folder(state& s) {
  auto folder = data_folder::open(*s.files, s.options.folder, s.options.shard_count);
  if (!folder) return folder.status();
  s.folder = std::move(*folder);
  const auto count = s.options.shard_count = s.folder->shard_count();
  for (std::uint32_t i = 0; i < count; ++i) {
    s.shards.push_back(std::make_unique<shard>(shard_id{i}, s.options, *s.time, s.memory));
    s.checkpoints.push_back(std::make_unique<checkpoint_state>());
  }

  if (s.options.recovery_threads == 0)
    s.options.recovery_threads = std::max(1u, std::thread::hardware_concurrency());
  auto found = recover(*s.files, *s.folder, s.options, s.options.recovery_threads, s.shards);
  if (!found) return found.status();
  s.report = std::move(found->report);
  s.report.created = s.folder->created();

  // From here on the folder is ours to write.
  if (auto status = s.folder->start(); !status.ok()) return status;
  for (const auto& damaged : found->damaged)
    if (auto status = s.folder->put_aside(damaged.shard, damaged.sequence); !status.ok())
      return status;
  return open_log(s, *found);
}

op_status engine::open_log(state& s, recovered& found) {
  const auto count = s.shard_count();
  auto& options = s.options;
  if (options.wal_streams == 0) options.wal_streams = default_streams();
  options.wal_streams = std::min(options.wal_streams, count);

  auto direct = choose_direct_io(*s.files, s.folder->checkpoint_folder(), options.direct);
  if (!direct) return direct.status();
  s.direct_checkpoints = *direct;
  auto segments = segment_store::open({.files = s.files,
                                       .folder = s.folder->wal_path(),
                                       .universe = s.folder->universe(),
                                       .generation = s.folder->generation(),
                                       .start = s.folder->start_number(),
                                       .segment_bytes = options.segment_bytes,
                                       .spares_max = spares(options),
                                       .direct = options.direct,
                                       .pause_bytes = pause_bytes(options)},
                                      std::move(found.segments));
  if (!segments) return segments.status();
  s.segments = std::move(*segments);

  s.holds_log_for_backups = options.hold_log_for_backups;
  s.replica_starts.reserve(count); // borrowed from by the shards

  std::vector<std::vector<shard_log*>> logs_of_stream(options.wal_streams);
  for (std::uint32_t i = 0; i < count; ++i) {
    auto& shard = *s.shards[i];
    const auto& from = found.shards[i];
    s.logs.push_back(std::make_unique<shard_log>(shard.id(), shard.lock(), from.position));
    shard.attach(s.logs.back().get());
    const auto stream = i % options.wal_streams;
    s.stream_of_shard.push_back(stream);
    logs_of_stream[stream].push_back(s.logs.back().get());

    auto& kept = *s.checkpoints[i];
    kept.end_lsn = from.checkpoint.end_lsn;
    kept.bytes = from.checkpoint.bytes;
    kept.created_at_ms = from.checkpoint.created_at_ms;
    kept.log_records_recovered = from.log_records;
    // A checkpoint that handed out more LSNs than were logged may hold writes that were not.
    const auto& used = from.checkpoint;
    s.log_origins.push_back(
        {.last = from.position.last,
         .next = from.position.next,
         .exact = used.reserved_lsn <= std::max(used.end_lsn, from.position.last)});
    if (options.replicated) s.log_origins.back() = {.linked = true}; // LSNs are the replicas'
    // Without a record above the checkpoint there is nothing new to save.
    kept.covered_lsn = from.log_records == 0 ? from.position.next - 1 : from.checkpoint.start_lsn;
    if (!options.replicated) continue;
    if (from.log_records == 0) kept.covered_lsn = used.end_lsn;
    s.replica_starts.push_back({.applied = from.place,
                                .commit = from.commit,
                                .last = from.position.last,
                                .max_epoch = from.position.epoch});
    shard.replicate(&s.replica_starts.back().applied);
  }
  for (std::uint32_t stream = 0; stream < options.wal_streams; ++stream) {
    auto opened = wal_stream::open(*s.segments,
                                   {.stream = stream,
                                    .buffer_bytes = options.log_buffer_bytes,
                                    .flush_interval = options.flush_interval,
                                    .retry_min = options.log_retry_min,
                                    .retry_max = options.log_retry_max,
                                    .time = s.time.get(),
                                    .timestamp_us_min = found.timestamp_us,
                                    .on_round = [&s] { s.tell_listeners(); }},
                                   std::move(logs_of_stream[stream]));
    if (!opened) return opened.status();
    s.streams.push_back(std::move(*opened));
  }
  if (options.replicated) s.refusal.store(op_code::not_supported, std::memory_order_relaxed);
  return s.folder->log_opened();
}

void engine::refuse_writes() noexcept {
  state_->refusal.store(op_code::shutting_down, std::memory_order_relaxed);
  // A write that had passed the check holds its shard's lock until it is in the log.
  for (auto& s : state_->shards) std::lock_guard wait{s->lock()};
}

/// Of all streams, also when one fails; answers the first failure.
op_status engine::flush_streams() {
  op_status first_failure;
  for (auto& stream : state_->streams)
    if (auto status = stream->flush(); first_failure.ok()) first_failure = std::move(status);
  return first_failure;
}

op_status engine::close() {
  refuse_writes();
  return unless_no_memory("stop", [this] { return stop_log(); });
}

op_status engine::stop_log() {
  // All data of all streams first: an end mark says that nothing is missing anywhere.
  auto status = flush_streams();
  if (status == op_code::io_error && revive_streams().ok()) status = flush_streams();
  if (!status.ok()) return status;
  for (auto& stream : state_->streams)
    if (auto status = stream->close(); !status.ok()) return status;
  state_->watches->close();
  if (!state_->folder) return {};
  std::uint64_t reaches = 0;
  for (auto& s : state_->shards) {
    std::lock_guard hold{s->lock()};
    reaches += s->log()->last_appended();
  }
  // All is on disk: what cannot be said in the manifest is only not checked by the next start.
  static_cast<void>(state_->folder->log_closed(reaches));
  return {};
}

} // namespace warp::storage
