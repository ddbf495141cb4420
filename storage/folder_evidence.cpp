#include "storage/folder_evidence.hpp"

#include "storage/checkpoint_reader.hpp"
#include "storage/data_folder.hpp"
#include "storage/path.hpp"
#include "storage/segment_scan.hpp"

#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <map>
#include <tuple>

namespace warp::storage {

namespace {

checkpoint_evidence look_at_checkpoint(file_system& files, const std::string& path,
                                       checkpoint_name name) {
  checkpoint_evidence found;
  found.path = path;
  found.info.shard = name.shard;
  found.info.sequence = name.sequence;
  auto reader = checkpoint_reader::open(files, path);
  found.status = reader.ok() ? reader->verify() : reader.status();
  if (!reader.ok()) { // its header may still say whose it is
    std::string head(checkpoint_header_bytes, '\0');
    if (auto in = files.open(path, open_mode::read); in.ok())
      if (auto n = (*in)->read_at(0, head); n.ok() && *n == head.size())
        if (auto header = decode_checkpoint_header(head); header.ok()) found.header = *header;
    return found;
  }
  found.header = reader->header();
  const auto& end = reader->end();
  found.info = {.shard = name.shard,
                .sequence = name.sequence,
                .start_lsn = found.header->start_lsn,
                .end_lsn = end.end_lsn,
                .reserved_lsn = end.reserved_lsn,
                .start_epoch = found.header->start_epoch,
                .end_epoch = end.end_epoch,
                .records = reader->record_count(),
                .bytes = reader->file_bytes(),
                .created_at_ms = end.created_at_ms};
  if (found.status.ok() && found.header->shard != name.shard)
    found.status = {op_code::corruption,
                    fmt::format("{}: it holds shard {}", path, found.header->shard.value)};
  return found;
}

op_result<std::optional<segment_header>> header_of(file_system& files, const std::string& path) {
  auto in = files.open(path, open_mode::read);
  if (!in) return in.status();
  std::string head(segment_header_bytes, '\0');
  auto n = (*in)->read_at(0, head);
  if (!n) return n.status();
  head.resize(*n);
  auto header = decode_segment_header(head);
  if (header.ok()) return std::optional{*header};
  return std::optional<segment_header>{};
}

/// Shards that a segment names; 0: it names none.
std::uint32_t shards_in(const segment_scan& scan) {
  std::uint32_t count = 0;
  for (const auto& run : scan.info->runs) count = std::max(count, run.shard.value + 1);
  return count;
}

} // namespace

op_result<folder_evidence> read_evidence(file_system& files, const std::string& folder) {
  folder_evidence found;
  auto there = files.exists(folder);
  if (!there.ok()) return there.status();
  if (!*there) return op_status{op_code::invalid_argument, folder + ": there is no such folder"};
  found.known = load_manifest(files, folder);
  if (!found.known.ok() && found.known.code() != op_code::not_found &&
      found.known.code() != op_code::corruption && found.known.code() != op_code::invalid_argument)
    return found.known.status();

  const auto checkpoint_folder = join_path(folder, checkpoint_folder_name);
  if (auto exists = files.exists(checkpoint_folder); exists.ok() && *exists) {
    auto names = files.list(checkpoint_folder);
    if (!names.ok()) return names.status();
    for (const auto& name : *names)
      if (const auto parsed = parse_checkpoint_file_name(name)) {
        auto one = look_at_checkpoint(files, join_path(checkpoint_folder, name), *parsed);
        if (!one.status.ok() && one.status.code() != op_code::corruption) return one.status;
        found.checkpoints.push_back(std::move(one));
      }
  }
  std::sort(found.checkpoints.begin(), found.checkpoints.end(), [](auto& a, auto& b) {
    return std::tuple{a.info.shard.value, b.info.sequence} <
           std::tuple{b.info.shard.value, a.info.sequence};
  });
  auto segments = list_segments(files, join_path(folder, wal_folder_name));
  if (!segments.ok()) return segments.status();
  found.segments = std::move(*segments);

  using owner = std::pair<universe_id, std::uint64_t>;
  std::vector<std::pair<owner, std::size_t>> votes;
  const auto vote = [&](const universe_id& universe, std::uint64_t generation) {
    const owner whose{universe, generation};
    const auto it =
        std::find_if(votes.begin(), votes.end(), [&](const auto& v) { return v.first == whose; });
    it == votes.end() ? votes.emplace_back(whose, 1) : (++it->second, *it);
  };
  for (const auto& c : found.checkpoints)
    if (c.header) vote(c.header->universe, c.header->generation);
  for (const auto& path : found.segments) {
    auto header = header_of(files, path);
    if (!header.ok()) return header.status();
    if (*header) vote((*header)->universe, (*header)->generation);
    const auto name = parse_segment_file_name(std::string_view{path}.substr(path.rfind('/') + 1));
    found.newest_start = std::max(found.newest_start, name->start);
  }
  if (found.known.ok()) {
    found.universe = found.known->universe;
    found.generation = found.known->generation;
    found.shard_count = found.known->shard_count();
    return found;
  }
  const auto most = std::max_element(votes.begin(), votes.end(),
                                     [](auto& a, auto& b) { return a.second < b.second; });
  if (most == votes.end())
    return op_status{found.segments.empty() && found.checkpoints.empty() ? op_code::invalid_argument
                                                                         : op_code::corruption,
                     fmt::format("{}: no file in it says whose data it is ({})", folder,
                                 found.known.status().message())};
  std::tie(found.universe, found.generation) = most->first;
  for (const auto& c : found.checkpoints)
    if (c.header && c.header->universe == found.universe)
      found.shard_count = std::max(found.shard_count, c.header->shard_count);
  if (found.shard_count == 0) // every segment of a start names all shards of its stream
    for (const auto& path : found.segments) {
      std::vector<std::string> ignored;
      auto scan = salvage_segment(files, path, found.universe, found.generation, ignored);
      if (scan.ok())
        found.shard_count = std::max(found.shard_count, std::bit_ceil(shards_in(*scan)));
    }
  if (found.shard_count == 0)
    return op_status{op_code::corruption,
                     fmt::format("{}: no file in it says how many shards there are", folder)};
  return found;
}

manifest rebuilt_manifest(const folder_evidence& evidence) {
  manifest made;
  made.universe = evidence.universe;
  made.generation = evidence.generation;
  made.starts = evidence.newest_start;
  if (evidence.known.ok()) made.starts = std::max(made.starts, evidence.known->starts);
  made.checkpoints.resize(evidence.shard_count);
  for (const auto& c : evidence.checkpoints)
    if (c.status.ok() && c.header->universe == made.universe &&
        c.header->generation == made.generation && c.header->shard_count == evidence.shard_count)
      made.checkpoints[c.info.shard.value].push_back(c.info);
  return made;
}

} // namespace warp::storage
