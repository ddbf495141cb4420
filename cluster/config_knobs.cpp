#include "cluster/config_knobs.hpp"

#include "cluster/config_units.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <type_traits>

namespace warp::cluster {

namespace {

constexpr std::string_view durability_names[] = {"memory", "async", "sync"};
constexpr std::string_view resp_durability_names[] = {"default", "memory",     "async",
                                                      "sync",    "replicated", "durable"};
constexpr std::string_view direct_io_names[] = {"auto", "on", "off"};
constexpr std::string_view huge_pages_names[] = {"auto", "always", "never"};
constexpr std::string_view level_names[] = {"trace", "debug", "info", "warn", "error"};
constexpr std::string_view tier_names[] = {"T0", "T1", "T2", "T3"};
constexpr std::string_view format_names[] = {"text", "json"};
constexpr std::string_view gpu_mode_names[] = {"auto", "off", "cpu"};

template <class T>
knob_value to_value(const T& field) {
  if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, bool>)
    return field;
  else if constexpr (std::is_same_v<T, durability>)
    return std::string(durability_names[static_cast<std::size_t>(field) -
                                        static_cast<std::size_t>(durability::memory)]);
  else if constexpr (std::is_same_v<T, storage::direct_io>)
    return std::string(direct_io_names[static_cast<std::size_t>(field)]);
  else if constexpr (std::is_same_v<T, storage::huge_pages>)
    return std::string(huge_pages_names[static_cast<std::size_t>(field)]);
  else if constexpr (std::is_integral_v<T>)
    return std::uint64_t{field};
  else
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(field).count());
}

template <class T>
void from_value(T& field, const knob_value& value) {
  if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, bool>)
    field = std::get<T>(value);
  else if constexpr (std::is_same_v<T, durability>) {
    const auto found = std::ranges::find(durability_names, std::get<std::string>(value));
    field = static_cast<durability>(static_cast<std::size_t>(durability::memory) +
                                    static_cast<std::size_t>(found - std::begin(durability_names)));
  } else if constexpr (std::is_same_v<T, storage::direct_io>) {
    const auto found = std::ranges::find(direct_io_names, std::get<std::string>(value));
    field = static_cast<storage::direct_io>(found - std::begin(direct_io_names));
  } else if constexpr (std::is_same_v<T, storage::huge_pages>) {
    const auto found = std::ranges::find(huge_pages_names, std::get<std::string>(value));
    field = static_cast<storage::huge_pages>(found - std::begin(huge_pages_names));
  } else if constexpr (std::is_integral_v<T>)
    field = static_cast<T>(std::get<std::uint64_t>(value));
  else
    field =
        std::chrono::duration_cast<T>(std::chrono::milliseconds(std::get<std::uint64_t>(value)));
}

/// Ties a row of the table to the field that it sets; Field: a captureless lambda from the
/// configuration to the field.
template <auto Field>
knob bind(knob k) {
  k.read = [](const server_config& c) { return to_value(Field(c)); };
  k.write = [](server_config& c, const knob_value& v) { from_value(Field(c), v); };
  return k;
}

#define WARP_FIELD(field)                                                                          \
  [](auto& c) -> auto& {                                                                           \
    return c.field;                                                                                \
  }

constexpr std::uint64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib, tib = 1024 * gib;
constexpr std::uint64_t second = 1'000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;

const std::vector<knob>& table() {
  using enum knob_kind;
  static const std::vector<knob> rows = {
      // -- storage --
      bind<WARP_FIELD(engine.folder)>(
          {.section = "storage",
           .key = "folder",
           .kind = text,
           .explanation = "Data folder; created when it is not there. One process at a time"}),
      bind<WARP_FIELD(memory_only)>(
          {.section = "storage",
           .key = "memory_only",
           .kind = yes_no,
           .explanation =
               "Keep everything in memory only: no data folder, no log, nothing survives a stop"}),
      bind<WARP_FIELD(engine.shard_count)>(
          {.section = "storage",
           .key = "shards",
           .kind = count,
           .explanation =
               "Partitions of the key space, a power of two; fixed when the data folder is created",
           .min = 1,
           .max = shard_count_max,
           .unit = "shards",
           .zero_means = "what the folder has, 64 for a new one"}),
      bind<WARP_FIELD(engine.wal_streams)>(
          {.section = "storage",
           .key = "wal_streams",
           .kind = count,
           .explanation = "Log streams (file chains with a writer each), at most one per shard; "
                          "may change at any start",
           .min = 1,
           .max = shard_count_max,
           .unit = "streams",
           .zero_means = "1 up to 4 cores, then cores / 4, at most 8"}),
      bind<WARP_FIELD(engine.segment_bytes)>({.section = "storage",
                                              .key = "segment_size",
                                              .kind = size,
                                              .explanation = "Size of one log file",
                                              .min = 64 * kib,
                                              .max = 4 * gib,
                                              .step = 4096}),
      bind<WARP_FIELD(engine.wal_max_bytes)>(
          {.section = "storage",
           .key = "wal_max",
           .kind = size,
           .explanation = "Log kept on disk at most; checkpoints are made to stay below it, and "
                          "writers pause when they can't follow",
           .min = mib,
           .max = 64 * tib}),
      bind<WARP_FIELD(engine.direct)>(
          {.section = "storage",
           .key = "direct_io",
           .kind = choice,
           .explanation = "Whether log and checkpoints pass the page cache; auto: where the file "
                          "system can, on: else the start fails",
           .choices = direct_io_names}),
      bind<WARP_FIELD(engine.table_pages)>(
          {.section = "storage",
           .key = "huge_pages",
           .kind = choice,
           .explanation = "When tables ask for memory in pages of 2 MiB; auto: once they are large "
                          "enough for it not to cost memory",
           .choices = huge_pages_names}),
      bind<WARP_FIELD(engine.wal_cpus)>(
          {.section = "storage",
           .key = "wal_cpus",
           .kind = text,
           .explanation = "CPUs that the log's writer threads run on, as in \"2,3\" or \"0-3\"",
           .zero_means = "wherever the system likes"}),
      bind<WARP_FIELD(engine.log_buffer_bytes)>(
          {.section = "storage",
           .key = "log_buffer",
           .kind = size,
           .explanation =
               "Unwritten log of one stream at most; a full buffer slows its writers down",
           .min = mib,
           .max = 16 * gib}),
      bind<WARP_FIELD(engine.write_stall_max)>(
          {.section = "storage",
           .key = "write_stall_max",
           .kind = duration,
           .explanation = "How long a write waits for room in the log before it answers overloaded",
           .min = 1,
           .max = hour}),
      bind<WARP_FIELD(engine.flush_interval)>(
          {.section = "storage",
           .key = "flush_interval",
           .kind = duration,
           .explanation = "An async write is on disk after this plus one write and sync; async "
                          "promises 100 ms",
           .min = 1,
           .max = minute}),
      bind<WARP_FIELD(engine.compress_min_bytes)>(
          {.section = "storage",
           .key = "compress_min",
           .kind = size,
           .explanation = "Values from this size are compressed for the log when that saves space",
           .min = 256,
           .max = tib}),
      bind<WARP_FIELD(engine.value_bytes_max)>({.section = "storage",
                                                .key = "value_max",
                                                .kind = size,
                                                .explanation = "Longest value that is accepted",
                                                .min = 1,
                                                .max = value_size_hard_max}),
      bind<WARP_FIELD(engine.default_level)>(
          {.section = "storage",
           .key = "durability",
           .kind = choice,
           .explanation = "What an acknowledged write is worth when it does not say: memory is "
                          "lost in a crash, async is on disk within "
                          "100 ms, sync is on disk before the answer",
           .choices = durability_names}),
      bind<WARP_FIELD(engine.checkpoint_interval)>(
          {.section = "storage",
           .key = "checkpoint_interval",
           .kind = duration,
           .explanation = "A changed shard is checkpointed at the latest after this",
           .min = second,
           .max = 30 * day,
           .step = second}),
      bind<WARP_FIELD(engine.checkpoint_log_records)>(
          {.section = "storage",
           .key = "checkpoint_records",
           .kind = count,
           .explanation = "Or when its log since then has passed this many records and the size of "
                          "its last checkpoint",
           .min = 1'000,
           .max = 1'000'000'000'000,
           .unit = "records"}),
      bind<WARP_FIELD(engine.checkpoint_rate_bytes)>(
          {.section = "storage",
           .key = "checkpoint_rate",
           .kind = size,
           .explanation = "Bytes a second that a checkpoint writes at most",
           .min = mib,
           .max = tib,
           .zero_means = "no limit"}),
      bind<WARP_FIELD(engine.checkpoints_kept)>(
          {.section = "storage",
           .key = "checkpoints_kept",
           .kind = count,
           .explanation = "Checkpoints of a shard that are kept",
           .min = 1,
           .max = 100,
           .unit = "checkpoints"}),
      bind<WARP_FIELD(engine.scrub_interval)>(
          {.section = "storage",
           .key = "scrub_interval",
           .kind = duration,
           .explanation = "Everything at rest is read and its checksums checked this often",
           .min = second,
           .max = 365 * day,
           .step = second,
           .zero_means = "only when asked for"}),
      bind<WARP_FIELD(engine.scrub_rate_bytes)>(
          {.section = "storage",
           .key = "scrub_rate",
           .kind = size,
           .explanation = "Bytes a second that this reads at most",
           .min = 64 * kib,
           .max = tib,
           .zero_means = "no limit"}),
      bind<WARP_FIELD(engine.max_memory_bytes)>(
          {.section = "storage",
           .key = "max_memory",
           .kind = size,
           .explanation = "Memory for keys, values and what the tables need beside them; at the "
                          "limit writes that need more are refused (no_space), all else goes on",
           .min = mib,
           .max = 64 * tib,
           .zero_means = "four fifths of the memory of the machine, or of the cgroup"}),
      bind<WARP_FIELD(engine.watch_buffer_bytes)>(
          {.section = "storage",
           .key = "watch_buffer",
           .kind = size,
           .explanation = "Events that one watch holds for a slow reader; beyond it they are read "
                          "from the log",
           .min = 4 * kib,
           .max = gib}),
      bind<WARP_FIELD(engine.watch_memory_bytes)>(
          {.section = "storage",
           .key = "watch_memory",
           .kind = size,
           .explanation = "The same of all watches together; beyond it each holds one event",
           .min = mib,
           .max = tib}),
      bind<WARP_FIELD(engine.watches_max)>({.section = "storage",
                                            .key = "watches_max",
                                            .kind = count,
                                            .explanation = "Watches at the same time",
                                            .min = 1,
                                            .max = 100'000'000,
                                            .unit = "watches"}),
      bind<WARP_FIELD(engine.recovery_threads)>(
          {.section = "storage",
           .key = "recovery_threads",
           .kind = count,
           .explanation = "Threads that read checkpoints and log at the start",
           .min = 1,
           .max = 1'024,
           .unit = "threads",
           .zero_means = "one per core"}),
      bind<WARP_FIELD(checkpoint_on_stop)>(
          {.section = "storage",
           .key = "checkpoint_on_stop",
           .kind = yes_no,
           .explanation = "Checkpoint what has changed when stopped by a signal, so that the next "
                          "start reads no log"}),
      // -- rpc --
      bind<WARP_FIELD(rpc.listen)>(
          {.section = "rpc",
           .key = "listen",
           .kind = address,
           .explanation = "Address of the Cap'n Proto port; port 0 takes a free one"}),
      bind<WARP_FIELD(rpc.threads)>({.section = "rpc",
                                     .key = "threads",
                                     .kind = count,
                                     .explanation = "I/O threads that serve clients",
                                     .min = 1,
                                     .max = 256,
                                     .unit = "threads",
                                     .zero_means = "1 up to 4 cores, then cores / 4, at most 16"}),
      bind<WARP_FIELD(rpc.cpus)>(
          {.section = "rpc",
           .key = "cpus",
           .kind = text,
           .explanation = "CPUs of the I/O threads, one each in turn, as in \"2,3\" or \"0-3\"",
           .zero_means = "wherever the system likes"}),
      bind<WARP_FIELD(rpc.connections_max)>(
          {.section = "rpc",
           .key = "connections_max",
           .kind = count,
           .explanation = "Clients connected at the same time; one more is refused",
           .min = 1,
           .max = 1'000'000,
           .unit = "connections"}),
      bind<WARP_FIELD(rpc.output_buffer_bytes)>(
          {.section = "rpc",
           .key = "output_buffer",
           .kind = size,
           .explanation =
               "Answers that a client may leave unread before its requests are not read any more",
           .min = 64 * kib,
           .max = 16 * gib}),
      bind<WARP_FIELD(rpc.output_stall_max)>(
          {.section = "rpc",
           .key = "output_stall_max",
           .kind = duration,
           .explanation =
               "And for how long nothing of them may get through before it is disconnected",
           .min = 100,
           .max = hour}),
      bind<WARP_FIELD(rpc.watches_max)>(
          {.section = "rpc",
           .key = "watches_max",
           .kind = count,
           .explanation = "Watches of one client; one more is refused",
           .min = 1,
           .max = 1'000'000,
           .unit = "watches"}),
      bind<WARP_FIELD(rpc.waiting_calls_max)>(
          {.section = "rpc",
           .key = "waiting_calls_max",
           .kind = count,
           .explanation =
               "Calls of one client that wait for the disk at the same time; one more is refused",
           .min = 1,
           .max = 1'000'000,
           .unit = "calls"}),
      bind<WARP_FIELD(rpc.login_max)>(
          {.section = "rpc",
           .key = "login_max",
           .kind = duration,
           .explanation = "A client that has not logged in after this time is disconnected",
           .min = 100,
           .max = hour}),
      bind<WARP_FIELD(rpc.durable_wait_max)>(
          {.section = "rpc",
           .key = "durable_wait_max",
           .kind = duration,
           .explanation = "How long a call without a deadline of its own waits for the disk",
           .min = 100,
           .max = hour}),
      bind<WARP_FIELD(rpc.drain_max)>(
          {.section = "rpc",
           .key = "drain_max",
           .kind = duration,
           .explanation = "At a stop, how long calls under way may take to end",
           .min = 1,
           .max = hour}),
      // -- resp --
      bind<WARP_FIELD(resp.listen)>(
          {.section = "resp",
           .key = "listen",
           .kind = address,
           .explanation = "Address of the port for Redis clients; port 0 takes a free one",
           .zero_means = "no RESP port"}),
      bind<WARP_FIELD(resp.threads)>({.section = "resp",
                                      .key = "threads",
                                      .kind = count,
                                      .explanation = "I/O threads that serve clients",
                                      .min = 1,
                                      .max = 256,
                                      .unit = "threads",
                                      .zero_means = "1 up to 7 cores, then cores / 4, at most 16"}),
      bind<WARP_FIELD(resp.connections_max)>(
          {.section = "resp",
           .key = "connections_max",
           .kind = count,
           .explanation = "Clients connected at the same time; one more is told so and closed",
           .min = 1,
           .max = 1'000'000,
           .unit = "connections"}),
      bind<WARP_FIELD(resp_durability)>(
          {.section = "resp",
           .key = "durability",
           .kind = choice,
           .explanation =
               "What the answer to a write is worth until a client chooses with "
               "WARP.DURABILITY; default: as storage.durability, or as the cluster does it",
           .choices = resp_durability_names}),
      bind<WARP_FIELD(resp.input_buffer_bytes)>(
          {.section = "resp",
           .key = "input_buffer",
           .kind = size,
           .explanation = "Longest command, all of its arguments together",
           .min = mib,
           .max = 16 * gib}),
      bind<WARP_FIELD(resp.output_buffer_bytes)>(
          {.section = "resp",
           .key = "output_buffer",
           .kind = size,
           .explanation =
               "Answers that a client may leave unread before its commands are not read any more",
           .min = 64 * kib,
           .max = 16 * gib}),
      bind<WARP_FIELD(resp.output_stall_max)>(
          {.section = "resp",
           .key = "output_stall_max",
           .kind = duration,
           .explanation =
               "And for how long nothing of them may get through before it is disconnected",
           .min = 100,
           .max = hour}),
      bind<WARP_FIELD(resp.pubsub_buffer_bytes)>(
          {.section = "resp",
           .key = "pubsub_buffer",
           .kind = size,
           .explanation = "Messages that may wait for a subscriber; with more it is disconnected",
           .min = 64 * kib,
           .max = 16 * gib}),
      bind<WARP_FIELD(resp.durable_wait_max)>(
          {.section = "resp",
           .key = "durable_wait_max",
           .kind = duration,
           .explanation = "How long an answer waits for the disk before it says that it is not "
                          "known whether the write is durable",
           .min = 100,
           .max = hour}),
      bind<WARP_FIELD(resp.drain_max)>(
          {.section = "resp",
           .key = "drain_max",
           .kind = duration,
           .explanation = "At a stop, how long answers may take to leave",
           .min = 1,
           .max = hour}),
      // -- http --
      bind<WARP_FIELD(http.listen)>({.section = "http",
                                     .key = "listen",
                                     .kind = address,
                                     .explanation = "Address of the HTTP port (/metrics, /livez, "
                                                    "/readyz, /healthz); port 0 takes a free one",
                                     .zero_means = "no HTTP port"}),
      bind<WARP_FIELD(http.connections_max)>(
          {.section = "http",
           .key = "connections_max",
           .kind = count,
           .explanation = "Connections at the same time; one more is closed at once",
           .min = 1,
           .max = 10'000,
           .unit = "connections"}),
      bind<WARP_FIELD(http.header_timeout)>(
          {.section = "http",
           .key = "header_timeout",
           .kind = duration,
           .explanation = "How long a client may take to send a request's head",
           .min = 100,
           .max = 10 * minute}),
      // -- log --
      bind<WARP_FIELD(log.level)>(
          {.section = "log",
           .key = "level",
           .kind = choice,
           .explanation = "Least important messages that are written to standard error",
           .choices = level_names}),
      bind<WARP_FIELD(log.format)>(
          {.section = "log",
           .key = "format",
           .kind = choice,
           .explanation = "text for people, json (an object a line) for programs",
           .choices = format_names}),
      // -- actors --
      bind<WARP_FIELD(actors.threads)>(
          {.section = "actors",
           .key = "threads",
           .kind = count,
           .explanation = "Threads of the actor scheduler; the data path does not use them",
           .min = 1,
           .max = 256,
           .unit = "threads",
           .zero_means = "2"}),
      bind<WARP_FIELD(actors.restarts_max)>(
          {.section = "actors",
           .key = "restarts_max",
           .kind = count,
           .explanation =
               "Restarts that a supervisor makes within restart_window before it gives up",
           .min = 1,
           .max = 10'000,
           .unit = "restarts"}),
      bind<WARP_FIELD(actors.restart_window)>(
          {.section = "actors",
           .key = "restart_window",
           .kind = duration,
           .explanation = "The time in which restarts are counted",
           .min = second,
           .max = day,
           .step = second}),
      // -- server --
      bind<WARP_FIELD(stop_timeout)>(
          {.section = "server",
           .key = "stop_timeout",
           .kind = duration,
           .explanation = "How long a stop by signal may take before the process ends without it",
           .min = second,
           .max = hour}),
      // -- backup --
      bind<WARP_FIELD(backup.folder)>(
          {.section = "backup",
           .key = "folder",
           .kind = text,
           .explanation = "Folder for backups, on this machine; no client can have them written "
                          "elsewhere",
           .zero_means = "any folder, if only this machine can reach rpc.listen"}),
      bind<WARP_FIELD(backup.interval)>(
          {.section = "backup",
           .key = "interval",
           .kind = duration,
           .explanation = "How often a backup is made without being asked for; log stays until one "
                          "has it",
           .min = second,
           .max = 366 * day,
           .step = second,
           .zero_means = "never"}),
      bind<WARP_FIELD(backup.keep)>(
          {.section = "backup",
           .key = "keep",
           .kind = count,
           .explanation = "Backups that stay when the interval has made another one",
           .min = 1,
           .max = 1'000'000,
           .unit = "backups",
           .zero_means = "all"}),
      bind<WARP_FIELD(backup.rate_bytes)>(
          {.section = "backup",
           .key = "rate",
           .kind = size,
           .explanation = "Bytes a second that a backup reads at most",
           .min = 64 * kib,
           .max = tib,
           .zero_means = "no limit"}),
      // -- physics --
      bind<WARP_FIELD(physics.tier)>(
          {.section = "physics",
           .key = "tier",
           .kind = choice,
           .explanation = "What the universe observes of itself: T0 nothing, T1 which keys belong "
                          "together, T2 how the load lies on the shards too, T3 which settings "
                          "would serve memory best, with section gpu; steps down by itself "
                          "under overload",
           .choices = tier_names}),
      bind<WARP_FIELD(physics.rules)>(
          {.section = "physics",
           .key = "rules",
           .kind = text,
           .explanation = "Keys that belong together by their names, added at each start, as in "
                          "\"user:* -> profile:*, settings:*; order:* -> payment:*\"; examples: "
                          "those of WarpEngine for user, order, post, product, project, article",
           .zero_means = "none"}),
      bind<WARP_FIELD(physics.save_interval)>(
          {.section = "physics",
           .key = "save_interval",
           .kind = duration,
           .explanation = "What was learned is saved in the data folder this often",
           .min = second,
           .max = day}),
      bind<WARP_FIELD(engine.observation.windows_one_in)>(
          {.section = "physics",
           .key = "windows_one_in",
           .kind = count,
           .explanation = "One request window in so many is sampled: a batch, an MGET, a "
                          "transaction, or what a connection does within physics.window",
           .min = 1,
           .max = 1'000'000,
           .unit = "windows"}),
      bind<WARP_FIELD(engine.observation.keys_one_in)>(
          {.section = "physics",
           .key = "keys_one_in",
           .kind = count,
           .explanation = "Every access of one key in so many is sampled, for what `warp physics "
                          "horizon` says; of fewer keys where these are used more than "
                          "physics.samples_max / 2 times a second",
           .min = 1,
           .max = 1'000'000,
           .unit = "keys"}),
      bind<WARP_FIELD(engine.observation.window_ms)>(
          {.section = "physics",
           .key = "window",
           .kind = duration,
           .explanation = "How long a window of a connection lasts",
           .min = 1,
           .max = minute}),
      bind<WARP_FIELD(engine.observation.samples_per_s_max)>(
          {.section = "physics",
           .key = "samples_max",
           .kind = count,
           .explanation =
               "Accesses that are sampled at most, a second and thread; each costs about "
               "a microsecond later",
           .min = 20,
           .max = 1'000'000,
           .unit = "samples"}),
      // -- gpu --
      bind<WARP_FIELD(gpu.mode)>(
          {.section = "gpu",
           .key = "mode",
           .kind = choice,
           .explanation =
               "Who computes: auto a GPU where there is one and it is faster, else the CPU; cpu "
               "the CPU in any case; off nobody, and what wanted it goes without",
           .choices = gpu_mode_names}),
      bind<WARP_FIELD(gpu.check_one_in)>(
          {.section = "gpu",
           .key = "check_one_in",
           .kind = count,
           .explanation = "One batch of a device in so many is computed by the CPU too; if they "
                          "differ the CPU's answer counts and the device is left alone for 30 s",
           .min = 1,
           .max = 1'000'000'000,
           .unit = "batches",
           .zero_means = "none"}),
      bind<WARP_FIELD(gpu.queue_max)>(
          {.section = "gpu",
           .key = "queue_max",
           .kind = count,
           .explanation = "Jobs that may wait; more are refused. Background jobs fill three "
                          "quarters of it at most, as of gpu.queue_memory",
           .min = 4,
           .max = 1'000'000,
           .unit = "jobs"}),
      bind<WARP_FIELD(gpu.queue_bytes_max)>(
          {.section = "gpu",
           .key = "queue_memory",
           .kind = size,
           .explanation = "Inputs and outputs of the jobs that may wait; more are refused",
           .min = mib,
           .max = tib}),
      bind<WARP_FIELD(gpu.window)>(
          {.section = "gpu",
           .key = "window",
           .kind = duration,
           .explanation = "How long a background job waits for others that can share its batch",
           .min = 1,
           .max = minute,
           .zero_means = "not at all"}),
      bind<WARP_FIELD(gpu.batch_max)>({.section = "gpu",
                                       .key = "batch_max",
                                       .kind = count,
                                       .explanation = "Jobs that share a batch at most",
                                       .min = 1,
                                       .max = 65'536,
                                       .unit = "jobs"}),
      bind<WARP_FIELD(gpu.workers)>(
          {.section = "gpu",
           .key = "workers",
           .kind = count,
           .explanation = "Batches computed at the same time: as many as there are devices",
           .min = 1,
           .max = 64,
           .unit = "threads"}),
      bind<WARP_FIELD(gpu.threads)>(
          {.section = "gpu",
           .key = "threads",
           .kind = count,
           .explanation = "Threads of the CPU for one batch, at low priority",
           .min = 1,
           .max = 1'024,
           .unit = "threads"}),
      // -- cluster --
      bind<WARP_FIELD(cluster.name)>(
          {.section = "cluster",
           .key = "name",
           .kind = text,
           .explanation = "Name of the cluster that this node belongs to, as it was given to 'warp "
                          "cluster init': 1 to 64 of a-z, 0-9, '-', '_' and '.'",
           .zero_means = "this node is alone, and needs no etcd"}),
      bind<WARP_FIELD(cluster.node)>({.section = "cluster",
                                      .key = "node",
                                      .kind = count,
                                      .explanation = "Id of this node, its own in the cluster and "
                                                     "always the same",
                                      .min = 1,
                                      .max = 4'294'967'295,
                                      .unit = "as an id",
                                      .zero_means = "none: only without a cluster"}),
      bind<WARP_FIELD(cluster.zone)>(
          {.section = "cluster",
           .key = "zone",
           .kind = text,
           .explanation = "What fails together with this node: copies of a shard go to different "
                          "zones where there are enough",
           .zero_means = "not said"}),
      bind<WARP_FIELD(cluster.etcd)>(
          {.section = "cluster",
           .key = "etcd",
           .kind = text,
           .explanation = "Where etcd answers: http://HOST:PORT or https://HOST:PORT, several of "
                          "one etcd cluster with commas between"}),
      bind<WARP_FIELD(cluster.etcd_ca)>(
          {.section = "cluster",
           .key = "etcd_ca",
           .kind = text,
           .explanation = "PEM file of who signed etcd's certificates, for https",
           .zero_means = "those that the system trusts"}),
      bind<WARP_FIELD(cluster.etcd_cert)>({.section = "cluster",
                                           .key = "etcd_cert",
                                           .kind = text,
                                           .explanation = "PEM file that this node shows to etcd",
                                           .zero_means = "none"}),
      bind<WARP_FIELD(cluster.etcd_key)>({.section = "cluster",
                                          .key = "etcd_key",
                                          .kind = text,
                                          .explanation = "PEM file of its key",
                                          .zero_means = "none"}),
      bind<WARP_FIELD(cluster.listen)>(
          {.section = "cluster",
           .key = "listen",
           .kind = address,
           .explanation =
               "Address of the port for other nodes; port 0 takes a free one, etcd tells which"}),
      bind<WARP_FIELD(cluster.checkpoints)>(
          {.section = "cluster",
           .key = "checkpoints",
           .kind = address,
           .explanation = "Address of the port where other nodes fetch checkpoints; as listen"}),
      bind<WARP_FIELD(cluster.advertise)>(
          {.section = "cluster",
           .key = "advertise",
           .kind = text,
           .explanation = "Host name or address under which other nodes and clients find this node",
           .zero_means = "as listened on"}),
      bind<WARP_FIELD(cluster.ca)>(
          {.section = "cluster",
           .key = "ca",
           .kind = text,
           .explanation = "PEM file of the cluster's own certificate authority: whoever it has "
                          "signed is let in as a node",
           .zero_means = "no TLS between nodes"}),
      bind<WARP_FIELD(cluster.cert)>(
          {.section = "cluster",
           .key = "cert",
           .kind = text,
           .explanation = "PEM file of this node's certificate, with the DNS name warpengine-node",
           .zero_means = "no TLS between nodes"}),
      bind<WARP_FIELD(cluster.key)>({.section = "cluster",
                                     .key = "key",
                                     .kind = text,
                                     .explanation = "PEM file of its key",
                                     .zero_means = "no TLS between nodes"}),
      bind<WARP_FIELD(cluster.lease)>(
          {.section = "cluster",
           .key = "lease",
           .kind = duration,
           .explanation = "After so long without a sign of life etcd forgets that this node is "
                          "there: for discovery only, no data depends on it",
           .min = 2'000,
           .max = minute}),
      bind<WARP_FIELD(cluster.threads)>(
          {.section = "cluster",
           .key = "threads",
           .kind = count,
           .explanation = "Threads that receive what other nodes send, and bring the copies of "
                          "their shards up to date",
           .max = 256,
           .unit = "threads",
           .zero_means = "1 up to 4 cores, then cores / 4, at most 8"}),
      // -- security --
      bind<WARP_FIELD(insecure)>(
          {.section = "security",
           .key = "insecure",
           .kind = yes_no,
           .explanation =
               "Permit ports that other machines can reach, without encryption and without users"}),
  };
  return rows;
}

} // namespace

std::span<const knob> knobs() {
  return table();
}

std::string_view section_explanation(std::string_view section) {
  if (section == "storage") return "The data folder: log, checkpoints, durability";
  if (section == "rpc") return "The native port, for warp::client and the warp tool";
  if (section == "resp") return "The port for Redis clients, see cluster/RESP.md";
  if (section == "http") return "Metrics and health";
  if (section == "log") return "What the server says about itself";
  if (section == "actors") return "The supervision tree";
  if (section == "server") return "The process";
  if (section == "backup") return "Backups, see storage/backup_format.md";
  if (section == "physics") return "What the universe learns about itself, beside the data path";
  if (section == "gpu")
    return "What is computed beside the data path, on a GPU where there is one; from which size on "
           "is measured and kept in the file gpu-calibration of the data folder";
  if (section == "cluster") return "The cluster that this node belongs to, see cluster/README.md";
  if (section == "security") return "Who may reach the ports";
  return {};
}

std::string knob::name() const {
  return fmt::format("{}.{}", section, key);
}

std::string knob::variable() const {
  auto text = fmt::format("WARP_{}_{}", section, key);
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string knob::range() const {
  std::string text;
  switch (kind) {
  case knob_kind::text:
    text = "text";
    break;
  case knob_kind::address:
    text = "host:port";
    break;
  case knob_kind::yes_no:
    text = "true or false";
    break;
  case knob_kind::count:
    text = fmt::format("{} to {} {}", min, max, unit);
    break;
  case knob_kind::size:
    text = fmt::format("{} to {}", format_size(min), format_size(max));
    break;
  case knob_kind::duration:
    text = fmt::format("{} to {}", format_duration_ms(min), format_duration_ms(max));
    break;
  case knob_kind::choice:
    text = fmt::format("{}", fmt::join(choices, ", "));
    break;
  }
  if (kind == knob_kind::size && step > 1)
    text += fmt::format(", a multiple of {}", format_size(step));
  if (kind == knob_kind::duration && step > 1)
    text += fmt::format(", a multiple of {}", format_duration_ms(step));
  if (!zero_means.empty())
    text += fmt::format("; {}: {}",
                        kind == knob_kind::address || kind == knob_kind::text ? "\"\"" : "0",
                        zero_means);
  return text;
}

std::string knob::show(const knob_value& value) const {
  switch (kind) {
  case knob_kind::text:
  case knob_kind::address:
  case knob_kind::choice: {
    std::string text = "\"";
    for (const char c : std::get<std::string>(value)) {
      if (c == '"' || c == '\\') text += '\\';
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
        text += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      else
        text += c;
    }
    return text + '"';
  }
  case knob_kind::yes_no:
    return std::get<bool>(value) ? "true" : "false";
  case knob_kind::count:
    return fmt::format("{}", std::get<std::uint64_t>(value));
  case knob_kind::size:
    return fmt::format("\"{}\"", format_size(std::get<std::uint64_t>(value)));
  case knob_kind::duration:
    return fmt::format("\"{}\"", format_duration_ms(std::get<std::uint64_t>(value)));
  }
  return {};
}

op_status check_knob(const knob& k, const knob_value& value) {
  const auto refuse = [&](std::string_view what) {
    return op_status(op_code::invalid_argument, fmt::format("{} = {} {}: it must be {}", k.name(),
                                                            k.show(value), what, k.range()));
  };
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (text->find_first_of("\n\r\0") != std::string::npos) return refuse("has a line break");
    if (k.kind == knob_kind::choice && std::ranges::find(k.choices, *text) == k.choices.end()) {
      const auto near = closest_name(*text, {k.choices.begin(), k.choices.end()});
      return refuse(near ? fmt::format("is not known (did you mean {}?)", *near) : "is not known");
    }
    if (k.kind == knob_kind::address && !(text->empty() && !k.zero_means.empty()) &&
        !parse_address(*text))
      return refuse("is no address with a port, as in 127.0.0.1:7400 or [::1]:7400");
    if (k.kind == knob_kind::text && text->empty() && k.zero_means.empty())
      return refuse("is empty");
    return {};
  }
  if (const auto* number = std::get_if<std::uint64_t>(&value)) {
    if (*number == 0 && !k.zero_means.empty()) return {};
    if (*number < k.min) return refuse("is too small");
    if (*number > k.max) return refuse("is too large");
    if (*number % k.step != 0) return refuse("does not fit");
  }
  return {};
}

op_result<knob_value> parse_knob(const knob& k, std::string_view text) {
  const auto refuse = [&](std::string_view what) {
    return op_status(op_code::invalid_argument,
                     fmt::format("{} = \"{}\" {}", k.name(), text, what));
  };
  knob_value value;
  switch (k.kind) {
  case knob_kind::text:
  case knob_kind::address:
  case knob_kind::choice:
    value = std::string(text);
    break;
  case knob_kind::yes_no:
    if (text == "true" || text == "1" || text == "yes")
      value = true;
    else if (text == "false" || text == "0" || text == "no")
      value = false;
    else
      return refuse("is neither true nor false");
    break;
  case knob_kind::count: {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size())
      return refuse("is not a whole number");
    value = number;
    break;
  }
  case knob_kind::size:
    if (const auto bytes = parse_size(text))
      value = *bytes;
    else
      return refuse("is not a size: write 64MiB, 4GiB, 512KiB or a number of bytes");
    break;
  case knob_kind::duration:
    if (const auto ms = parse_duration_ms(text))
      value = *ms;
    else
      return refuse("is not a duration: write a number with its unit, as in 50ms, 5s, 10min, 2h");
    break;
  }
  if (auto status = check_knob(k, value); !status.ok()) return status;
  return value;
}

} // namespace warp::cluster
