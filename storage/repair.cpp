#include "storage/repair.hpp"

#include "storage/checkpoint_reader.hpp"
#include "storage/checkpoint_salvage.hpp"
#include "storage/checkpoint_writer.hpp"
#include "storage/data_folder.hpp"
#include "storage/folder_evidence.hpp"
#include "storage/path.hpp"
#include "storage/read_only_file_system.hpp"
#include "storage/recovery.hpp"
#include "storage/table_memory.hpp"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <set>

namespace warp::storage {

namespace {

/// After a loss nobody knows how many numbers had been handed out: so many are left out, of 2^48.
constexpr lsn_t skipped_lsns = lsn_t{1} << 32;

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

/// One shard on its way to be rebuilt.
struct rebuilt_shard {
  std::unique_ptr<shard> data;
  const checkpoint_evidence* from = nullptr; ///< null: the log alone
  lsn_t replay_above = 0;
  lsn_t last = 0, reserved = 0;
  epoch_t epoch = 0;
};

class repairer {
public:
  repairer(file_system& files, std::string folder, const repair_options& how)
      : files_(files), folder_(std::move(folder)), how_(how) {}

  op_result<repair_report> go() {
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

private:
  // -- is there anything to do?

  op_result<bool> starts_as_it_is() {
    read_only_file_system view{files_};
    auto warnings = try_start(view, folder_, options_);
    if (warnings.ok()) {
      report_.findings = std::move(*warnings);
      report_.put_aside.clear();
      return true;
    }
    const auto code = warnings.code();
    if (code != op_code::corruption && code != op_code::invalid_argument) return warnings.status();
    report_.refusal = warnings.status().message();
    return false;
  }

  /// A lost or damaged manifest is made from the other files, when these are all there.
  op_result<bool> starts_with_another_manifest() {
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

  // -- what can be kept

  op_status plan() {
    report_.verdict = repair_verdict::rewrite;
    std::vector<segment_scan> scans;
    for (const auto& path : evidence_.segments) {
      auto scan = scan_segment(files_, path, evidence_.universe, evidence_.generation);
      if (!scan)
        scan = salvage_segment(files_, path, evidence_.universe, evidence_.generation,
                               report_.findings);
      if (scan)
        scans.push_back(std::move(*scan));
      else if (scan.code() == op_code::corruption)
        report_.findings.push_back(scan.status().message() + "; nothing of it is used");
      else
        return scan.status();
    }
    auto survey = log_survey::build(std::move(scans), evidence_.shard_count, true);
    if (!survey) return survey.status();
    survey_ = std::move(*survey);
    // As the log was, before anything is cut: what is dropped is named from it.
    for (const auto& scan : survey_.segments())
      as_it_was_.push_back(std::make_shared<segment_info>(*scan.info));

    shards_.resize(evidence_.shard_count);
    for (std::uint32_t s = 0; s < evidence_.shard_count; ++s) plan_shard(s);
    if (!how_.salvage) {
      std::vector<lsn_t> settled;
      for (const auto& s : shards_) settled.push_back(s.from ? s.from->info.end_lsn : 0);
      survey_.cut_transactions(settled);
    }
    for (std::uint32_t s = 0; s < evidence_.shard_count; ++s) {
      auto& to = shards_[s];
      const auto& chain = survey_.shard(shard_id{s});
      to.last = std::max(chain.end, to.from ? to.from->info.end_lsn : 0);
      plans_[s].kept_up_to = to.last;
      to.epoch = std::max(chain.epoch, to.from ? to.from->info.end_epoch : 0);
      to.reserved = std::max({to.reserved, chain.next, to.last}) + skipped_lsns;
    }
    return {};
  }

  /// Is a checkpoint exact together with the log, and how far does the log lead without a hole?
  [[nodiscard]] static std::pair<bool, lsn_t> reach_of(const shard_chain& chain, lsn_t start,
                                                       lsn_t end) {
    auto reached = std::max(chain.end, start);
    for (const auto& gap : chain.gaps)
      if (gap.resumes_at > start) {
        reached = std::max(gap.after, start);
        break;
      }
    return {reached >= end || start == end, std::max(reached, end)};
  }

  void plan_shard(std::uint32_t index) {
    const shard_id id{index};
    const auto& chain = survey_.shard(id);
    auto& to = shards_[index];
    plans_.push_back({.shard = id});
    auto& plan = plans_.back();
    const checkpoint_evidence* newest = nullptr;
    bool any = false; // the shard had a checkpoint, so its log need not begin at 1
    bool exact = false;
    lsn_t reached = 0;
    for (const auto& c : evidence_.checkpoints) {
      if (c.info.shard != id) continue;
      any = true;
      to.reserved = std::max({to.reserved, c.info.reserved_lsn, c.info.end_lsn});
      if (!c.status.ok() || c.header->universe != evidence_.universe ||
          c.header->generation != evidence_.generation)
        continue;
      if (newest == nullptr) newest = &c;
      const auto [is_exact, up_to] = reach_of(chain, c.info.start_lsn, c.info.end_lsn);
      if (!is_exact || (exact && up_to <= reached)) continue;
      exact = true;
      reached = up_to;
      to.from = &c;
    }
    if (evidence_.known.ok() && !evidence_.known->checkpoints[index].empty()) {
      any = true;
      to.reserved = std::max(to.reserved, evidence_.known->checkpoints[index].front().reserved_lsn);
    }
    if (!exact && newest == nullptr) {
      // From the log alone: exact where that begins with the first record there ever was.
      const auto from_log = reach_of(chain, 0, 0);
      exact = !any || from_log.second > 0 || chain.end == 0;
      reached = from_log.second;
      if (any && chain.end == 0) exact = false;
      if (chain.end > 0 && reached == 0) exact = false;
    }
    if (how_.salvage) {
      to.from = newest;
      plan.exact = exact && reached >= chain.end;
      if (newest) plan.exact = plan.exact && to.from == newest;
      reached = std::max(chain.end, newest ? newest->info.end_lsn : 0);
    } else if (!exact) {
      to.from = newest;
      plan.exact = false;
      report_.verdict = repair_verdict::needs_salvage;
      reached = std::max(chain.end, newest ? newest->info.end_lsn : 0);
    }
    to.replay_above = to.from ? to.from->info.start_lsn : 0;
    if (to.from) plan.checkpoint = to.from->path;
    for (const auto& gap : chain.gaps)
      if (gap.resumes_at > std::max(to.replay_above, to.from ? to.from->info.end_lsn : 0))
        plan.missing.push_back(
            {std::max(gap.after, to.from ? to.from->info.end_lsn : 0) + 1, gap.resumes_at});
    // Published up to here, so the log was on disk up to here.
    if (evidence_.known.ok() && !evidence_.known->checkpoints[index].empty()) {
      const auto& published = evidence_.known->checkpoints[index].front();
      if (const auto end = std::max(chain.end, to.from ? to.from->info.end_lsn : 0);
          end < published.end_lsn)
        plan.missing.push_back({end + 1, published.end_lsn});
    }
    if (plan.exact && reached < chain.end) survey_.end_at(id, reached);
  }

  // -- the data in memory

  op_status rebuild() {
    memory_ = std::make_shared<table_memory>();
    for (std::uint32_t s = 0; s < evidence_.shard_count; ++s) {
      auto& to = shards_[s];
      to.data = std::make_unique<shard>(shard_id{s}, options_, time_, memory_);
      if (!plans_[s].exact)
        if (auto status = add_damaged_checkpoints(s); !status.ok()) return status;
      if (to.from == nullptr) continue;
      auto reader = checkpoint_reader::open(files_, to.from->path);
      if (!reader) return reader.status();
      if (auto status = reader->read_records(
              [&](const checkpoint_record& r) { to.data->restore(r.key, r.value, r.meta); });
          !status.ok())
        return status;
      auto section = reader->section(checkpoint_section_requests);
      if (!section) continue;
      if (auto requests = request_window::decode(*section); requests.ok())
        to.data->requests() = std::move(*requests);
    }
    std::vector<replay_range> ranges(shards_.size());
    for (std::size_t s = 0; s < shards_.size(); ++s)
      ranges[s] = {.wanted = true, .above = shards_[s].replay_above};
    for (const auto& scan : survey_.segments()) {
      auto bytes = load_segment(files_, scan.info);
      if (!bytes) return bytes.status();
      if (auto status = replay(*bytes, ranges,
                               [&](const replay_context& at, const log_record& r) -> op_status {
                                 shards_[at.shard.value].data->replay(r, at.timestamp_us);
                                 return {};
                               });
          !status.ok())
        return status;
    }
    if (auto status = name_what_is_dropped(); !status.ok()) return status;
    for (std::size_t s = 0; s < shards_.size(); ++s) {
      auto& plan = plans_[s];
      plan.records_kept = shards_[s].data->records().stats().keys;
      if (plan.missing.empty() && plan.dropped_records == 0 && plan.exact) continue;
      report_.may_lose_durable = true;
      report_.shards.push_back(plan);
    }
    // Even where each hole is known: the end of a log can be missing without a trace.
    report_.may_lose_durable = true;
    return {};
  }

  /// Blocks of newer checkpoints that are damaged: what is in them was there.
  op_status add_damaged_checkpoints(std::uint32_t s) {
    auto& to = shards_[s];
    for (const auto& c : evidence_.checkpoints) {
      if (c.info.shard.value != s || c.status.ok() || !c.header ||
          c.header->universe != evidence_.universe ||
          c.header->generation != evidence_.generation || c.header->shard.value != s)
        continue;
      if (to.from && c.info.sequence < to.from->info.sequence) continue;
      auto found = salvage_checkpoint(files_, c.path, [&](const checkpoint_record& r) {
        to.data->restore(r.key, r.value, r.meta);
      });
      if (!found) continue; // then it is of no use, as its finding says
      report_.findings.push_back(fmt::format("{}: {} records in {} blocks of it can be read",
                                             c.path, found->records, found->blocks));
      to.last = std::max(to.last, found->last_version);
      to.reserved = std::max(to.reserved, found->last_version + skipped_lsns);
    }
    return {};
  }

  op_status name_what_is_dropped() {
    std::vector<replay_range> ranges(shards_.size());
    bool any = false;
    for (std::size_t s = 0; s < shards_.size(); ++s) {
      ranges[s] = {.wanted = true, .above = plans_[s].kept_up_to};
      any = true;
    }
    if (!any) return {};
    std::vector<std::set<std::string>> keys(shards_.size());
    for (const auto& info : as_it_was_) {
      auto bytes = load_segment(files_, info);
      if (!bytes) return bytes.status();
      if (auto status = replay(*bytes, ranges,
                               [&](const replay_context& at, const log_record& r) -> op_status {
                                 auto& plan = plans_[at.shard.value];
                                 ++plan.dropped_records;
                                 if (keys[at.shard.value].size() < how_.keys_max)
                                   keys[at.shard.value].emplace(r.key);
                                 return {};
                               });
          !status.ok())
        return status;
    }
    for (std::size_t s = 0; s < shards_.size(); ++s)
      plans_[s].dropped_keys.assign(keys[s].begin(), keys[s].end());
    return {};
  }

  // -- on disk

  void describe_actions() {
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
    actions.push_back(
        fmt::format("move the log ({} files) and the old checkpoints ({} files) to {}",
                    evidence_.segments.size(), evidence_.checkpoints.size(), report_.put_aside));
  }

  [[nodiscard]] std::string names_of_inexact() const {
    std::string names;
    for (const auto& plan : plans_)
      if (!plan.exact)
        names += fmt::format("{}{}", names.empty() ? "shard " : ", ", plan.shard.value);
    return names;
  }

  op_status copy_manifest() {
    if (auto s = files_.create_folder(report_.put_aside); !s.ok()) return s;
    if (auto s = files_.sync_folder(folder_); !s.ok()) return s;
    auto in = files_.open(join_path(folder_, manifest_file_name), open_mode::read);
    if (in.code() == op_code::not_found) return {};
    if (!in) return in.status();
    auto size = (*in)->size();
    if (!size) return size.status();
    std::string bytes(*size, '\0');
    auto n = (*in)->read_at(0, bytes);
    if (!n) return n.status();
    bytes.resize(*n);
    auto out = files_.open(join_path(report_.put_aside, manifest_file_name), open_mode::create);
    if (!out) return out.status();
    if (auto s = (*out)->write_at(0, bytes); !s.ok()) return s;
    if (auto s = (*out)->sync(); !s.ok()) return s;
    return files_.sync_folder(report_.put_aside);
  }

  op_status move(const std::vector<std::string>& paths, std::string_view sub_folder) {
    if (paths.empty()) return {};
    const auto to = join_path(report_.put_aside, sub_folder);
    if (auto s = files_.create_folder(to); !s.ok()) return s;
    if (auto s = files_.sync_folder(report_.put_aside); !s.ok()) return s;
    for (const auto& path : paths)
      if (auto s = files_.rename(path, join_path(to, path.substr(path.rfind('/') + 1))); !s.ok())
        return s;
    if (auto s = files_.sync_folder(to); !s.ok()) return s;
    return files_.sync_folder(folder_of(paths.front()));
  }

  op_status write_manifest() {
    if (auto s = copy_manifest(); !s.ok()) return s;
    for (const auto sub : {wal_folder_name, checkpoint_folder_name})
      if (auto s = files_.create_folder(join_path(folder_, sub)); !s.ok()) return s;
    // A start removes checkpoints that no manifest names.
    std::vector<std::string> damaged;
    for (const auto& c : evidence_.checkpoints)
      if (!c.status.ok()) damaged.push_back(c.path);
    if (auto s = move(damaged, checkpoint_folder_name); !s.ok()) return s;
    return save_manifest(files_, folder_, manifest_);
  }

  op_status rewrite() {
    if (auto s = copy_manifest(); !s.ok()) return s;
    for (const auto sub : {wal_folder_name, checkpoint_folder_name})
      if (auto s = files_.create_folder(join_path(folder_, sub)); !s.ok()) return s;
    if (auto s = files_.sync_folder(folder_); !s.ok()) return s;
    auto next = manifest_;
    for (std::uint32_t s = 0; s < evidence_.shard_count; ++s) {
      auto info = write_checkpoint(s);
      if (!info) return info.status();
      next.checkpoints[s] = {*info};
    }
    if (auto s = save_manifest(files_, folder_, next); !s.ok()) return s;
    // From here on a start finds what was kept or, until the log is gone, refuses as before.
    if (auto s = move(evidence_.segments, wal_folder_name); !s.ok()) return s;
    std::vector<std::string> old;
    for (const auto& c : evidence_.checkpoints) old.push_back(c.path);
    return move(old, checkpoint_folder_name);
  }

  op_result<checkpoint_info> write_checkpoint(std::uint32_t s) {
    auto& from = shards_[s];
    std::uint64_t sequence = 0;
    for (const auto& c : evidence_.checkpoints)
      if (c.info.shard.value == s) sequence = std::max(sequence, c.info.sequence);
    if (evidence_.known.ok())
      for (const auto& c : evidence_.known->checkpoints[s])
        sequence = std::max(sequence, c.sequence);
    checkpoint_info info{.shard = shard_id{s},
                         .sequence = sequence + 1,
                         .start_lsn = from.last,
                         .end_lsn = from.last,
                         .reserved_lsn = std::min(from.reserved, lsn_max),
                         .start_epoch = from.epoch,
                         .end_epoch = from.epoch,
                         .records = 0,
                         .bytes = 0,
                         .created_at_ms = how_.now_ms};
    const auto path = join_path(join_path(folder_, checkpoint_folder_name),
                                checkpoint_file_name({info.shard, info.sequence}));
    auto writer = checkpoint_writer::create(files_, path,
                                            {.universe = evidence_.universe,
                                             .generation = evidence_.generation,
                                             .shard = info.shard,
                                             .shard_count = evidence_.shard_count,
                                             .start_epoch = info.start_epoch,
                                             .start_lsn = info.start_lsn});
    if (!writer) return writer.status();
    std::uint64_t cursor = 0;
    do {
      cursor = from.data->records().walk(cursor, [&](const record& r) {
        if (auto* large = r.large())
          (*writer)->add(r.key(), blob_ref::share(large), r.meta());
        else
          (*writer)->add(r.key(), r.value(), r.meta());
      });
      if ((*writer)->has_full_blocks())
        if (auto status = (*writer)->write_full_blocks(); !status.ok()) return status;
    } while (cursor != 0);
    if (const auto requests = from.data->requests().encode(); !requests.empty())
      if (auto status = (*writer)->add_section(checkpoint_section_requests, requests); !status.ok())
        return status;
    auto totals = (*writer)->finish({.end_epoch = info.end_epoch,
                                     .end_lsn = info.end_lsn,
                                     .reserved_lsn = info.reserved_lsn,
                                     .created_at_ms = info.created_at_ms});
    if (!totals) return totals.status();
    info.records = totals->records;
    info.bytes = totals->bytes;
    return info;
  }

  file_system& files_;
  const std::string folder_;
  const repair_options how_;
  const engine_options options_;
  const system_clock time_;
  folder_evidence evidence_;
  manifest manifest_; ///< made from the other files
  log_survey survey_;
  std::vector<std::shared_ptr<segment_info>> as_it_was_;
  std::shared_ptr<table_memory> memory_;
  std::vector<rebuilt_shard> shards_;
  std::vector<shard_repair> plans_; ///< by shard
  repair_report report_;
};

} // namespace

op_result<repair_report> repair(file_system& files, const std::string& folder,
                                const repair_options& options) {
  return repairer{files, folder, options}.go();
}

} // namespace warp::storage
