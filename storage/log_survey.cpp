#include "storage/log_survey.hpp"

#include "storage/planted.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <tuple>
#include <unordered_map>

namespace warp::storage {

op_result<log_survey> log_survey::build(std::vector<segment_scan> scans, std::uint32_t shard_count,
                                        bool salvage) {
  log_survey survey;
  survey.salvage_ = salvage;
  survey.scans_ = std::move(scans);
  survey.chains_.resize(shard_count);
  survey.runs_.resize(shard_count);
  std::sort(survey.scans_.begin(), survey.scans_.end(),
            [](const segment_scan& a, const segment_scan& b) {
              const auto key = [](const segment_header& h) {
                return std::tuple{h.start, h.sequence, h.stream};
              };
              return key(a.info->header) < key(b.info->header);
            });

  std::map<std::pair<std::uint64_t, std::uint32_t>, const segment_scan*>
      before; // by start and stream
  for (std::uint32_t i = 0; i < survey.scans_.size(); ++i) {
    const auto& scan = survey.scans_[i];
    const auto& header = scan.info->header;
    if (!scan.used()) continue; // prepared, never written
    auto& previous = before[{header.start, header.stream}];
    if (previous && previous->end != segment_end::sealed && !header.after_failure && !salvage)
      return op_status{op_code::corruption,
                       fmt::format("{}: at {}: a damaged frame: the segment ends here without a "
                                   "seal, but {} goes on behind it",
                                   previous->info->path, previous->info->data_end,
                                   scan.info->path)};
    previous = &scan;
    for (std::uint32_t run = 0; run < scan.info->runs.size(); ++run)
      if (auto s = survey.follow(i, run); !s.ok()) return s;
    for (const auto& line : scan.stop) {
      if (salvage && line.shard.value >= shard_count) continue;
      if (line.shard.value >= shard_count)
        return op_status{op_code::corruption,
                         fmt::format("{}: its end mark names shard {} of {}", scan.info->path,
                                     line.shard.value, shard_count)};
      auto& chain = survey.chains_[line.shard.value];
      chain.clean = true;
      chain.next = std::max(line.b, chain.end + 1);
      chain.epoch = std::max(chain.epoch, line.epoch);
    }
  }
  for (auto& scan : survey.scans_)
    for (auto& part : scan.parts) part.lost = part.last > scan.info->runs[part.run].keep;
  survey.summarize();
  return survey;
}

op_status log_survey::follow(std::uint32_t segment, std::uint32_t index) {
  const auto& info = *scans_[segment].info;
  const auto& run = info.runs[index];
  const auto shard = run.shard.value;
  if (salvage_ && shard >= chains_.size()) return {};
  if (shard >= chains_.size())
    return {op_code::corruption,
            fmt::format("{}: at {}: shard {} of {}", info.path, run.offset, shard, chains_.size())};
  auto& chain = chains_[shard];
  chain.seen = true;
  chain.path = info.path;
  chain.start = std::max(chain.start, info.header.start);
  chain.clean = false;
  // Only a start that goes on behind what recovery kept, and a follower's frame that says so, cut
  // the log back.
  const bool in_state_table = run.offset == segment_header_bytes;
  if (run.previous < chain.end) {
    if (!run.cuts && !in_state_table && salvage_) {
      chain.end = std::max(chain.end, run.last);
      runs_[shard].emplace_back(segment, index);
      return {};
    }
    if (!run.cuts && !in_state_table)
      return {
          op_code::corruption,
          fmt::format("{}: at {}: shard {} goes on behind LSN {}, but its log already reaches {}",
                      info.path, run.offset, shard, run.previous, chain.end)};
    cut(shard, run.previous);
  } else if (run.previous > chain.end) {
    log_gap gap{chain.end, run.previous, info.path, run.offset, {}, 0};
    if (!runs_[shard].empty()) {
      const auto& before = *scans_[runs_[shard].back().first].info;
      gap.path_before = before.path;
      gap.end_before = before.data_end;
    }
    chain.gaps.push_back(std::move(gap));
  }
  chain.end = run.last;
  chain.epoch = std::max(chain.epoch, run.epoch);
  chain.commit = std::max(chain.commit, run.commit);
  const auto reserved = planted(mistake::lsn_block_not_skipped) ? 0 : run.reserved;
  chain.next = std::max({chain.next, reserved + 1, chain.end + 1});
  runs_[shard].emplace_back(segment, index);
  return {};
}

void log_survey::cut(std::uint32_t shard, lsn_t last) {
  for (const auto& place : runs_[shard]) {
    auto& run = run_at(place);
    run.keep = std::min(run.keep, last);
  }
  auto& chain = chains_[shard];
  chain.end = last;
  std::erase_if(chain.gaps, [last](const log_gap& gap) { return gap.after >= last; });
  if (!chain.gaps.empty())
    chain.gaps.back().resumes_at = std::min(chain.gaps.back().resumes_at, last);
}

void log_survey::end_at(shard_id shard, lsn_t last) {
  if (chains_[shard.value].end > last) cut(shard.value, last);
}

bool log_survey::cuts_into(std::span<const lsn_t> checkpoint_lsn) const {
  for (const auto& scan : scans_)
    for (const auto& part : scan.parts) {
      if (part.lost || part.last <= scan.info->runs[part.run].keep) continue;
      for (auto i = part.list_begin; i < part.list_end; ++i) {
        const auto& other = scan.lists[i];
        if (other.shard.value < checkpoint_lsn.size() &&
            checkpoint_lsn[other.shard.value] >= other.first)
          return true;
      }
    }
  return false;
}

std::uint64_t log_survey::cut_transactions(std::span<const lsn_t> checkpoint_lsn) {
  struct place {
    const segment_scan* scan;
    const found_part* part;
  };
  const auto settled = [&](shard_id shard, lsn_t lsn) {
    if (planted(mistake::part_believed)) return true;
    return shard.value < checkpoint_lsn.size() && checkpoint_lsn[shard.value] >= lsn;
  };
  const auto alive = [](const place& p) {
    return p.part->last <= p.scan->info->runs[p.part->run].keep;
  };
  const auto key = [](shard_id shard, lsn_t first) {
    return std::uint64_t{shard.value} << 48 | first;
  };

  std::unordered_map<std::uint64_t, place> found;
  for (const auto& scan : scans_)
    for (const auto& part : scan.parts)
      if (const place p{&scan, &part}; alive(p)) found[key(part.shard, part.first)] = p;
  const auto there = [&](const transaction_part& part) {
    if (part.shard.value >= chains_.size()) return false;
    if (settled(part.shard, part.last)) return true;
    const auto it = found.find(key(part.shard, part.first));
    return it != found.end() && it->second.part->last == part.last && alive(it->second);
  };

  std::uint64_t cut_count = 0;
  for (bool changed = true; changed;) { // a cut may take another transaction's part with it
    changed = false;
    for (const auto& [k, p] : found) {
      if (!alive(p) || settled(p.part->shard, p.part->first)) continue;
      const auto list = std::span{p.scan->lists}.subspan(p.part->list_begin,
                                                         p.part->list_end - p.part->list_begin);
      if (std::all_of(list.begin(), list.end(), there)) continue;
      // Not to first - 1, which need not be a record: what comes next would name it as the one
      // before, and be missing it once these segments are gone.
      cut(p.part->shard.value, p.part->previous);
      changed = true;
    }
  }
  for (const auto& [k, p] : found) cut_count += alive(p) ? 0 : 1;
  return cut_count;
}

void log_survey::summarize() {
  for (std::uint32_t shard = 0; shard < chains_.size(); ++shard)
    for (const auto& place : runs_[shard]) {
      const auto& run = run_at(place);
      if (run.records == 0 || run.first > run.keep) continue;
      if (chains_[shard].begin == 0) chains_[shard].begin = run.first;
      chains_[shard].records += run.records;
    }
}

op_status log_survey::sync_tails(file_system& files) const {
  for (std::size_t i = 0; i < scans_.size(); ++i) {
    const auto& scan = scans_[i];
    const auto& header = scan.info->header;
    // A successor of the same chain was begun only when this one was on disk.
    const bool has_successor = std::any_of(
        scans_.begin() + static_cast<std::ptrdiff_t>(i) + 1, scans_.end(), [&](auto& next) {
          const auto& h = next.info->header;
          return h.start == header.start && h.stream == header.stream && next.used() &&
                 !h.after_failure;
        });
    if (!scan.used() || has_successor) continue;
    auto f = files.open(scan.info->path, open_mode::read_write);
    if (!f) return f.status();
    std::string tail(scan.info->data_end - scan.synced, '\0');
    auto got = (*f)->read_at(scan.synced, tail);
    if (!got) return got.status();
    tail.resize(*got);
    if (auto s = (*f)->write_at(scan.synced, tail); !s.ok()) return s;
    if (auto s = (*f)->sync(); !s.ok()) return s;
  }
  return {};
}

std::vector<std::shared_ptr<segment_info>> log_survey::infos() const {
  std::vector<std::shared_ptr<segment_info>> all;
  for (const auto& scan : scans_) all.push_back(scan.info);
  return all;
}

std::string log_survey::without_successor() const {
  std::uint64_t newest = 0;
  for (const auto& scan : scans_)
    if (scan.used()) newest = std::max(newest, scan.info->header.start);
  for (const auto& scan : scans_) {
    const auto& header = scan.info->header;
    if (scan.end != segment_end::sealed || header.start != newest) continue;
    if (std::none_of(scans_.begin(), scans_.end(), [&](const segment_scan& next) {
          const auto& h = next.info->header;
          return h.start == header.start && h.stream == header.stream &&
                 h.sequence > header.sequence;
        }))
      return scan.info->path;
  }
  return {};
}

bool log_survey::clean() const noexcept {
  return std::all_of(chains_.begin(), chains_.end(), [](const shard_chain& c) { return c.clean; });
}

std::uint64_t log_survey::start_max() const noexcept {
  return scans_.empty() ? 0 : scans_.back().info->header.start;
}

std::uint64_t log_survey::timestamp_us_max() const noexcept {
  std::uint64_t newest = 0;
  for (const auto& scan : scans_) newest = std::max(newest, scan.timestamp_us);
  return newest;
}

std::uint64_t log_survey::torn_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& scan : scans_) bytes += scan.torn_bytes;
  return bytes;
}

std::uint64_t log_survey::bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& scan : scans_) bytes += scan.info->data_end;
  return bytes;
}

std::uint64_t log_survey::records() const noexcept {
  std::uint64_t records = 0;
  for (const auto& scan : scans_)
    for (const auto& run : scan.info->runs) records += run.records;
  return records;
}

} // namespace warp::storage
