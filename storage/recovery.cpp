#include "storage/recovery.hpp"

#include "storage/checkpoint_reader.hpp"
#include "storage/no_memory.hpp"
#include "storage/parallel.hpp"
#include "storage/path.hpp"
#include "storage/planted.hpp"

#include <chrono>
#include <fmt/format.h>
#include <map>
#include <mutex>

namespace warp::storage {

namespace {

using steady = std::chrono::steady_clock;

/// The first failure of many threads.
class first_failure {
public:
  void note(op_status status) {
    if (status.ok()) return;
    std::lock_guard hold{mutex_};
    if (status_.ok()) status_ = std::move(status);
    failed_.store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] bool any() const noexcept { return failed_.load(std::memory_order_relaxed); }
  [[nodiscard]] op_status take() { return std::move(status_); }

private:
  std::mutex mutex_;
  op_status status_;
  std::atomic<bool> failed_{false};
};

/// Adds up what the threads have done and passes it on a few times a second.
class progress_meter {
public:
  explicit progress_meter(const engine_options& options) : report_(options.on_progress) {}
  void expect(std::uint64_t bytes) { now_.bytes_total += bytes; }
  void add(std::uint64_t records, std::uint64_t bytes) {
    std::lock_guard hold{mutex_};
    now_.records += records;
    now_.bytes_done += bytes;
    if (!report_ || steady::now() - last_ < std::chrono::milliseconds{250}) return;
    last_ = steady::now();
    report_(now_);
  }
  void finish() {
    if (report_) report_(now_);
  }

private:
  const std::function<void(const recovery_progress&)>& report_;
  std::mutex mutex_;
  recovery_progress now_;
  steady::time_point last_{};
};

/// So many LSNs a shard must have left: what its log reserves at a start has to fit, or the log
/// could not be read again.
constexpr lsn_t lsns_for_a_start = lsn_t{1} << 24;

class run {
public:
  run(file_system& files, const data_folder& folder, const engine_options& options,
      std::uint32_t threads, const std::vector<std::unique_ptr<shard>>& shards)
      : files_(files), folder_(folder), threads_(threads), shards_(shards),
        replicated_(options.replicated), meter_(options) {
    result_.shards.resize(shards.size());
  }

  op_result<recovered> go() {
    const auto began = steady::now();
    auto survey = read_log();
    if (!survey) return survey.status();
    for (std::size_t s = 0; s < shards_.size(); ++s)
      for (const auto& info : folder_.checkpoints(shard_id{static_cast<std::uint32_t>(s)})) {
        meter_.expect(info.bytes);
        break;
      }
    meter_.expect(survey->bytes());

    if (auto status = load_checkpoints(); !status.ok()) return status;
    std::vector<lsn_t> checkpoint_lsn;
    for (const auto& s : result_.shards) checkpoint_lsn.push_back(s.checkpoint.end_lsn);
    result_.report.transactions_cut = survey->cut_transactions(checkpoint_lsn);
    if (auto status = check_gaps(*survey); !status.ok()) return status;
    if (auto status = check_end(*survey); !status.ok()) return status;
    // What the replay will build on must not vanish in the next crash.
    if (auto status = survey->sync_tails(files_); !status.ok()) return status;
    if (auto status = replay_log(*survey); !status.ok()) return status;

    for (std::size_t s = 0; s < shards_.size(); ++s) {
      const auto& chain = survey->shard(shard_id{static_cast<std::uint32_t>(s)});
      auto& shard = result_.shards[s];
      const auto& checkpoint = shard.checkpoint;
      shard.position = {.last = std::max(chain.end, checkpoint.end_lsn),
                        .next = std::max(chain.next, checkpoint.end_lsn + 1),
                        .epoch = std::max(chain.epoch, checkpoint.end_epoch)};
      // After an unclean stop every LSN of the reservation may have been handed out; without a log
      // (a restored folder) the checkpoint alone knows.
      if (!chain.clean || !chain.seen)
        shard.position.next = std::max(shard.position.next, checkpoint.reserved_lsn + 1);
      if (shard.position.next > lsn_max - lsns_for_a_start)
        return op_status{op_code::corruption,
                         fmt::format("{}: shard {} has versions up to {} in use, which leaves none "
                                     "to write with; the last one is {}",
                                     folder_.wal_path(), s, shard.position.next - 1, lsn_max)};
    }
    result_.segments = survey->infos();
    result_.timestamp_us = survey->timestamp_us_max();
    auto& report = result_.report;
    report.clean = survey->clean();
    report.torn_bytes = survey->torn_bytes();
    report.log_bytes = survey->bytes();
    report.duration_ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(steady::now() - began).count());
    meter_.finish();
    return std::move(result_);
  }

private:
  op_result<log_survey> read_log() {
    auto paths = list_segments(files_, folder_.wal_path());
    if (!paths) return paths.status();
    std::vector<segment_scan> scans(paths->size());
    first_failure failure;
    parallel_for(threads_, paths->size(), [&](std::size_t i) {
      if (failure.any()) return;
      auto scan = unless_no_memory("start", [&] {
        return scan_segment(files_, (*paths)[i], folder_.universe(), folder_.generation());
      });
      if (scan)
        scans[i] = std::move(*scan);
      else
        failure.note(scan.status());
    });
    if (failure.any()) return failure.take();
    auto survey = log_survey::build(std::move(scans), static_cast<std::uint32_t>(shards_.size()));
    // A start is in the manifest before its first segment is made.
    if (survey && survey->start_max() > folder_.start_number())
      return op_status{
          op_code::corruption,
          fmt::format("{}: it is older than the log: it knows of {} starts, {} is of start {}; "
                      "nothing was changed",
                      join_path(folder_.path(), manifest_file_name), folder_.start_number(),
                      survey->segments().back().info->path, survey->start_max())};
    return survey;
  }

  op_status load_checkpoints() {
    first_failure failure;
    parallel_for(threads_, shards_.size(), [&](std::size_t s) {
      if (!failure.any())
        failure.note(unless_no_memory("start", [&] { return load_checkpoint(*shards_[s]); }));
    });
    return failure.take();
  }

  /// The newest good one. What is damaged is passed over: whether the log makes up for it is
  /// check_gaps()'s question.
  op_status load_checkpoint(shard& s) {
    for (const auto& info : folder_.checkpoints(s.id())) {
      auto status = try_checkpoint(s, info);
      if (status.ok()) {
        result_.shards[s.id().value].checkpoint = info;
        meter_.add(info.records, info.bytes);
        std::lock_guard hold{mutex_};
        result_.report.checkpoint_records += info.records;
        return {};
      }
      s.clear();
      if (status.code() != op_code::corruption && status.code() != op_code::not_found)
        return status;
      std::lock_guard hold{mutex_};
      if (result_.shards[s.id().value].checkpoint.sequence == 0)
        newest_failure_.try_emplace(s.id().value, status.message());
      result_.damaged.push_back(info);
      result_.report.warnings.push_back(fmt::format("checkpoint {} of shard {} is passed over: {}",
                                                    info.sequence, s.id().value, status.message()));
    }
    return {};
  }

  op_status try_checkpoint(shard& s, const checkpoint_info& info) {
    const auto path = folder_.checkpoint_path(s.id(), info.sequence);
    auto reader = checkpoint_reader::open(files_, path);
    if (!reader) return reader.status();
    const auto& header = reader->header();
    if (header.universe != folder_.universe() || header.generation != folder_.generation() ||
        header.shard != s.id() || header.shard_count != folder_.shard_count())
      return {op_code::corruption, path + ": it belongs to another universe, generation or shard"};
    const auto& end = reader->end();
    if (header.start_lsn != info.start_lsn || end.end_lsn != info.end_lsn ||
        end.created_at_ms != info.created_at_ms || reader->file_bytes() != info.bytes ||
        reader->record_count() != info.records)
      return {op_code::corruption,
              path + ": it is another checkpoint of its shard than the one the manifest names"};
    if (auto status = reader->read_records(
            [&](const checkpoint_record& r) { s.restore(r.key, r.value, r.meta); });
        !status.ok())
      return status;
    if (replicated_)
      if (auto status = read_place(*reader, result_.shards[s.id().value].place); !status.ok())
        return {op_code::corruption, path + ": " + status.message()};
    auto section = reader->section(checkpoint_section_requests);
    if (section.code() == op_code::not_found) return {};
    if (!section) return section.status();
    auto requests = request_window::decode(*section);
    if (!requests) return {op_code::corruption, path + ": " + requests.status().message()};
    s.requests() = std::move(*requests);
    return {};
  }

  op_status check_gaps(const log_survey& survey) {
    for (std::size_t s = 0; s < shards_.size(); ++s) {
      const auto covered = result_.shards[s].checkpoint.start_lsn;
      const auto& chain = survey.shard(shard_id{static_cast<std::uint32_t>(s)});
      for (const auto& gap : chain.gaps)
        if (gap.resumes_at > covered)
          return {
              op_code::corruption,
              fmt::format("shard {}: log records {} to {} are missing before {} at offset {}{}, "
                          "and no checkpoint covers them (the newest good one reaches {}{}); "
                          "nothing was changed",
                          s, gap.after + 1, gap.resumes_at, gap.path, gap.offset,
                          gap.path_before.empty() ? std::string{}
                                                  : fmt::format(" (behind {}, which ends at {})",
                                                                gap.path_before, gap.end_before),
                          covered, failure_of(s))};
      const auto published = folder_.checkpoints(shard_id{static_cast<std::uint32_t>(s)});
      if (published.empty()) continue;
      // A checkpoint is published when the log is on disk up to its end; without that log only one
      // that nothing was written beside is exact.
      const auto& newest = published.front();
      const bool exact = newest.start_lsn == newest.end_lsn &&
                         result_.shards[s].checkpoint.sequence == newest.sequence;
      if (!exact && chain.end < newest.end_lsn)
        return {op_code::corruption,
                fmt::format("shard {}: its log ends at record {} in {}, before record {} where {} "
                            "ends{}; nothing was changed",
                            s, chain.end, chain.path.empty() ? folder_.wal_path() : chain.path,
                            newest.end_lsn, folder_.checkpoint_path(newest.shard, newest.sequence),
                            failure_of(s))};
    }
    return {};
  }

  /// Is the end of the log there? The manifest knows of the newest start, and after a clean stop
  /// how far it got.
  op_status check_end(const log_survey& survey) {
    if (const auto path = survey.without_successor(); !path.empty())
      return {op_code::corruption,
              fmt::format("{}: it was sealed when the next segment of its stream was there, which "
                          "is missing now; nothing was changed",
                          path)};
    std::uint64_t reached = 0;
    std::string last;
    for (std::size_t s = 0; s < shards_.size(); ++s) {
      const auto& chain = survey.shard(shard_id{static_cast<std::uint32_t>(s)});
      if (chain.start < folder_.log_start())
        return {
            op_code::corruption,
            fmt::format("{}/{:010}-*: shard {} has no log of start {}, which the manifest knows "
                        "of{}; nothing was changed",
                        folder_.wal_path(), folder_.log_start(), s, folder_.log_start(),
                        chain.path.empty() ? std::string{}
                                           : fmt::format(" (its newest is in {})", chain.path))};
      reached += std::max(chain.end, result_.shards[s].checkpoint.end_lsn);
      if (last.find(chain.path) == last.npos) last += (last.empty() ? "" : ", ") + chain.path;
    }
    if (reached < folder_.log_reaches())
      return {op_code::corruption,
              fmt::format("the end of the log is missing: {} records that were there at the last "
                          "clean stop are not in {}; nothing was changed",
                          folder_.log_reaches() - reached, last)};
    return {};
  }

  /// Why the newest checkpoint of a shard was passed over; empty when it was not.
  [[nodiscard]] std::string failure_of(std::size_t shard) const {
    const auto it = newest_failure_.find(static_cast<std::uint32_t>(shard));
    return it == newest_failure_.end() ? std::string{}
                                       : "; the newest is passed over: " + it->second;
  }

  op_status replay_log(const log_survey& survey) {
    for (std::size_t s = 0; s < shards_.size(); ++s) {
      auto& to = result_.shards[s];
      to.commit = std::max(survey.shard(shard_id{static_cast<std::uint32_t>(s)}).commit,
                           to.checkpoint.end_lsn);
    }
    const auto workers = std::min<std::size_t>(threads_, shards_.size());
    std::vector<std::vector<replay_range>> ranges(workers,
                                                  std::vector<replay_range>(shards_.size()));
    for (std::size_t s = 0; s < shards_.size(); ++s)
      ranges[s % workers][s] = {.wanted = true,
                                .above = planted(mistake::replay_from_end)
                                             ? result_.shards[s].checkpoint.end_lsn
                                             : result_.shards[s].checkpoint.start_lsn,
                                .up_to = replicated_ ? result_.shards[s].commit : lsn_max};
    segment_bytes memory; // used again for each
    for (const auto& segment : survey.segments()) {
      auto bytes = load_segment(files_, segment.info, std::move(memory));
      if (!bytes) return bytes.status();
      first_failure failure;
      parallel_for(static_cast<std::uint32_t>(workers), workers, [&](std::size_t w) {
        std::uint64_t records = 0;
        const auto apply = [&](const replay_context& at, const log_record& r) -> op_status {
          shards_[at.shard.value]->replay(r, at.timestamp_us);
          ++result_.shards[at.shard.value].log_records;
          ++records;
          return {};
        };
        failure.note(unless_no_memory("start", [&] { return replay(*bytes, ranges[w], apply); }));
        meter_.add(records, 0);
        std::lock_guard hold{mutex_};
        result_.report.log_records += records;
      });
      if (failure.any()) return failure.take();
      meter_.add(0, bytes->size);
      memory = std::move(*bytes);
    }
    return {};
  }

  file_system& files_;
  const data_folder& folder_;
  const std::uint32_t threads_;
  const std::vector<std::unique_ptr<shard>>& shards_;
  const bool replicated_;
  progress_meter meter_;
  std::mutex mutex_; // guards the members below while threads are at work
  std::map<std::uint32_t, std::string> newest_failure_; ///< by shard
  recovered result_;
};

} // namespace

op_result<recovered> recover(file_system& files, const data_folder& folder,
                             const engine_options& options, std::uint32_t threads,
                             const std::vector<std::unique_ptr<shard>>& shards) {
  return run{files, folder, options, threads, shards}.go();
}

} // namespace warp::storage
