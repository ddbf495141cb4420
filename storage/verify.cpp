#include "storage/verify.hpp"

#include "storage/checkpoint_reader.hpp"
#include "storage/data_folder.hpp"
#include "storage/path.hpp"
#include "storage/segment_scan.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::storage {

namespace {

/// What a folder's server does meanwhile can look like damage once, not twice in the same way.
template <class Check>
op_status confirmed(Check&& check) {
  auto status = check();
  for (int again = 0; again < 3 && status.code() == op_code::corruption; ++again) {
    auto next = check();
    if (next.code() == op_code::corruption && next.message() == status.message()) return status;
    status = std::move(next);
  }
  return status;
}

bool names(const manifest& m, const checkpoint_info& info) {
  const auto& known = m.checkpoints[info.shard.value];
  return std::find(known.begin(), known.end(), info) != known.end();
}

std::uint64_t size_of(file_system& files, const std::string& path) {
  auto f = files.open(path, open_mode::read);
  if (!f) return 0;
  auto size = (*f)->size();
  return size.ok() ? *size : 0;
}

} // namespace

op_status verify_checkpoint_file(file_system& files, const std::string& path,
                                 const checkpoint_info& expected, const manifest& of) {
  auto reader = checkpoint_reader::open(files, path);
  if (!reader) return reader.status();
  const auto& header = reader->header();
  const auto& end = reader->end();
  if (header.universe != of.universe || header.generation != of.generation ||
      header.shard != expected.shard || header.shard_count != of.shard_count())
    return {op_code::corruption, path + ": it belongs to another universe, generation or shard"};
  if (header.start_lsn != expected.start_lsn || end.end_lsn != expected.end_lsn ||
      end.created_at_ms != expected.created_at_ms || reader->file_bytes() != expected.bytes ||
      reader->record_count() != expected.records)
    return {op_code::corruption,
            path + ": it is another checkpoint of its shard than the one the manifest names"};
  if (auto status = reader->verify(); !status.ok()) return status;
  for (const auto& name : reader->section_names())
    if (auto section = reader->section(name); !section.ok()) return section.status();
  return {};
}

op_status verify_segment_file(file_system& files, const std::string& path, const manifest& of) {
  return scan_segment(files, path, of.universe, of.generation).status();
}

op_result<verify_report> verify_folder(file_system& files, const std::string& folder) {
  verify_report report;
  const auto load = [&] { return load_manifest(files, folder); };
  auto known = load();
  if (!known.ok()) {
    const auto status = confirmed([&] { return load().status(); });
    if (!status.ok() && status.code() != op_code::corruption) return status;
    if (!status.ok()) {
      report.findings.push_back(status.message());
      return report; // it says which other files there should be
    }
    known = load();
    if (!known.ok()) return known.status();
  }
  report.bytes += size_of(files, join_path(folder, manifest_file_name));

  for (const auto& shard : known->checkpoints)
    for (const auto& info : shard) {
      const auto path = join_path(join_path(folder, checkpoint_folder_name),
                                  checkpoint_file_name({info.shard, info.sequence}));
      const auto status =
          confirmed([&] { return verify_checkpoint_file(files, path, info, *known); });
      if (status.code() == op_code::not_found) {
        // Gone: a newer one may have replaced it since.
        auto now = load();
        if (!now.ok()) return now.status();
        if (names(*now, info))
          report.findings.push_back(fmt::format("{}: it is missing, the manifest names it", path));
        continue;
      }
      if (!status.ok() && status.code() != op_code::corruption) return status;
      if (!status.ok()) report.findings.push_back(status.message());
      ++report.checkpoints;
      report.bytes += info.bytes;
    }

  auto segments = list_segments(files, join_path(folder, wal_folder_name));
  if (!segments.ok()) return segments.status();
  for (const auto& path : *segments) {
    const auto status = confirmed([&] { return verify_segment_file(files, path, *known); });
    if (status.code() == op_code::not_found) continue; // let go
    if (!status.ok() && status.code() != op_code::corruption) return status;
    if (!status.ok()) report.findings.push_back(status.message());
    ++report.segments;
    report.bytes += size_of(files, path);
  }
  return report;
}

} // namespace warp::storage
