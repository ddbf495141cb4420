#include "tests/crash/universe.hpp"

#include "storage/backup_repository.hpp"
#include "storage/backup_restore.hpp"
#include "storage/backup_store.hpp"
#include "storage/backup_verify.hpp"
#include "storage/slot.hpp"
#include "tests/support/field_model.hpp"
#include "tests/support/recording_file_system.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace warp::testing {

using storage::engine;

storage::engine_options universe_options::engine(storage::file_system& files,
                                                 std::shared_ptr<const storage::clock> time) const {
  return {.folder = "data",
          .shard_count = shards,
          .wal_streams = streams,
          .segment_bytes = 64 * 1024,
          .direct = direct,
          .wal_max_bytes = wal_max_bytes,
          .write_stall_max = std::chrono::milliseconds{0},
          .flush_interval = flush_interval,
          .compress_min_bytes = 17 * 1024,
          .checkpoint_rate_bytes = 0,
          .checkpoints_kept = checkpoints_kept,
          .table_pages = storage::huge_pages::never,
          .recovery_threads = 1,
          .time = std::move(time),
          .files = &files};
}

std::string make_key(key_kind kind, std::uint32_t shard, std::uint32_t shards,
                     std::uint32_t number) {
  static std::map<std::tuple<key_kind, std::uint32_t, std::uint32_t, std::uint32_t>, std::string>
      known;
  auto& key = known[{kind, shard, shards, number}];
  if (!key.empty()) return key;
  static constexpr const char* prefixes[] = {"k", "e", "m", "w", "h"};
  const auto* prefix = prefixes[static_cast<std::size_t>(kind)];
  for (std::uint32_t i = 0, found = 0; key.empty(); ++i) {
    auto candidate = fmt::format("{}{}", prefix, i);
    if (storage::shard_of(candidate, shards).value == shard && found++ == number)
      key = std::move(candidate);
  }
  return key;
}

namespace {

std::string value_of(const storage::scan_entry& r) {
  return r.type == value_type::hash ? as_value(r.fields()) : std::string{r.value};
}

/// What an open universe shows: a fingerprint by shard, without the keys that are not compared.
std::vector<std::uint64_t> fingerprints(engine& e) {
  std::vector<std::uint64_t> all(e.shard_count());
  storage::scan_page page;
  do {
    if (auto s = e.scan(page.next_cursor, "", 1'000, page, 100'000); !s.ok())
      throw violation{"the scan failed: " + s.to_string()};
    for (const auto& r : page.entries) {
      if (r.key.front() == 'm') {
        if (!r.value.starts_with(r.key))
          throw violation{fmt::format("key {} holds what nobody wrote", r.key)};
        continue;
      }
      all[e.shard_of(r.key).value] ^= fingerprint(r.key, value_of(r), r.version, r.expires_at_ms);
    }
  } while (page.next_cursor != 0);
  return all;
}

std::string shorten(const std::string& value) {
  return value.size() <= 24 ? value
                            : fmt::format("{}... ({} B)", value.substr(0, 24), value.size());
}

[[noreturn]] void fail_content(engine& e, std::uint32_t shard, lsn_t last,
                               const shard_history& with) {
  auto text = fmt::format("shard {} ends at LSN {}", shard, last);
  if (!with.is_boundary(last)) text += ", where no batch ends";
  const auto want = with.content(last);
  std::map<std::string, history_record> got;
  storage::scan_page page;
  do {
    static_cast<void>(e.scan(page.next_cursor, "", 1'000, page, 100'000));
    for (const auto& r : page.entries)
      if (e.shard_of(r.key).value == shard && r.key.front() != 'm')
        got[std::string{r.key}] = {value_of(r), r.version, r.expires_at_ms};
  } while (page.next_cursor != 0);
  for (const auto& [key, r] : want)
    if (const auto it = got.find(key); it == got.end())
      text += fmt::format("; {} (LSN {}) is missing", key, r.version);
    else if (it->second.version != r.version || it->second.value != r.value)
      text +=
          fmt::format("; {} is '{}' of LSN {} instead of '{}' of LSN {}", key,
                      shorten(it->second.value), it->second.version, shorten(r.value), r.version);
  for (const auto& [key, r] : got)
    if (!want.contains(key))
      text += fmt::format("; {} = '{}' of LSN {} should not be there", key, shorten(r.value),
                          r.version);
  throw violation{text};
}

std::unique_ptr<engine> open(const universe_options& options, storage::file_system& files,
                             const std::shared_ptr<const storage::clock>& time) {
  auto opened = engine::open(options.engine(files, time));
  if (!opened) throw violation{"it does not open: " + opened.status().to_string()};
  return std::move(*opened);
}

/// The newest requests that recovery kept are known.
void retry_requests(engine& e, const history& with, const std::vector<lsn_t>& last) {
  for (std::uint32_t s = 0; s < e.shard_count(); ++s) {
    const auto& requests = with.shards[s].requests;
    for (auto it = requests.rbegin(); it != requests.rend(); ++it) {
      if (it->lsn > last[s]) continue;
      operation op{.kind = op_kind::put, .level = durability::async, .key = it->key};
      op.value = it->value;
      op.request = it->id;
      storage::op_reply reply;
      storage::value_arena arena;
      e.execute({&op, 1}, {&reply, 1}, arena);
      if (reply.code != op_code::ok || reply.version != it->lsn)
        throw violation{fmt::format("the retry of request {} of LSN {} answers {} with version {}",
                                    it->id.number, it->lsn, to_string(reply.code), reply.version)};
      break;
    }
  }
}

storage::op_reply probe(engine& e, std::uint32_t shard) {
  const auto key = make_key(key_kind::probe, shard, e.shard_count());
  const operation op{.kind = op_kind::put, .level = durability::sync, .key = key, .value = "probe"};
  storage::op_reply reply;
  storage::value_arena arena;
  e.execute({&op, 1}, {&reply, 1}, arena);
  if (reply.code != op_code::ok)
    throw violation{fmt::format("shard {} refuses a write: {}", shard, to_string(reply.code))};
  return reply;
}

} // namespace

std::vector<lsn_t> compare(engine& e, const history& with) {
  const auto found = fingerprints(e);
  std::vector<lsn_t> last;
  for (std::uint32_t s = 0; s < e.shard_count(); ++s) {
    // Right after the start all that recovery kept is durable, and nothing else.
    last.push_back(e.stats(shard_id{s}).durable_lsn);
    if (!with.shards[s].held(last[s], found[s])) fail_content(e, s, last[s], with.shards[s]);
  }
  for (const auto& t : with.transactions) {
    std::size_t there = 0;
    for (const auto& [shard, lsn] : t) there += lsn <= last[shard] ? 1 : 0;
    if (there != 0 && there != t.size())
      throw violation{fmt::format("a transaction is there in {} of its {} shards (LSN {} of shard "
                                  "{} is one part)",
                                  there, t.size(), t.front().second, t.front().first)};
  }
  return last;
}

void require_durable(const std::vector<lsn_t>& recovered, const promises& promised) {
  for (std::size_t s = 0; s < recovered.size(); ++s)
    if (recovered[s] < promised.durable[s])
      throw violation{fmt::format("shard {} ends at LSN {}, and LSN {} was acknowledged as durable",
                                  s, recovered[s], promised.durable[s])};
}

void check_backups(const universe_options& options, disk_image disk, const history& with,
                   const promises& promised) {
  recording_file_system files{std::move(disk), false};
  const auto store = storage::open_backup_folder(files, backup_folder);
  auto listed = storage::list_backups(*store);
  if (!listed) throw violation{"backups: " + listed.status().to_string()};
  for (const auto& b : promised.backups)
    if (std::none_of(listed->begin(), listed->end(),
                     [&](const auto& l) { return l.name == b.name && l.status.ok(); }))
      throw violation{"the backup " + b.name + " is gone or can't be read"};
  auto verified = storage::verify_backups(*store, {});
  if (!verified) throw violation{"backups: " + verified.status().to_string()};
  if (!verified->problems.empty()) throw violation{"backups: " + verified->problems.front()};
  auto restored = storage::restore_backup(*store, files, "restored", {.threads = 1});
  if (!restored) throw violation{"restoring: " + restored.status().to_string()};
  auto engine_options = options.engine(files, std::make_shared<still_clock>(clock_begin_us));
  engine_options.folder = "restored";
  auto e = engine::open(std::move(engine_options));
  if (!e) throw violation{"what was restored does not open: " + e.status().to_string()};
  const auto last = compare(**e, with);
  for (std::size_t s = 0; s < last.size(); ++s)
    if (last[s] < promised.backups.back().durable[s])
      throw violation{fmt::format("of shard {} LSN {} was restored, and {} was durable before the "
                                  "backup",
                                  s, last[s], promised.backups.back().durable[s])};
}

recovery_outcome check_disk(universe_options options, disk_image disk, const history& with,
                            const promises& promised, bool thorough, bool clean_stop) {
  options.wal_max_bytes = 1u << 30; // a log that is full takes no probes
  recording_file_system files{std::move(disk), false};
  const auto time = std::make_shared<still_clock>(clock_begin_us);
  process_files process{files, options.left_out};
  recovery_outcome outcome;
  std::vector<std::uint64_t> before;
  {
    const auto e = open(options, process, time);
    outcome.last = compare(*e, with);
    require_durable(outcome.last, promised);
    retry_requests(*e, with, outcome.last);
    for (std::uint32_t s = 0; s < options.shards; ++s) {
      const auto reply = probe(*e, s);
      outcome.next.push_back(reply.version);
      if (reply.version <= promised.handed_out[s])
        throw violation{fmt::format("shard {} hands out LSN {} again", s, reply.version)};
    }
    if (!thorough) return outcome;
    for (std::uint32_t s = 0; s < e->stream_count(); ++s)
      e->run_stream(s, std::chrono::milliseconds{0});
    before = fingerprints(*e);
    if (clean_stop)
      if (auto s = e->close(); !s.ok()) throw violation{"it does not stop: " + s.to_string()};
    process.kill();
  }
  files.kill_process();
  process_files next_process{files, options.left_out};
  const auto e = open(options, next_process, time);
  if (clean_stop && !e->recovery().clean) throw violation{"a clean stop is not seen as one"};
  if (fingerprints(*e) != before)
    throw violation{"what a start recovered and then wrote is not there after the next start"};
  retry_requests(*e, with, outcome.last);
  for (std::uint32_t s = 0; s < options.shards; ++s)
    if (const auto reply = probe(*e, s); reply.version <= outcome.next[s])
      throw violation{fmt::format("shard {} hands out LSN {} again", s, reply.version)};
  return outcome;
}

} // namespace warp::testing
