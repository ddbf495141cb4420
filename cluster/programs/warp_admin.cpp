#include "cluster/ndjson.hpp"
#include "cluster/programs/tool.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::programs {

namespace {

std::uint64_t operations_of(const shard_summary& s) {
  return s.gets + s.puts + s.erases + s.other_operations;
}

std::string age_of(std::uint64_t at_ms) {
  using namespace std::chrono;
  if (at_ms == 0) return "-";
  const auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  return readable_duration(
      milliseconds(std::max<std::int64_t>(0, now - static_cast<std::int64_t>(at_ms))));
}

void show_shards_json(const std::vector<shard_summary>& shards, std::uint64_t total) {
  fmt::print("[");
  for (const auto& s : shards) {
    const auto share =
        total == 0 ? 0.0 : static_cast<double>(operations_of(s)) / static_cast<double>(total);
    fmt::print("{}\n  {{\"shard\": {}, \"keys\": {}, \"key_bytes\": {}, \"value_bytes\": {}, "
               "\"record_bytes\": {}, \"index_bytes\": {}, \"gets\": {}, "
               "\"get_hits\": {}, \"puts\": {}, \"erases\": {}, \"other_operations\": {}, "
               "\"load_share\": {:.6f}, \"last_lsn\": {}, \"durable_lsn\": {}, "
               "\"durable_lag_ms\": {}, \"log_records\": {}, \"log_bytes\": {}, \"stalls\": {}, "
               "\"expired\": {}, \"checkpoint_lsn\": {}, "
               "\"checkpoint_at_ms\": {}, \"checkpoint_bytes\": {}, \"accesses_per_s\": {:.3f}, "
               "\"bytes_per_s\": {:.1f}, \"mass\": {:.6f}}}",
               &s == shards.data() ? "" : ",", s.shard.value, s.keys, s.key_bytes, s.value_bytes,
               s.record_bytes, s.index_bytes, s.gets, s.get_hits, s.puts, s.erases,
               s.other_operations, share, s.last_lsn, s.durable_lsn, s.durable_lag_ms,
               s.log_records, s.log_bytes, s.stalls, s.expired, s.checkpoint_lsn,
               s.checkpoint_at_ms, s.checkpoint_bytes, s.accesses_per_s, s.bytes_per_s, s.mass);
  }
  fmt::print("\n]\n");
}

void shards(tool& t) {
  const auto c = t.connect();
  if (!c) return;
  const auto found = c->admin().shards();
  if (!t.check(found.status(), "shards")) return;
  std::uint64_t total = 0, keys = 0, bytes = 0;
  for (const auto& s : *found) {
    total += operations_of(s);
    keys += s.keys;
    bytes += s.key_bytes + s.value_bytes;
  }
  if (t.json) return show_shards_json(*found, total);
  fmt::print("{:>5}  {:>12}  {:>9}  {:>14}  {:>6}  {:>11}  {:>11}  {:>12}  {:>12}  {:>10}\n",
             "shard", "keys", "bytes", "operations", "load", "accesses/s", "mass, KiB/s",
             "last LSN", "durable LSN", "checkpoint");
  for (const auto& s : *found)
    fmt::print(
        "{:>5}  {:>12}  {:>9}  {:>14}  {:>5.1f}%  {:>11.1f}  {:>11.1f}  {:>12}  {:>12}  {:>10}\n",
        s.shard.value, with_commas(s.keys), readable_bytes(s.key_bytes + s.value_bytes),
        with_commas(operations_of(s)),
        total == 0 ? 0.0
                   : 100.0 * static_cast<double>(operations_of(s)) / static_cast<double>(total),
        s.accesses_per_s, s.mass, s.last_lsn, s.durable_lsn, age_of(s.checkpoint_at_ms));
  fmt::print("{:>5}  {:>12}  {:>9}  {:>14}\n", "all", with_commas(keys), readable_bytes(bytes),
             with_commas(total));
}

void checkpoint(tool& t, const std::vector<std::uint32_t>& numbers) {
  const auto c = t.connect();
  if (!c) return;
  std::vector<shard_id> wanted;
  for (const auto n : numbers) wanted.emplace_back(n);
  const auto begin = std::chrono::steady_clock::now();
  if (!t.check(c->admin().checkpoint(wanted), "checkpoint")) return;
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  if (t.json)
    fmt::print("{{\"elapsed_ms\": {}}}\n", took.count());
  else
    fmt::print("checkpoint written in {}\n", readable_duration(took));
}

void tree(tool& t) {
  const auto c = t.connect();
  if (!c) return;
  const auto found = c->admin().tree();
  if (!t.check(found.status(), "chaos")) return;
  if (t.json) {
    fmt::print("[");
    for (const auto& n : *found)
      fmt::print("{}\n  {{{}, {}, \"restarts\": {}, {}}}", &n == found->data() ? "" : ",",
                 json_bytes("path", n.path), json_bytes("state", n.state), n.restarts,
                 json_bytes("last_failure", n.last_failure));
    fmt::print("\n]\n");
    return;
  }
  std::size_t width = 0;
  for (const auto& n : *found) width = std::max(width, n.path.size());
  for (const auto& n : *found)
    fmt::print("{:<{}}  {:<10}  {}{}\n", n.path, width, n.state,
               n.restarts == 0 ? "" : fmt::format("{} restarts", n.restarts),
               n.last_failure.empty() ? "" : fmt::format(", last: {}", printable(n.last_failure)));
}

void kill_actor(tool& t, const std::string& path) {
  const auto c = t.connect();
  if (!c) return;
  if (!t.check(c->admin().chaos(path), "chaos " + path)) return;
  if (t.json)
    fmt::print("{{\"ended\": true}}\n");
  else
    fmt::print("ended {}; `warp chaos` shows what became of it\n", path);
}

void ping(tool& t, std::uint64_t count) {
  const auto c = t.connect();
  if (!c) return;
  std::vector<double> times_us;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto took = c->ping();
    if (!t.check(took.status(), "ping")) return;
    times_us.push_back(static_cast<double>(took->count()) / 1'000);
  }
  std::sort(times_us.begin(), times_us.end());
  const auto info = c->info();
  if (!t.check(info.status(), "ping")) return;
  const auto median = times_us[times_us.size() / 2];
  if (t.json)
    fmt::print("{{\"version\": \"{}\", \"shards\": {}, \"uptime_ms\": {}, \"in_memory_only\": {}, "
               "\"round_trip_us\": {{\"min\": {:.1f}, \"median\": {:.1f}, "
               "\"max\": {:.1f}}}}}\n",
               info->version, info->shard_count, info->uptime.count(), info->in_memory_only,
               times_us.front(), median, times_us.back());
  else
    fmt::print("{} answers: version {}, {} shards, up {}; round trip {:.0f} us (median of {})\n",
               t.server, info->version, info->shard_count, readable_duration(info->uptime), median,
               count);
}

} // namespace

void add_admin_commands(CLI::App& app, tool& t) {
  auto* p = app.add_subcommand("ping", "Is the server there, and how far away");
  p->group("Operation");
  const auto count = std::make_shared<std::uint64_t>(5);
  p->add_option("-n,--count", *count, "Round trips")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  p->callback([&t, count] { ping(t, *count); });

  auto* s = app.add_subcommand("shards", "Keys, bytes, load and log of each shard");
  s->group("Operation");
  s->callback([&t] { shards(t); });

  auto* k = app.add_subcommand("checkpoint", "Write a checkpoint now, and wait for it");
  k->group("Operation");
  const auto numbers = std::make_shared<std::vector<std::uint32_t>>();
  k->add_option("shard", *numbers, "Shards; none: all that have changed");
  auto* dump = add_checkpoint_dump(*k, t);
  k->fallthrough();
  k->callback([&t, numbers, dump] {
    if (!dump->parsed()) checkpoint(t, *numbers);
  });

  auto* x =
      app.add_subcommand("chaos", "Show the supervision tree, or end one of its actors on purpose");
  x->group("Operation");
  const auto path = std::make_shared<std::string>();
  x->add_option("path", *path,
                "Actor to end, as the list names it; it is restarted by its supervisor");
  x->callback([&t, path] { path->empty() ? tree(t) : kill_actor(t, *path); });
}

} // namespace warp::programs
