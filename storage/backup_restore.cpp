#include "storage/backup_restore.hpp"

#include "storage/backup_archive.hpp"
#include "storage/backup_repository.hpp"
#include "storage/checkpoint_writer.hpp"
#include "storage/data_folder.hpp"
#include "storage/folder_chain.hpp"
#include "storage/log_replay.hpp"
#include "storage/parallel.hpp"
#include "storage/path.hpp"
#include "storage/shard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <thread>

namespace warp::storage {

namespace {

/// Reads the heads of all record frames of a segment.
template <class Visitor>
op_status visit_frames(file_system& files, const std::shared_ptr<segment_info>& info,
                       Visitor&& visit) {
  auto segment = load_segment(files, info);
  if (!segment) return segment.status();
  const std::string_view bytes{segment->data.get(), segment->size};
  for (std::uint64_t at = segment_header_bytes; at < bytes.size();) {
    const auto frame = peek_frame(bytes.substr(at), info->header.id);
    if (!frame)
      return {op_code::corruption, fmt::format("{}: at {}: a damaged frame", info->path, at)};
    if (frame->kind == frame_kind::records && frame->count != 0) visit(*frame);
    at += padded(frame->length);
  }
  return {};
}

class restorer {
public:
  restorer(backup_store& store, file_system& files, const std::string& folder,
           const restore_options& options)
      : store_(store), files_(files), folder_(folder), options_(options),
        threads_(options.threads != 0 ? options.threads
                                      : std::max(1u, std::thread::hardware_concurrency())) {}

  op_result<restore_report> go() {
    if (auto s = choose(); !s.ok()) return s;
    if (auto s = take_folder(); !s.ok()) return s;
    if (auto s = find_base(); !s.ok()) return s;
    if (auto s = next_lsns(); !s.ok()) return s;
    const auto count = shard_count();
    made_.universe = archive_->base().universe;
    made_.generation = make_generation();
    made_.checkpoints.resize(count);
    for (std::uint32_t first = 0; first < count;) {
      const auto end = group_from(first);
      if (auto s = restore_group(first, end); !s.ok()) return s;
      first = end;
    }
    if (auto s = publish(); !s.ok()) return s;
    return std::move(report_);
  }

private:
  [[nodiscard]] std::uint32_t shard_count() const {
    return static_cast<std::uint32_t>(chain_.back().shards.size());
  }
  [[nodiscard]] bool wanted(std::uint32_t shard) const {
    return !options_.shard || options_.shard->value == shard;
  }

  // -- what from

  op_status choose() {
    auto name = options_.name;
    if (name.empty() && options_.to_us)
      if (auto s = choose_by_time(name); !s.ok()) return s;
    auto chain = backup_chain(store_, name);
    if (!chain) return chain.status();
    chain_ = std::move(*chain);
    const auto& newest = chain_.back();
    if (options_.to_us && *options_.to_us > newest.taken_us)
      return {op_code::invalid_argument,
              fmt::format("backup {} was taken {} us before that moment", newest.name,
                          *options_.to_us - newest.taken_us)};
    if (options_.to_lsn && !options_.shard)
      return {op_code::invalid_argument, "an LSN is that of a shard: name it too"};
    if (options_.shard && options_.shard->value >= shard_count())
      return {op_code::invalid_argument, fmt::format("there is no shard {}: they are 0 to {}",
                                                     options_.shard->value, shard_count() - 1)};
    if (options_.to_lsn && *options_.to_lsn > last_of(newest))
      return {op_code::invalid_argument,
              fmt::format("the log of shard {} ends at LSN {} in backup {}", options_.shard->value,
                          last_of(newest), newest.name)};
    // No more log than it takes: the first backup that has the moment.
    while (chain_.size() > 1 && has_moment(chain_[chain_.size() - 2])) chain_.pop_back();
    report_.name = chain_.back().name;
    report_.taken_us = chain_.back().taken_us;
    return {};
  }

  /// The newest backup in whose range the moment lies.
  op_status choose_by_time(std::string& name) {
    auto all = list_backups(store_);
    if (!all) return all.status();
    std::uint64_t first = ~std::uint64_t{0}, last = 0;
    for (const auto& backup : *all) {
      if (!backup.status.ok()) continue;
      first = std::min(first, backup.from_us);
      last = std::max(last, backup.manifest.taken_us);
      if (backup.from_us <= *options_.to_us && *options_.to_us <= backup.manifest.taken_us)
        name = backup.name;
    }
    if (!name.empty()) return {};
    if (last == 0)
      return {op_code::not_found,
              fmt::format("{}: there is no backup in this repository", store_.describe())};
    return {op_code::invalid_argument,
            fmt::format("no backup reaches that moment: see the ranges in the list (the first "
                        "begins at {} us, the last ends at {} us since 1970)",
                        first, last)};
  }

  [[nodiscard]] lsn_t last_of(const backup_manifest& m) const {
    return m.shards[options_.shard->value].last;
  }
  [[nodiscard]] bool has_moment(const backup_manifest& m) const {
    if (options_.to_us) return m.taken_us >= *options_.to_us;
    return options_.to_lsn && last_of(m) >= *options_.to_lsn;
  }

  /// The newest backup whose checkpoints hold nothing from after the moment.
  op_status find_base() {
    op_status why;
    for (auto base = chain_.size(); base-- > 0;) {
      const auto& m = chain_[base];
      const bool may_be = !options_.to_us || m.base_us <= *options_.to_us || base == 0;
      if (!may_be) continue;
      auto fits = try_base(base);
      if (!fits) return fits.status();
      if (*fits) {
        report_.base = m.name;
        return {};
      }
      if (!options_.to_us && !options_.to_lsn) break; // another base would not help
    }
    if (!options_.to_us && !options_.to_lsn)
      return {op_code::corruption,
              fmt::format("backup {}: its log ends before its checkpoints", chain_.back().name)};
    return {op_code::invalid_argument,
            fmt::format("no backup has checkpoints from before that moment: the first one that "
                        "can be restored is {} us since 1970",
                        chain_.front().base_us)};
  }

  op_result<bool> try_base(std::size_t base) {
    auto archive = backup_archive::open(store_, std::span{chain_}.subspan(base));
    if (!archive) return archive.status();
    archive_ = std::move(*archive);
    auto survey = archive_->survey();
    if (!survey) return survey.status();
    survey_ = std::make_unique<log_survey>(std::move(*survey));
    if (options_.to_us)
      if (auto s = end_at_time(*options_.to_us); !s.ok()) return s;
    if (options_.to_lsn) survey_->end_at(*options_.shard, *options_.to_lsn);

    const auto& shards = archive_->base().shards;
    std::vector<lsn_t> checkpoint_lsn;
    for (const auto& shard : shards)
      checkpoint_lsn.push_back(shard.checkpoint ? shard.checkpoint->info.end_lsn : 0);
    report_.transactions_cut = survey_->cut_transactions(checkpoint_lsn);
    if (auto s = archive_->check(*survey_); !s.ok()) return s;
    for (std::uint32_t i = 0; i < shards.size(); ++i)
      if (survey_->shard(shard_id{i}).end < checkpoint_lsn[i]) return false;
    // A transaction that is cut in one shard must not stand in the checkpoint of another one.
    return options_.shard || !survey_->cuts_into(checkpoint_lsn);
  }

  /// Ends each shard's log before its first frame from after the moment.
  op_status end_at_time(std::uint64_t us) {
    std::vector<std::optional<lsn_t>> end(shard_count());
    for (const auto& segment : survey_->segments()) {
      if (segment.timestamp_us <= us) continue;
      if (auto s = visit_frames(*archive_, segment.info,
                                [&](const frame_header& frame) {
                                  auto& e = end[frame.shard.value];
                                  if (!e && frame.timestamp_us > us) e = frame.previous;
                                });
          !s.ok())
        return s;
    }
    for (std::uint32_t i = 0; i < end.size(); ++i)
      if (end[i]) survey_->end_at(shard_id{i}, *end[i]);
    return {};
  }

  /// LSNs that nobody has seen: above all that any backup knows of, and more.
  op_status next_lsns() {
    reserved_.assign(shard_count(), 0);
    auto all = list_backups(store_);
    if (!all) return all.status();
    for (const auto& backup : *all)
      for (std::size_t i = 0; backup.status.ok() && i < backup.manifest.shards.size(); ++i)
        if (i < reserved_.size())
          reserved_[i] = std::max(reserved_[i], backup.manifest.shards[i].reserved);
    for (auto& lsn : reserved_) {
      if (lsn > lsn_max - restore_lsn_skip - (lsn_t{1} << 32))
        return {op_code::not_supported,
                fmt::format("the shard's LSNs are used up ({}): load a dump of the data into a new "
                            "universe instead",
                            lsn)};
      lsn += restore_lsn_skip;
    }
    return {};
  }

  // -- where to

  op_status take_folder() {
    auto there = files_.exists(folder_);
    if (!there) return there.status();
    if (*there) {
      auto names = files_.list(folder_);
      if (!names) return names.status();
      for (const auto& name : *names) {
        if (name == restore_marker_name)
          return {op_code::invalid_argument,
                  fmt::format("{}: another restore into this folder did not come to its end: "
                              "remove the folder, then try again",
                              folder_)};
        if (name != "lost+found" && name != "lock")
          return {op_code::invalid_argument,
                  fmt::format("{} is not empty, it holds '{}': a restore needs a new or an empty "
                              "folder",
                              folder_, name)};
      }
    }
    auto chain = folder_chain::make(files_, folder_);
    if (!chain) return chain.status();
    if (auto s = chain->sync(); !s.ok()) return s;
    auto lock = files_.lock(folder_);
    if (!lock) return lock.status();
    lock_ = std::move(*lock);
    auto marker = files_.open(join_path(folder_, restore_marker_name), open_mode::create);
    if (!marker) return marker.status();
    if (auto s = (*marker)->write_at(
            0, "A restore into this folder did not come to its end: remove the folder.\n");
        !s.ok())
      return s;
    if (auto s = (*marker)->sync(); !s.ok()) return s;
    for (const auto name : {wal_folder_name, checkpoint_folder_name})
      if (auto s = files_.create_folder(join_path(folder_, name)); !s.ok()) return s;
    return files_.sync_folder(folder_);
  }

  op_status publish() {
    if (auto s = files_.sync_folder(join_path(folder_, wal_folder_name)); !s.ok()) return s;
    if (auto s = save_manifest(files_, folder_, made_); !s.ok()) return s;
    if (auto s = files_.remove(join_path(folder_, restore_marker_name)); !s.ok()) return s;
    return files_.sync_folder(folder_);
  }

  // -- shard by shard

  /// How many shards from `first` on are restored together.
  [[nodiscard]] std::uint32_t group_from(std::uint32_t first) const {
    std::uint64_t bytes = 0;
    auto end = first;
    for (; end < shard_count(); ++end) {
      const auto& checkpoint = archive_->base().shards[end].checkpoint;
      if (wanted(end) && checkpoint) bytes += checkpoint->info.bytes;
      if (end != first && bytes > options_.memory_bytes) break;
    }
    return end;
  }

  op_status restore_group(std::uint32_t first, std::uint32_t end) {
    const auto memory = std::make_shared<table_memory>();
    std::vector<std::unique_ptr<shard>> shards(shard_count());
    for (auto i = first; i < end; ++i)
      shards[i] = std::make_unique<shard>(shard_id{i}, engine_options_, clock_, memory);
    if (auto s = each(first, end, [&](std::uint32_t i) { return load_checkpoint(*shards[i]); });
        !s.ok())
      return s;
    if (auto s = replay_log(shards, first, end); !s.ok()) return s;
    return each(first, end, [&](std::uint32_t i) {
      auto status = write_checkpoint(*shards[i]);
      shards[i].reset();
      return status;
    });
  }

  /// Calls work(i) for each shard of a group, on some threads; the first failure.
  template <class Work>
  op_status each(std::uint32_t first, std::uint32_t end, Work&& work) {
    op_status failure;
    parallel_for(threads_, end - first, [&](std::size_t i) {
      {
        std::lock_guard hold{mutex_};
        if (!failure.ok()) return;
      }
      auto status = work(first + static_cast<std::uint32_t>(i));
      std::lock_guard hold{mutex_};
      if (failure.ok()) failure = std::move(status);
    });
    return failure;
  }

  op_status load_checkpoint(shard& s) {
    const auto& checkpoint = archive_->base().shards[s.id().value].checkpoint;
    if (!wanted(s.id().value) || !checkpoint) return {};
    auto reader =
        checkpoint_reader::open(*archive_, backup_archive::checkpoint_path(checkpoint->info));
    if (!reader) return reader.status();
    if (auto status = check_checkpoint(*reader, archive_->base(), checkpoint->info); !status.ok())
      return status;
    if (auto status = reader->read_records(
            [&](const checkpoint_record& r) { s.restore(r.key, r.value, r.meta); });
        !status.ok())
      return status;
    auto section = reader->section(checkpoint_section_requests);
    if (section.code() == op_code::not_found) return {};
    if (!section) return section.status();
    auto requests = request_window::decode(*section);
    if (!requests) return requests.status();
    s.requests() = std::move(*requests);
    return {};
  }

  op_status replay_log(const std::vector<std::unique_ptr<shard>>& shards, std::uint32_t first,
                       std::uint32_t end) {
    const auto workers = std::min<std::uint32_t>(threads_, end - first);
    std::vector<std::vector<replay_range>> ranges(workers,
                                                  std::vector<replay_range>(shard_count()));
    for (auto i = first; i < end; ++i) {
      const auto& checkpoint = archive_->base().shards[i].checkpoint;
      if (!wanted(i)) continue;
      auto& range = ranges[i % workers][i];
      range = {.wanted = true, .above = checkpoint ? checkpoint->info.start_lsn : 0};
      // Of a replicated shard nothing that may have been taken back.
      if (const auto commit = survey_->shard(shard_id{i}).commit; commit != 0)
        range.up_to = std::max(commit, checkpoint ? checkpoint->info.end_lsn : 0);
    }
    for (const auto& scan : survey_->segments()) {
      auto segment = load_segment(*archive_, scan.info);
      if (!segment) return segment.status();
      auto status = each(0, workers, [&](std::uint32_t w) {
        std::uint64_t records = 0, newest_us = 0;
        auto replayed = replay(*segment, ranges[w],
                               [&](const replay_context& at, const log_record& r) -> op_status {
                                 shards[at.shard.value]->replay(r, at.timestamp_us);
                                 newest_us = std::max(newest_us, at.timestamp_us);
                                 ++records;
                                 return {};
                               });
        std::lock_guard hold{mutex_};
        report_.log_records += records;
        report_.newest_us = std::max(report_.newest_us, newest_us);
        return replayed;
      });
      if (!status.ok()) return status;
      progress_.bytes_done += segment->size;
      progress_.bytes_total = std::max(progress_.bytes_total, progress_.bytes_done);
      if (options_.on_progress) options_.on_progress(progress_);
    }
    return {};
  }

  op_status write_checkpoint(shard& s) {
    const auto i = s.id().value;
    const auto& chain = survey_->shard(s.id());
    const auto& base = archive_->base().shards[i].checkpoint;
    const auto last = wanted(i) ? std::max(chain.end, base ? base->info.end_lsn : 0) : 0;
    const auto epoch = std::max(chain.epoch, base ? base->info.end_epoch : 0);
    const checkpoint_header header{.universe = made_.universe,
                                   .generation = made_.generation,
                                   .shard = s.id(),
                                   .shard_count = shard_count(),
                                   .start_epoch = epoch,
                                   .start_lsn = last};
    auto writer = checkpoint_writer::create(
        files_,
        join_path(join_path(folder_, checkpoint_folder_name), checkpoint_file_name({s.id(), 1})),
        header);
    if (!writer) return writer.status();
    for (std::uint64_t cursor = 0;;) {
      cursor = s.records().walk(cursor, [&](const record& r) {
        if (auto* large = r.large())
          (*writer)->add(r.key(), blob_ref::share(large), r.meta());
        else
          (*writer)->add(r.key(), r.value(), r.meta());
      });
      if (auto status = (*writer)->write_full_blocks(); !status.ok()) return status;
      if (cursor == 0) break;
    }
    const auto requests = s.requests().encode();
    if (!requests.empty())
      if (auto status = (*writer)->add_section(checkpoint_section_requests, requests); !status.ok())
        return status;
    const checkpoint_end end{.end_epoch = epoch,
                             .end_lsn = last,
                             .reserved_lsn = std::max(reserved_[i], last),
                             .created_at_ms = clock_.now_ms()};
    auto totals = (*writer)->finish(end);
    if (!totals) return totals.status();
    std::lock_guard hold{mutex_};
    made_.checkpoints[i] = {{.shard = s.id(),
                             .sequence = 1,
                             .start_lsn = last,
                             .end_lsn = last,
                             .reserved_lsn = end.reserved_lsn,
                             .start_epoch = epoch,
                             .end_epoch = epoch,
                             .records = totals->records,
                             .bytes = totals->bytes,
                             .created_at_ms = end.created_at_ms}};
    report_.records += totals->records;
    report_.bytes += totals->bytes;
    return {};
  }

  backup_store& store_;
  file_system& files_;
  const std::string folder_;
  const restore_options& options_;
  const std::uint32_t threads_;
  const engine_options engine_options_{.value_bytes_max = value_size_hard_max};
  const system_clock clock_;

  std::vector<backup_manifest> chain_; ///< the last one has the moment
  std::unique_ptr<backup_archive> archive_;
  std::unique_ptr<log_survey> survey_; ///< of the archive's log
  std::vector<lsn_t> reserved_;
  std::unique_ptr<folder_lock> lock_;
  manifest made_;
  backup_progress progress_;
  std::mutex mutex_; ///< guards report_ and made_ while threads are at work
  restore_report report_;
};

} // namespace

op_result<restore_report> restore_backup(backup_store& store, file_system& files,
                                         const std::string& folder,
                                         const restore_options& options) {
  return restorer{store, files, folder, options}.go();
}

} // namespace warp::storage
