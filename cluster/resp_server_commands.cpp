// Commands about the server.

#include "cluster/cluster_map.hpp"
#include "cluster/resp_info.hpp"
#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_text.hpp"
#include "storage/number.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <random>

namespace warp::cluster {

namespace {

using std::chrono::milliseconds;

void info(resp_call& c) {
  c.out.verbatim(resp_info(c.shared, c.args.subspan(1)));
}

void time(resp_call& c) {
  const auto us = c.shared.time->now_us();
  c.out.array(2);
  c.out.bulk(fmt::format("{}", us / 1'000'000));
  c.out.bulk(fmt::format("{}", us % 1'000'000));
}

// -- CONFIG
// --------------------------------------------------------------------------------------------------------------

constexpr resp_subcommand config_parts[] = {
    {"GET", -3,
     [](resp_call& c) {
       const auto found = c.shared.settings.find(c.args.subspan(2));
       c.out.map(found.size());
       for (const auto& [name, value] : found) {
         c.out.bulk(name);
         c.out.bulk(value);
       }
     }},
    {"SET", -4,
     [](resp_call& c) {
       if (c.args.size() % 2 != 0) return arity_error(c.out, "config|set");
       const auto status = c.shared.settings.set(c.args.subspan(2));
       if (!status.ok()) return c.out.error(status.message());
       c.out.ok();
     }},
    {"RESETSTAT", 2,
     [](resp_call& c) {
       for (auto& thread : c.shared.threads) thread->reset_counts();
       reset_info(c.shared);
       c.out.ok();
     }},
    {"REWRITE", 2,
     [](resp_call& c) { c.out.error("ERR The server is running without a config file"); }},
};

void config(resp_call& c) {
  constexpr std::string_view help[] = {
      "GET <pattern>",
      "    Return parameters matching the glob-like <pattern> and their values.",
      "SET <directive> <value>",
      "    Set the configuration <directive> to <value>.",
      "RESETSTAT",
      "    Reset statistics reported by the INFO command."};
  run_subcommand(c, help);
}

// -- SLOWLOG, LATENCY, MEMORY
// --------------------------------------------------------------------------------------------------

constexpr resp_subcommand slowlog_parts[] = {
    {"GET", -2,
     [](resp_call& c) {
       std::int64_t count = 10;
       if (c.args.size() > 3) return subcommand_error(c);
       if (c.args.size() == 3) {
         constexpr std::string_view refused = "ERR count should be greater than or equal to -1";
         if (!take_integer(c, c.args[2], count, refused)) return;
         if (count < -1) return c.out.error(refused);
       }
       const auto found =
           c.shared.slow_log.newest(count < 0 ? SIZE_MAX : static_cast<std::size_t>(count));
       c.out.array(found.size());
       for (const auto& e : found) {
         c.out.array(6);
         c.out.integer(static_cast<std::int64_t>(e.id));
         c.out.integer(e.at_s);
         c.out.integer(e.took_us);
         c.out.array(e.arguments.size());
         for (const auto& argument : e.arguments) c.out.bulk(argument);
         c.out.bulk(e.address);
         c.out.bulk(e.name);
       }
     }},
    {"LEN", 2,
     [](resp_call& c) { c.out.integer(static_cast<std::int64_t>(c.shared.slow_log.size())); }},
    {"RESET", 2,
     [](resp_call& c) {
       c.shared.slow_log.clear();
       c.out.ok();
     }},
};

void slowlog(resp_call& c) {
  constexpr std::string_view help[] = {
      "GET [<count>]",
      "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
      "    Entries are made of:",
      "    id, timestamp, time in microseconds, arguments array, client IP and port,",
      "    client name",
      "LEN",
      "    Return the length of the slowlog.",
      "RESET",
      "    Reset the slowlog."};
  run_subcommand(c, help);
}

constexpr resp_subcommand latency_parts[] = {
    {"LATEST", 2, [](resp_call& c) { c.out.array(0); }},
    {"HISTORY", 3, [](resp_call& c) { c.out.array(0); }},
    {"RESET", -2, [](resp_call& c) { c.out.integer(0); }},
    {"GRAPH", 3,
     [](resp_call& c) {
       c.out.error(fmt::format("ERR No samples available for event '{}'", shown(c.args[2])));
     }},
    {"HISTOGRAM", -2, [](resp_call& c) { c.out.map(0); }},
    {"DOCTOR", 2,
     [](resp_call& c) {
       c.out.verbatim("I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this "
                      "server: see SLOWLOG, and warp_shard_operation_seconds of /metrics.\n");
     }},
};

void latency(resp_call& c) {
  constexpr std::string_view help[] = {
      "DOCTOR",
      "    Return a human readable latency analysis report.",
      "GRAPH <event>",
      "    Return an ASCII latency graph for the <event> class.",
      "HISTORY <event>",
      "    Return time-latency samples for the <event> class.",
      "LATEST",
      "    Return the latest latency samples for all events.",
      "RESET [<event> ...]",
      "    Reset latency data of one or more <event> classes.",
      "    (default: reset all data for all event classes)",
      "HISTOGRAM [COMMAND ...]",
      "    Return a cumulative distribution of latencies in the format of a histogram for the "
      "specified command names.",
      "    If no commands are specified then all histograms are replied"};
  run_subcommand(c, help);
}

/// What a record takes beside key and value, about.
constexpr std::int64_t record_overhead_bytes = 40;

constexpr resp_subcommand memory_parts[] = {
    {"USAGE", -3,
     [](resp_call& c) {
       for (std::size_t i = 3; i < c.args.size(); i += 2) {
         std::int64_t samples = 0;
         if (!same_word(c.args[i], "SAMPLES") || i + 1 == c.args.size())
           return c.out.error(syntax_error);
         if (!take_integer(c, c.args[i + 1], samples)) return;
         if (samples < 0) return c.out.error(syntax_error);
       }
       const auto v = c.keys.get(c.args[2]);
       if (!v.present) return c.out.null();
       const auto bytes = v.large                      ? v.large->hash()->memory()
                          : v.type == value_type::hash ? v.fields.bytes()
                                                       : v.value.size();
       c.out.integer(static_cast<std::int64_t>(c.args[2].size() + bytes) + record_overhead_bytes);
     }},
    {"DOCTOR", 2,
     [](resp_call& c) {
       c.out.verbatim("Hi Sam, I can't find any memory issue in your instance. I can only account "
                      "for what occurs on this base.\n");
     }},
    {"STATS", 2,
     [](resp_call& c) {
       const auto m = resp_memory(c.shared);
       const std::pair<std::string_view, std::uint64_t> rows[] = {
           {"total.allocated", m.used},
           {"keys.count", m.keys},
           {"keys.bytes-per-key", m.keys == 0 ? 0 : m.used / m.keys},
           {"dataset.bytes", m.records}};
       c.out.map(std::size(rows));
       for (const auto& [name, value] : rows) {
         c.out.bulk(name);
         c.out.integer(static_cast<std::int64_t>(value));
       }
     }},
    {"PURGE", 2, [](resp_call& c) { c.out.ok(); }},
    {"MALLOC-STATS", 2, [](resp_call& c) { c.out.verbatim("see /metrics\n"); }},
};

void memory(resp_call& c) {
  constexpr std::string_view help[] = {
      "DOCTOR",
      "    Return memory problems reports.",
      "MALLOC-STATS",
      "    Return internal statistics report from the memory allocator.",
      "PURGE",
      "    Attempt to purge dirty pages for reclamation by the allocator.",
      "STATS",
      "    Return information about the memory usage of the server.",
      "USAGE <key> [SAMPLES <count>]",
      "    Return memory in bytes used by <key> and its value. Nested values are",
      "    sampled up to <count> times (default: 5, 0 means sample all)."};
  run_subcommand(c, help);
}

// -- DEBUG
// ---------------------------------------------------------------------------------------------------------------

void debug_sleep(resp_call& c) {
  const auto seconds = parse_real(c.args[2]);
  if (!seconds || *seconds < 0) return c.out.error("ERR value is not a valid float");
  const auto ms = static_cast<std::int64_t>(std::min<long double>(*seconds * 1'000, 3'600'000));
  if (ms == 0 || c.client.in_exec) return c.out.ok();
  c.thread.pause(c.client, std::chrono::steady_clock::now() + milliseconds{ms}, "+OK\r\n");
}

constexpr resp_subcommand debug_parts[] = {{"SLEEP", 3, debug_sleep}};

void debug(resp_call& c) {
  constexpr std::string_view help[] = {
      "SLEEP <seconds>", "    Stop answering this client for <seconds>. Decimals allowed."};
  run_subcommand(c, help);
}

// -- what is on disk
// -----------------------------------------------------------------------------------------------------

/// Begins a checkpoint; `done` is called on this thread when it is written. False: none was begun,
/// the error is written.
bool begin_save(resp_call& c, std::function<void(op_status)> done) {
  if (!c.shared.options.checkpoint) {
    c.out.error("ERR this server keeps its data in memory only");
    return false;
  }
  if (c.shared.saving.exchange(true)) {
    c.out.error("ERR Background save already in progress");
    return false;
  }
  auto& shared = c.shared;
  auto& thread = c.thread;
  shared.options.checkpoint([&shared, &thread, done = std::move(done)](op_status status) {
    shared.saving = false;
    if (status.ok()) shared.last_save_s = static_cast<std::int64_t>(shared.now_ms() / 1'000);
    if (done) thread.post([done, status = std::move(status)] { done(status); });
  });
  return true;
}

void save(resp_call& c) {
  const auto id = c.client.card->id;
  auto& thread = c.thread;
  if (begin_save(c, [&thread, id](const op_status& status) {
        thread.resume(id, status.ok() ? "+OK\r\n"
                                      : fmt::format("-ERR {}\r\n", to_string(status.code())));
      }))
    thread.pause(c.client, std::chrono::steady_clock::time_point::max(), "-ERR\r\n");
}

void bgsave(resp_call& c) {
  if (c.args.size() > 2 || (c.args.size() == 2 && !same_word(c.args[1], "SCHEDULE")))
    return c.out.error(syntax_error);
  if (begin_save(c, {})) c.out.simple("Background saving started");
}

void bgrewriteaof(resp_call& c) {
  if (begin_save(c, {})) c.out.simple("Background append only file rewriting started");
}

void lastsave(resp_call& c) {
  c.out.integer(c.shared.last_save_s.load());
}

void wait(resp_call& c) {
  std::int64_t replicas = 0, timeout_ms = 0;
  if (!take_integer(c, c.args[1], replicas)) return;
  if (!take_integer(c, c.args[2], timeout_ms, "ERR timeout is not an integer or out of range"))
    return;
  if (timeout_ms < 0) return c.out.error("ERR timeout is negative");
  c.out.integer(0);
}

void waitaof(resp_call& c) {
  std::int64_t local = 0, replicas = 0, timeout_ms = 0;
  if (!take_integer(c, c.args[1], local)) return;
  if (local < 0 || local > 1)
    return c.out.error("ERR value is out of range, value must between 0 and 1");
  if (!take_integer(c, c.args[2], replicas) ||
      !take_integer(c, c.args[3], timeout_ms, "ERR timeout is not an integer or out of range"))
    return;
  if (replicas < 0) return c.out.error("ERR value is out of range, must be positive");
  if (timeout_ms < 0) return c.out.error("ERR timeout is negative");
  auto& engine = c.shared.engine;
  if (local == 1 && engine.options().folder.empty())
    return c.out.error(
        "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
  // Whatever this connection wrote lies below the last LSN of its shard.
  std::vector<durable_target> waits;
  for (std::uint32_t i = 0; i < engine.shard_count(); ++i) {
    const auto stats = engine.stats(shard_id{i});
    if (stats.last_lsn <= stats.durable_lsn) continue;
    waits.push_back({shard_id{i}, stats.last_lsn});
    if (local != 0) engine.request_sync(shard_id{i});
  }
  if (c.client.in_exec || local == 0) { // what is so now
    c.out.array(2);
    c.out.integer(waits.empty() && !engine.options().folder.empty() ? 1 : 0);
    return c.out.integer(0);
  }
  const auto begin = c.client.sent + c.out.position();
  c.out.array(2);
  c.out.integer(local);
  c.out.integer(0);
  constexpr std::int64_t longest_ms = 3'600'000;
  const auto bound = timeout_ms == 0 ? longest_ms : std::min(timeout_ms, longest_ms);
  c.thread.hold(c.client, begin, waits, std::chrono::steady_clock::now() + milliseconds{bound},
                "*2\r\n:0\r\n:0\r\n");
}

void shutdown(resp_call& c) {
  const auto options = c.args.subspan(1);
  const auto has = [&](std::string_view name) {
    return std::ranges::any_of(options, [&](auto word) { return same_word(word, name); });
  };
  const bool known = std::ranges::all_of(options, [](auto word) {
    for (const auto* name : {"SAVE", "NOSAVE", "NOW", "FORCE", "ABORT"})
      if (same_word(word, name)) return true;
    return false;
  });
  const bool aborts = has("ABORT");
  const bool differs = has("SAVE") || has("NOSAVE") || has("NOW") || has("FORCE");
  if (!known || (aborts && differs) || (has("SAVE") && has("NOSAVE")))
    return c.out.error(syntax_error);
  if (aborts) return c.out.error("ERR No shutdown in progress.");
  if (!c.shared.options.shut_down) return c.out.error("ERR Errors trying to SHUTDOWN. Check logs.");
  c.client.closing = true;
  c.shared.options.shut_down();
}

void durability_of(resp_call& c) {
  constexpr std::pair<std::string_view, durability> levels[] = {
      {"memory", durability::memory},
      {"async", durability::async},
      {"sync", durability::sync},
      {"replicated", durability::replicated},
      {"durable", durability::durable}};
  if (c.args.size() > 2) return arity_error(c.out, c.command.name);
  const auto& options = c.shared.engine.options();
  if (c.args.size() == 1) {
    const auto* const cluster = c.shared.options.cluster;
    const auto now = c.client.level != durability::unspecified ? c.client.level
                     : cluster != nullptr                      ? cluster->map()->level
                     : options.folder.empty()                  ? durability::memory
                                                               : options.default_level;
    for (const auto& [name, level] : levels)
      if (level == now) c.out.simple(name);
    return;
  }
  for (const auto& [name, level] : levels) {
    if (!same_word(c.args[1], name)) continue;
    const auto most = options.folder.empty()                ? durability::memory
                      : c.shared.options.cluster != nullptr ? durability::durable
                                                            : durability::sync;
    if (level > most)
      return c.out.error(
          fmt::format("NOREPLICAS this universe cannot give durability {}: {}", name,
                      options.folder.empty() ? "it is in memory only" : "it has one node"));
    c.client.level = level;
    return c.out.ok();
  }
  c.out.error("ERR the level is memory, async, sync, replicated or durable");
}

void role(resp_call& c) {
  c.out.array(3);
  c.out.bulk("master");
  c.out.integer(0);
  c.out.array(0);
}

// -- ACL
// -----------------------------------------------------------------------------------------------------------------

constexpr std::string_view default_user = "user default on nopass ~* &* +@all";
constexpr std::string_view categories[] = {
    "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
    "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
    "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting"};
constexpr std::string_view no_users = "ERR there are no users yet besides the default one";

constexpr std::string_view no_user_file =
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users "
    "via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis "
    "configuration file set) in order to store users in the Redis configuration.";

/// So many random bits, 256 if nothing is said, in hexadecimal digits.
void generate_password(resp_call& c) {
  std::int64_t bits = 256;
  if (c.args.size() > 3) return subcommand_error(c);
  if (c.args.size() == 3 && !take_integer(c, c.args[2], bits)) return;
  if (bits <= 0 || bits > 4096)
    return c.out.error("ERR ACL GENPASS argument must be the number of bits for the output "
                       "password, a positive number up to 4096");
  std::random_device random;
  std::string digits;
  for (std::int64_t i = 0; i < (bits + 3) / 4; ++i) digits += "0123456789abcdef"[random() % 16];
  c.out.bulk(digits);
}

constexpr resp_subcommand acl_parts[] = {
    {"WHOAMI", 2, [](resp_call& c) { c.out.bulk("default"); }},
    {"LIST", 2,
     [](resp_call& c) {
       c.out.array(1);
       c.out.bulk(default_user);
     }},
    {"USERS", 2,
     [](resp_call& c) {
       c.out.array(1);
       c.out.bulk("default");
     }},
    {"CAT", -2,
     [](resp_call& c) {
       if (c.args.size() > 3) return subcommand_error(c);
       if (c.args.size() == 2) {
         c.out.array(std::size(categories));
         for (const auto name : categories) c.out.bulk(name);
         return;
       }
       if (std::ranges::find(categories, lower_case(c.args[2])) == std::end(categories))
         return c.out.error(fmt::format("ERR Unknown category '{}'", shown(c.args[2])));
       std::vector<std::string_view> names;
       for (const auto& command : all_commands())
         if (command.kind != command_kind::missing && is_in_category(command, c.args[2]))
           names.push_back(command.name);
       c.out.array(names.size());
       for (const auto name : names) c.out.bulk(name);
     }},
    {"GETUSER", 3,
     [](resp_call& c) {
       if (c.args[2] != "default") return c.out.null();
       c.out.map(6);
       c.out.bulk("flags");
       c.out.set(2);
       c.out.bulk("on");
       c.out.bulk("nopass");
       c.out.bulk("passwords");
       c.out.array(0);
       for (const auto& [name, value] :
            {std::pair{"commands", "+@all"}, {"keys", "~*"}, {"channels", "&*"}}) {
         c.out.bulk(name);
         c.out.bulk(value);
       }
       c.out.bulk("selectors");
       c.out.array(0);
     }},
    {"LOG", -2,
     [](resp_call& c) {
       if (c.args.size() > 3) return subcommand_error(c);
       if (c.args.size() == 3 && same_word(c.args[2], "RESET")) return c.out.ok();
       std::int64_t count = 0;
       if (c.args.size() < 3 || take_integer(c, c.args[2], count)) c.out.array(0);
     }},
    {"SETUSER", -3, [](resp_call& c) { c.out.error(no_users); }},
    {"DELUSER", -3,
     [](resp_call& c) {
       const auto names = c.args.subspan(2);
       if (std::ranges::find(names, std::string_view{"default"}) != names.end())
         return c.out.error("ERR The 'default' user cannot be removed");
       c.out.integer(0);
     }},
    {"DRYRUN", -4,
     [](resp_call& c) {
       if (c.args[2] != "default")
         return c.out.error(fmt::format("ERR User '{}' not found", shown(c.args[2])));
       const auto* command = find_command(c.args[3]);
       if (command == nullptr)
         return c.out.error(fmt::format("ERR Command '{}' not found", shown(c.args[3])));
       if (!arity_fits(*command, c.args.size() - 3)) return arity_error(c.out, command->name);
       c.out.ok();
     }},
    {"GENPASS", -2, generate_password},
    {"LOAD", 2, [](resp_call& c) { c.out.error(no_user_file); }},
    {"SAVE", 2, [](resp_call& c) { c.out.error(no_user_file); }},
};

void acl(resp_call& c) {
  constexpr std::string_view help[] = {
      "CAT [<category>]",
      "    List all commands that belong to <category>, or all command "
      "categories",
      "LIST",
      "    Show users details in config file format.",
      "WHOAMI",
      "    Return the current connection username."};
  run_subcommand(c, help);
}

using namespace command_flags;

constexpr resp_command rows[] = {
    {.name = "acl",
     .arity = -2,
     .flags = admin | noscript | loading | stale,
     .run = acl,
     .parts = acl_parts,
     .group = "server",
     .since = "6.0.0",
     .syntax = "subcommand [argument ...]",
     .summary = "A container for Access List Control commands.",
     .note = "there are no users yet: what reads them shows the default one, the rest is refused"},
    {.name = "bgrewriteaof",
     .arity = 1,
     .flags = admin | noscript | no_multi,
     .run = bgrewriteaof,
     .group = "server",
     .since = "1.0.0",
     .syntax = {},
     .summary = "Asynchronously rewrites the append-only file to disk.",
     .note = "writes a checkpoint of what has changed"},
    {.name = "bgsave",
     .arity = -1,
     .flags = admin | noscript | no_multi,
     .run = bgsave,
     .group = "server",
     .since = "1.0.0",
     .syntax = "[SCHEDULE]",
     .summary = "Asynchronously saves the database(s) to disk.",
     .note = "writes a checkpoint of what has changed"},
    {.name = "config",
     .arity = -2,
     .flags = admin | noscript | loading | stale,
     .run = config,
     .parts = config_parts,
     .group = "server",
     .since = "2.0.0",
     .syntax = "subcommand [argument ...]",
     .summary = "A container for server configuration commands.",
     .note = "the names that clients ask for; most of them can't be changed here, see "
             "deploy/warp.toml.reference"},
    {.name = "debug",
     .arity = -2,
     .flags = admin | noscript | loading | stale,
     .run = debug,
     .parts = debug_parts,
     .group = "server",
     .since = "1.0.0",
     .syntax = "SLEEP seconds",
     .summary = "A container for debugging commands.",
     .note = "SLEEP only, and only the client that asks waits"},
    {.name = "info",
     .arity = -1,
     .flags = loading | stale | dangerous,
     .run = info,
     .group = "server",
     .since = "1.0.0",
     .syntax = "[section [section ...]]",
     .summary = "Returns information and statistics about the server.",
     .note = "the sections and names that exporters read; cluster_enabled is 1, as CLUSTER "
             "answers; redis_mode is cluster in one, and standalone on a node alone, where a "
             "command may name "
             "keys of any slots"},
    {.name = "lastsave",
     .arity = 1,
     .flags = loading | stale | fast | admin,
     .run = lastsave,
     .group = "server",
     .since = "1.0.0",
     .syntax = {},
     .summary = "Returns the Unix timestamp of the last successful save to disk.",
     .note = "of the last SAVE or BGSAVE, or of the start"},
    {.name = "latency",
     .arity = -2,
     .flags = admin | noscript | loading | stale,
     .run = latency,
     .parts = latency_parts,
     .group = "server",
     .since = "2.8.13",
     .syntax = "subcommand [argument ...]",
     .summary = "A container for latency diagnostics commands.",
     .note = "nothing is sampled: see SLOWLOG and /metrics"},
    {.name = "memory",
     .arity = -2,
     .flags = readonly,
     .first_key = 2,
     .last_key = 2,
     .key_step = 1,
     .kind = command_kind::data,
     .run = memory,
     .parts = memory_parts,
     .group = "server",
     .since = "4.0.0",
     .syntax = "subcommand [argument ...]",
     .summary = "A container for memory diagnostics commands.",
     .note = "STATS has the totals only"},
    {.name = "role",
     .arity = 1,
     .flags = admin | noscript | loading | stale | fast,
     .run = role,
     .group = "server",
     .since = "2.8.12",
     .syntax = {},
     .summary = "Returns the replication role.",
     .note = {}},
    {.name = "save",
     .arity = 1,
     .flags = admin | noscript | no_multi,
     .run = save,
     .group = "server",
     .since = "1.0.0",
     .syntax = {},
     .summary = "Synchronously saves the database(s) to disk.",
     .note = "writes a checkpoint of what has changed; others are served meanwhile"},
    {.name = "shutdown",
     .arity = -1,
     .flags = admin | noscript | loading | stale | no_multi | allow_busy,
     .run = shutdown,
     .group = "server",
     .since = "1.0.0",
     .syntax = "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
     .summary = "Synchronously saves the database(s) to disk and shuts down the server.",
     .note = "stops cleanly: what is acknowledged is on disk, with SAVE or without"},
    {.name = "slowlog",
     .arity = -2,
     .flags = admin | loading | stale,
     .run = slowlog,
     .parts = slowlog_parts,
     .group = "server",
     .since = "2.2.12",
     .syntax = "subcommand [argument ...]",
     .summary = "A container for slow log commands.",
     .note =
         "single operations that were carried out together are one entry, with the name and key "
         "of the first one; below 1 ms each is timed"},
    {.name = "time",
     .arity = 1,
     .flags = loading | stale | fast,
     .run = time,
     .group = "server",
     .since = "2.6.0",
     .syntax = {},
     .summary = "Returns the server time.",
     .note = {}},
    {.name = "wait",
     .arity = 3,
     .flags = blocking,
     .run = wait,
     .group = "generic",
     .since = "3.0.0",
     .syntax = "numreplicas timeout",
     .summary = "Blocks until the asynchronous replication of all preceding write commands sent by "
                "the connection is completed.",
     .note = "one node has no replicas: answers 0 at once"},
    {.name = "waitaof",
     .arity = 4,
     .flags = blocking,
     .run = waitaof,
     .group = "generic",
     .since = "7.2.0",
     .syntax = "numlocal numreplicas timeout",
     .summary = "Blocks until all of the preceding write commands sent by the connection are "
                "written to the append-only file.",
     .note = "as in Redis 7.2; waits for the log to have everything that was written until now"},
    {.name = "warp.durability",
     .arity = -1,
     .flags = loading | stale | fast,
     .run = durability_of,
     .group = "warp",
     .since = "7.0.0",
     .syntax = "[memory | async | sync | replicated | durable]",
     .summary = "What the answers of this connection are worth from now on: applied, logged within "
                "100 ms, or on disk. Without a level: the one in force.",
     .note = "of WarpEngine"},
};

} // namespace

std::span<const resp_command> server_commands() {
  return rows;
}

} // namespace warp::cluster
