#include "storage/repair.hpp"

#include "storage/data_folder.hpp"
#include "storage/path.hpp"
#include "storage/read_only_file_system.hpp"
#include "storage/recovery.hpp"
#include "storage/repairer.hpp"
#include "storage/segment_scan.hpp"

#include <ctime>
#include <fmt/format.h>

namespace warp::storage {

namespace {

std::string folder_for_damage(const std::string& folder, std::uint64_t now_ms) {
  const auto seconds = static_cast<std::time_t>(now_ms / 1'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", &parts);
  return join_path(folder, fmt::format("damaged-{}", text));
}

/// What a start makes of the folder: its status, and on success what it would warn of.
op_result<std::vector<std::string>> try_start(file_system& files, const std::string& folder,
                                              const engine_options& options) {
  auto opened = data_folder::open(files, folder, 0);
  if (!opened) return opened.status();
  static const system_clock time;
  const auto memory = std::make_shared<table_memory>();
  std::vector<std::unique_ptr<shard>> shards;
  for (std::uint32_t i = 0; i < (*opened)->shard_count(); ++i)
    shards.push_back(std::make_unique<shard>(shard_id{i}, options, time, memory));
  auto found = recover(files, **opened, options, 1, shards);
  if (!found) return found.status();
  return found->report.warnings;
}

} // namespace

op_result<repair_report> repairer::go() {
  auto lock = files_.lock(folder_);
  if (!lock) return lock.status();
  auto evidence = read_evidence(files_, folder_);
  if (!evidence) return evidence.status();
  evidence_ = std::move(*evidence);
  manifest_ = rebuilt_manifest(evidence_);
  report_.put_aside = folder_for_damage(folder_, how_.now_ms);

  auto done = starts_as_it_is();
  if (!done) return done.status();
  if (*done) return std::move(report_);
  for (const auto& c : evidence_.checkpoints)
    if (!c.status.ok()) report_.findings.push_back(c.status.message());
  done = starts_with_another_manifest();
  if (!done) return done.status();
  if (!*done) {
    if (auto s = plan(); !s.ok()) return s;
    if (auto s = rebuild(); !s.ok()) return s;
  }
  describe_actions();
  if (how_.dry_run) return std::move(report_);
  if (report_.verdict == repair_verdict::needs_salvage)
    return op_status{op_code::not_supported,
                     fmt::format("{}: of {} no state is left that was there once. With --salvage "
                                 "all that can be read is kept; nothing was changed",
                                 folder_, names_of_inexact())};
  if (auto s = report_.verdict == repair_verdict::manifest_only ? write_manifest() : rewrite();
      !s.ok())
    return s;
  return std::move(report_);
}

op_result<bool> repairer::starts_as_it_is() {
  read_only_file_system view{files_};
  auto warnings = try_start(view, folder_, options_);
  if (warnings.ok()) {
    report_.findings = std::move(*warnings);
    report_.put_aside.clear();
    return true;
  }
  const auto code = warnings.code();
  if (code != op_code::corruption && code != op_code::invalid_argument &&
      !may_be_damage(warnings.status()))
    return warnings.status();
  report_.refusal = warnings.status().message();
  return false;
}

/// A lost or damaged manifest is made from the other files, when these are all there.
op_result<bool> repairer::starts_with_another_manifest() {
  const bool stale = evidence_.known.ok() && evidence_.known->starts < evidence_.newest_start;
  if (evidence_.known.ok() && !stale) return false;
  read_only_file_system view{files_};
  view.lay_over(join_path(folder_, manifest_file_name), encode_manifest(manifest_));
  auto warnings = try_start(view, folder_, options_);
  if (!warnings.ok()) return false;
  report_.verdict = repair_verdict::manifest_only;
  report_.findings.insert(report_.findings.end(), warnings->begin(), warnings->end());
  // Where the log ended after a clean stop, and which checkpoints there were, stood only there.
  report_.may_lose_durable = true;
  return true;
}

void repairer::describe_actions() {
  auto& actions = report_.actions;
  const auto manifest_path = join_path(folder_, manifest_file_name);
  if (report_.verdict == repair_verdict::manifest_only) {
    actions.push_back(fmt::format("keep a copy of what is replaced in {}", report_.put_aside));
    actions.push_back(fmt::format("write {} from what the other files say", manifest_path));
    return;
  }
  actions.push_back(fmt::format("write a new checkpoint of each of {} shards from the records "
                                "that are kept",
                                evidence_.shard_count));
  actions.push_back(fmt::format("write {} that names them", manifest_path));
  actions.push_back(fmt::format("move the log ({} files) and the old checkpoints ({} files) to {}",
                                evidence_.segments.size(), evidence_.checkpoints.size(),
                                report_.put_aside));
}

std::string repairer::names_of_inexact() const {
  std::string names;
  for (const auto& plan : plans_)
    if (!plan.exact)
      names += fmt::format("{}{}", names.empty() ? "shard " : ", ", plan.shard.value);
  return names;
}

op_result<repair_report> repair(file_system& files, const std::string& folder,
                                const repair_options& options) {
  return repairer{files, folder, options}.go();
}

} // namespace warp::storage
