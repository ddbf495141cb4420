#include "storage/backup_archive.hpp"

#include "storage/data_folder.hpp"
#include "storage/path.hpp"
#include "storage/segment_scan.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace warp::storage {

namespace {

/// Some objects as one file; what a segment has behind its last frame reads as zeros.
class joined_file final : public file {
public:
  joined_file(backup_store& store, const std::vector<backup_archive::part>& parts) : store_(store) {
    for (const auto& part : parts) {
      parts_.push_back({&part, data_end_});
      data_end_ += part.object.raw_bytes;
    }
    size_ = data_end_;
  }

  /// A segment's header says how long its file was.
  op_status read_length() {
    std::string head(segment_header_bytes, '\0');
    auto count = read_at(0, head);
    if (!count) return count.status();
    const auto header = decode_segment_header({head.data(), *count});
    if (header) size_ = std::max(data_end_, header->file_bytes);
    return {}; // whoever scans it finds what is wrong with it
  }

  op_result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
    std::lock_guard hold{mutex_};
    std::size_t done = 0;
    for (std::size_t i = 0; i < parts_.size() && done < buffer.size(); ++i) {
      const auto end = parts_[i].begin + parts_[i].what->object.raw_bytes;
      if (offset >= end) continue;
      if (auto s = use(i); !s.ok()) return s;
      const auto wanted = std::min<std::uint64_t>(buffer.size() - done, end - offset);
      auto count = reader_->read_at(offset - parts_[i].begin, buffer.subspan(done, wanted));
      if (!count) return count.status();
      done += *count;
      offset += *count;
    }
    if (offset < size_ && offset >= data_end_ && done < buffer.size()) {
      const auto zeros = std::min<std::uint64_t>(buffer.size() - done, size_ - offset);
      std::fill_n(buffer.begin() + static_cast<std::ptrdiff_t>(done), zeros, '\0');
      done += zeros;
    }
    return done;
  }
  op_result<std::uint64_t> size() override { return size_; }
  op_status write_at(std::uint64_t, std::span<const std::string_view>) override {
    return op_code::not_supported;
  }
  op_status sync() override { return op_code::not_supported; }
  op_status truncate(std::uint64_t) override { return op_code::not_supported; }

private:
  struct placed_part {
    const backup_archive::part* what;
    std::uint64_t begin;
  };

  /// Opens the object, and looks whether it is the one that the manifest names.
  op_status use(std::size_t index) {
    if (reader_ && index_ == index) return {};
    const auto& [object, header] = *parts_[index].what;
    auto opened = backup_object_reader::open(store_, object.name);
    if (opened.code() == op_code::not_found)
      return {op_code::corruption,
              fmt::format("{}: the object {} is missing", store_.describe(), object.name)};
    if (!opened) return opened.status();
    if ((*opened)->object() != object || (*opened)->header() != header)
      return {op_code::corruption,
              fmt::format("{}/objects/{}: is not the object that the manifest names (checksum "
                          "{:08x}, expected {:08x})",
                          store_.describe(), object.name, (*opened)->object().checksum,
                          object.checksum)};
    reader_ = std::move(*opened);
    index_ = index;
    return {};
  }

  backup_store& store_;
  std::vector<placed_part> parts_;
  std::uint64_t data_end_ = 0, size_ = 0;
  std::mutex mutex_; ///< guards what follows
  std::unique_ptr<backup_object_reader> reader_;
  std::size_t index_ = 0;
};

/// Takes `pieces` of one manifest into those that are known; both in order.
op_status merge(std::vector<backup_piece>& known, const backup_piece& piece) {
  if (!known.empty() && known.back().to >= piece.to) { // the earlier backup had it
    const auto same = std::ranges::find_if(known, [&](const backup_piece& k) {
      return k.from == piece.from && k.to == piece.to && k.id == piece.id;
    });
    if (same != known.end()) {
      same->closed |= piece.closed;
      return {};
    }
  } else if (known.empty() ? piece.from == 0
                           : piece.from == known.back().to && piece.id == known.back().id) {
    known.push_back(piece);
    return {};
  }
  return {op_code::corruption,
          fmt::format("the object {} does not follow the piece of the log before it",
                      piece.object.name)};
}

} // namespace

op_result<std::unique_ptr<backup_archive>>
backup_archive::open(backup_store& store, std::span<const backup_manifest> chain) {
  std::unique_ptr<backup_archive> self{new backup_archive{store}};
  self->base_ = chain.front();
  const auto& base = self->base_;
  const auto shard_count = static_cast<std::uint32_t>(base.shards.size());
  const backup_header common{
      .universe = base.universe, .generation = base.generation, .shard_count = shard_count};
  for (const auto& shard : base.shards) {
    if (!shard.checkpoint) continue;
    auto header = common;
    header.kind = backup_kind::checkpoint;
    header.number = shard.checkpoint->info.shard.value;
    header.sequence = shard.checkpoint->info.sequence;
    self->files_[checkpoint_path(shard.checkpoint->info)] = {{shard.checkpoint->object, header}};
  }
  std::map<segment_name, std::vector<backup_piece>> segments;
  for (const auto& backup : chain)
    for (const auto& piece : backup.log)
      if (auto s = merge(segments[piece.segment], piece); !s.ok()) return s;
  for (const auto& [name, pieces] : segments) {
    auto& parts = self->files_[join_path(wal_folder_name, segment_file_name(name))];
    for (const auto& piece : pieces) {
      auto header = common;
      header.kind = backup_kind::log;
      header.number = name.stream;
      header.start = name.start;
      header.sequence = name.sequence;
      header.segment = piece.id;
      header.from = piece.from;
      parts.push_back({piece.object, header});
    }
  }
  return self;
}

std::string backup_archive::checkpoint_path(const checkpoint_info& info) {
  return join_path(checkpoint_folder_name, checkpoint_file_name({info.shard, info.sequence}));
}

op_result<log_survey> backup_archive::survey() {
  auto paths = list_segments(*this, std::string{wal_folder_name});
  if (!paths) return paths.status();
  std::vector<segment_scan> scans;
  for (const auto& path : *paths) {
    auto scan = scan_segment(*this, path, base_.universe, base_.generation, false);
    if (!scan) return scan.status();
    // Only whole frames were copied: nothing in a backup is torn.
    std::uint64_t copied = 0;
    for (const auto& part : files_.at(path)) copied += part.object.raw_bytes;
    if (scan->info->data_end != copied)
      return op_status{op_code::corruption,
                       fmt::format("{}: {}: at {}: a damaged frame", store_.describe(), path,
                                   scan->info->data_end)};
    scans.push_back(std::move(*scan));
  }
  return log_survey::build(std::move(scans), static_cast<std::uint32_t>(base_.shards.size()));
}

op_status backup_archive::check(const log_survey& survey) const {
  for (std::uint32_t i = 0; i < base_.shards.size(); ++i) {
    const auto& checkpoint = base_.shards[i].checkpoint;
    const auto covered = checkpoint ? checkpoint->info.start_lsn : 0;
    for (const auto& gap : survey.shard(shard_id{i}).gaps)
      if (gap.resumes_at > covered)
        return {op_code::corruption,
                fmt::format("{}: shard {}: log records {} to {} are missing before {} at offset "
                            "{}, and its checkpoint only reaches {}",
                            store_.describe(), i, gap.after + 1, gap.resumes_at, gap.path,
                            gap.offset, covered)};
  }
  return {};
}

op_result<std::unique_ptr<file>> backup_archive::open(const std::string& path, open_mode mode) {
  if (mode != open_mode::read) return op_code::not_supported;
  const auto found = files_.find(path);
  if (found == files_.end())
    return op_status{op_code::not_found,
                     fmt::format("{}: there is no {} in this backup", store_.describe(), path)};
  auto joined = std::make_unique<joined_file>(store_, found->second);
  if (folder_of(path) == wal_folder_name)
    if (auto s = joined->read_length(); !s.ok()) return s;
  return std::unique_ptr<file>{std::move(joined)};
}

op_result<std::vector<std::string>> backup_archive::list(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& [path, parts] : files_)
    if (folder_of(path) == folder) names.push_back(path.substr(folder.size() + 1));
  return names;
}

op_result<bool> backup_archive::exists(const std::string& path) {
  return files_.contains(path) || path == wal_folder_name || path == checkpoint_folder_name;
}

op_status backup_archive::create_folder(const std::string&) {
  return op_code::not_supported;
}
op_status backup_archive::rename(const std::string&, const std::string&) {
  return op_code::not_supported;
}
op_status backup_archive::remove(const std::string&) {
  return op_code::not_supported;
}
op_status backup_archive::sync_folder(const std::string&) {
  return op_code::not_supported;
}
op_result<std::uint64_t> backup_archive::free_bytes(const std::string&) {
  return op_code::not_supported;
}
op_result<std::unique_ptr<folder_lock>> backup_archive::lock(const std::string&) {
  return op_code::not_supported;
}

op_status check_checkpoint(const checkpoint_reader& reader, const backup_manifest& m,
                           const checkpoint_info& info) {
  const auto& header = reader.header();
  const auto& end = reader.end();
  if (header.universe == m.universe && header.generation == m.generation &&
      header.shard == info.shard && header.shard_count == m.shards.size() &&
      header.start_lsn == info.start_lsn && end.end_lsn == info.end_lsn &&
      reader.record_count() == info.records)
    return {};
  return {
      op_code::corruption,
      fmt::format("checkpoint {} of shard {} is not what the manifest says: {} records, LSNs {} "
                  "to {}, instead of {}, {} to {}",
                  info.sequence, info.shard.value, reader.record_count(), header.start_lsn,
                  end.end_lsn, info.records, info.start_lsn, info.end_lsn)};
}

} // namespace warp::storage
