// A repair writes what is kept, and puts aside what that replaces.

#include "storage/checkpoint_reader.hpp"
#include "storage/checkpoint_writer.hpp"
#include "storage/data_folder.hpp"
#include "storage/path.hpp"
#include "storage/repairer.hpp"

#include <algorithm>

namespace warp::storage {

op_status repairer::copy_manifest() {
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

op_status repairer::move(const std::vector<std::string>& paths, std::string_view sub_folder) {
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

op_status repairer::write_manifest() {
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

op_status repairer::rewrite() {
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

op_result<checkpoint_info> repairer::write_checkpoint(std::uint32_t s) {
  auto& from = shards_[s];
  std::uint64_t sequence = 0;
  for (const auto& c : evidence_.checkpoints)
    if (c.info.shard.value == s) sequence = std::max(sequence, c.info.sequence);
  if (evidence_.known.ok())
    for (const auto& c : evidence_.known->checkpoints[s]) sequence = std::max(sequence, c.sequence);
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

} // namespace warp::storage
