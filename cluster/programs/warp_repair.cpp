#include "cluster/ndjson.hpp"
#include "cluster/node/node_file.hpp"
#include "cluster/programs/tool.hpp"
#include "storage/path.hpp"
#include "storage/repair.hpp"

#include <chrono>
#include <fmt/format.h>

namespace warp::programs {

namespace {

struct repair_arguments {
  std::string folder;
  storage::repair_options how{.dry_run = false};
};

std::string_view name_of(storage::repair_verdict verdict) {
  switch (verdict) {
  case storage::repair_verdict::starts:
    return "starts";
  case storage::repair_verdict::manifest_only:
    return "manifest_only";
  case storage::repair_verdict::rewrite:
    return "rewrite";
  case storage::repair_verdict::needs_salvage:
    return "needs_salvage";
  }
  return "unknown";
}

std::string json_list(const std::vector<std::string>& texts) {
  std::string list;
  for (const auto& text : texts) {
    list += list.empty() ? "" : ", ";
    cluster::append_json_string(list, cluster::is_utf8(text) ? text : printable(text));
  }
  return "[" + list + "]";
}

void show_json(output& out, const repair_arguments& a, const storage::repair_report& found) {
  std::string shards;
  for (const auto& s : found.shards) {
    std::string missing;
    for (const auto& range : s.missing)
      missing += fmt::format("{}[{}, {}]", missing.empty() ? "" : ", ", range.first, range.last);
    shards +=
        fmt::format("{}{{\"shard\": {}, {}, \"kept_up_to\": {}, \"keys_kept\": {}, \"exact\": "
                    "{}, \"missing\": [{}], \"dropped_records\": {}, \"dropped_keys\": {}}}",
                    shards.empty() ? "" : ", ", s.shard.value,
                    json_bytes("checkpoint", s.checkpoint), s.kept_up_to, s.records_kept, s.exact,
                    missing, s.dropped_records, json_list(s.dropped_keys));
  }
  out.line(fmt::format("{{\"verdict\": \"{}\", \"dry_run\": {}, {}, \"findings\": {}, "
                       "\"may_lose_durable\": {}, \"shards\": [{}], {}, \"actions\": {}}}",
                       name_of(found.verdict), a.how.dry_run, json_bytes("refusal", found.refusal),
                       json_list(found.findings), found.may_lose_durable, shards,
                       json_bytes("put_aside", found.put_aside), json_list(found.actions)));
}

void show_shard(output& out, const storage::shard_repair& s) {
  out.line(fmt::format("shard {}: kept up to record {}, from {}: {} keys{}", s.shard.value,
                       s.kept_up_to, s.checkpoint.empty() ? "the log alone" : s.checkpoint,
                       with_commas(s.records_kept),
                       s.exact ? "" : "; not a state that was there once"));
  for (const auto& range : s.missing)
    out.line(
        fmt::format("  records {} to {} cannot be read and no checkpoint has them (at most {}; "
                    "not every number need have been used)",
                    range.first, range.last, with_commas(range.last - range.first + 1)));
  if (s.dropped_records == 0) return;
  std::string keys;
  for (const auto& key : s.dropped_keys) keys += (keys.empty() ? "" : " ") + printable(key);
  out.line(fmt::format("  {} records behind them would have to go too: of {}{}",
                       with_commas(s.dropped_records), keys,
                       s.dropped_keys.size() < s.dropped_records ? " ..." : ""));
}

void show_text(output& out, const repair_arguments& a, const storage::repair_report& found) {
  if (found.verdict == storage::repair_verdict::starts) {
    out.line(fmt::format("{}: nothing to repair: a start succeeds", a.folder));
    for (const auto& finding : found.findings) out.line("  " + finding);
    return;
  }
  out.line(fmt::format("a start refuses {}:", a.folder));
  out.line("  " + found.refusal);
  if (!found.findings.empty()) out.line("damaged:");
  for (const auto& finding : found.findings) out.line("  " + finding);
  for (const auto& s : found.shards) show_shard(out, s);
  if (found.shards.empty()) out.line("every record that the files tell of is kept");
  if (found.may_lose_durable)
    out.line("writes that were acknowledged as durable may be lost: those above, and any that left "
             "no trace");
  if (found.verdict == storage::repair_verdict::needs_salvage)
    out.line(
        "--salvage is needed: of some shard no state is left that was there once. What it keeps "
        "may hold a later write without an earlier one");
  out.line(a.how.dry_run ? "warp repair would:" : "done:");
  for (const auto& action : found.actions) out.line("  " + action);
}

/// What is repaired is a state that the shard was in once; a copy among several must not fall back
/// behind what it has acknowledged to the others, and what it has of its own need not stand.
bool belongs_to_cluster(tool& t, const std::string& folder) {
  const auto node =
      storage::posix_file_system().exists(storage::join_path(folder, cluster::node_file_name));
  if (!node || !*node) return false;
  t.fail({op_code::not_supported,
          fmt::format("{} is of a node of a cluster, whose other nodes have what it had: start the "
                      "node in a new, empty folder, and it takes a copy from them",
                      folder)},
         "repair");
  t.exit = tool_exit::failure;
  return true;
}

void run(tool& t, repair_arguments& a) {
  if (belongs_to_cluster(t, a.folder)) return;
  a.how.now_ms = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                                std::chrono::system_clock::now().time_since_epoch())
                                                .count());
  const auto found = storage::repair(storage::posix_file_system(), a.folder, a.how);
  if (!found) {
    t.fail(found.status(), "repair");
    if (t.exit == tool_exit::condition || t.exit == tool_exit::unreachable)
      t.exit = tool_exit::failure; // a newer format, a folder in use: no server was asked
    return;
  }
  output out;
  t.json ? show_json(out, a, *found) : show_text(out, a, *found);
  if (!t.check(out.finish(), "repair")) return;
  // So that a script sees it: something is damaged, and still is.
  if (a.how.dry_run && found->verdict != storage::repair_verdict::starts)
    t.exit = tool_exit::failure;
}

} // namespace

void add_repair_command(CLI::App& app, tool& t) {
  const auto a = std::make_shared<repair_arguments>();
  auto* repair = app.add_subcommand(
      "repair", "Make a damaged data folder start again, from what can still be read");
  repair->group("Operation");
  repair->add_option("DATA_FOLDER", a->folder, "Of a server that does not run")->required();
  repair->add_flag("--dry-run", a->how.dry_run,
                   "Say what is damaged and what would be lost, change nothing; exit code 1 when a "
                   "start refuses the folder");
  repair->add_flag("--salvage", a->how.salvage,
                   "Keep what lies behind missing records too: the result may hold a later write "
                   "without an earlier one, and keys that had been erased");
  repair->callback([&t, a] { run(t, *a); });
}

} // namespace warp::programs
