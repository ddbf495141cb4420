#include "storage/data_folder.hpp"

#include "messages/limits.hpp"
#include "storage/no_memory.hpp"
#include "storage/path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>

namespace warp::storage {

namespace {

constexpr std::string_view damaged_suffix = ".damaged";

/// What a folder holds besides what a start that was cut short may have left.
struct folder_contents {
  bool manifest = false;
  bool wal_folder = false;
  bool restoring = false; ///< and not at the end of it
  std::string ours;       ///< a log or checkpoint file
  std::string foreign;    ///< something else
};

op_result<folder_contents> look_into(file_system& files, const std::string& path) {
  folder_contents found;
  auto names = files.list(path);
  if (!names.ok()) return names.status();
  for (const auto& name : *names) {
    if (name == manifest_file_name) {
      found.manifest = true;
    } else if (name == restore_marker_name) {
      found.restoring = true;
    } else if (name == wal_folder_name || name == checkpoint_folder_name) {
      found.wal_folder |= name == wal_folder_name;
      auto inside = files.list(join_path(path, name));
      if (!inside.ok()) return inside.status();
      if (!inside->empty()) found.ours = join_path(name, inside->front());
    } else if (name != "lock" && name != "lost+found" &&
               name != std::string{manifest_file_name} + std::string{temporary_suffix}) {
      found.foreign = name;
    }
  }
  return found;
}

op_status refusal(const std::string& path, const folder_contents& found) {
  if (found.restoring)
    return {op_code::corruption,
            fmt::format("{}: a restore into this folder did not come to its end (it holds {}): "
                        "remove the folder and restore again",
                        path, restore_marker_name)};
  if (found.manifest) return {};
  if (!found.ours.empty())
    return {op_code::corruption,
            fmt::format(
                "{}: the file {} is missing beside {}: a universe with data never starts empty by "
                "mistake. Restore the manifest from a backup, or see 'warp repair'",
                path, manifest_file_name, found.ours)};
  if (!found.foreign.empty())
    return {op_code::invalid_argument,
            fmt::format(
                "{} is not a WarpEngine data folder: it holds '{}' and no {}. Name an empty or a "
                "new folder",
                path, found.foreign, manifest_file_name)};
  return {};
}

bool ends_with_left_over_suffix(std::string_view name) {
  return name.ends_with(temporary_suffix) || name.ends_with(part_suffix);
}

op_status remove_if_there(file_system& files, const std::string& path) {
  auto status = files.remove(path);
  return status.code() == op_code::not_found ? op_status{} : status;
}

} // namespace

std::string checkpoint_file_name(checkpoint_name name) {
  return fmt::format("{:05}-{:010}", name.shard.value, name.sequence);
}

std::optional<checkpoint_name> parse_checkpoint_file_name(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return {};
  std::uint32_t shard = 0;
  std::uint64_t sequence = 0;
  const auto* end = text.data() + text.size();
  if (std::from_chars(text.data(), text.data() + dash, shard).ptr != text.data() + dash) return {};
  if (const auto rest = text.data() + dash + 1;
      std::from_chars(rest, end, sequence).ptr != end || rest == end)
    return {};
  const checkpoint_name name{shard_id{shard}, sequence};
  if (shard >= shard_count_max || sequence == 0 || checkpoint_file_name(name) != text) return {};
  return name;
}

op_result<std::unique_ptr<data_folder>> data_folder::open(file_system& files, std::string path,
                                                          std::uint32_t shard_count) {
  if (shard_count != 0 && (!std::has_single_bit(shard_count) || shard_count > shard_count_max))
    return op_status{
        op_code::invalid_argument,
        fmt::format("{} shards: must be a power of two in [1, {}]", shard_count, shard_count_max)};
  std::unique_ptr<data_folder> self{new data_folder};
  self->files_ = &files;
  self->path_ = std::move(path);
  const auto& folder = self->path_;

  // Looked at before anything is touched: somebody else's folder does not even get a lock file.
  auto there = files.exists(folder);
  if (!there.ok()) return there.status();
  if (*there) {
    auto found = look_into(files, folder);
    if (!found.ok()) return found.status();
    if (auto status = refusal(folder, *found); !status.ok()) return status;
  }
  auto chain = folder_chain::make(files, folder);
  if (!chain.ok()) return chain.status();
  auto lock = files.lock(folder);
  if (!lock.ok()) return lock.status();
  self->lock_ = std::move(*lock);

  auto found = look_into(files, folder); // again: another process may just have made it its own
  if (!found.ok()) return found.status();
  if (auto status = refusal(folder, *found); !status.ok()) return status;
  if (found->manifest) {
    auto loaded = load_manifest(files, folder);
    if (!loaded.ok()) return loaded.status();
    self->manifest_ = std::move(*loaded);
    const auto has = self->manifest_.shard_count();
    if (shard_count != 0 && shard_count != has)
      return op_status{
          op_code::invalid_argument,
          fmt::format("{}: this universe has {} shards, not {}: the number is fixed when it "
                      "is created",
                      folder, has, shard_count)};
    if (!found->wal_folder)
      return op_status{
          op_code::corruption,
          fmt::format("{}: the log folder {} is missing beside {}: writes would be lost", folder,
                      wal_folder_name, manifest_file_name)};
  } else {
    self->created_ = true;
    self->unsynced_ = std::move(*chain);
    self->manifest_.universe = make_universe_id();
    self->manifest_.generation = make_generation();
    self->manifest_.checkpoints.resize(shard_count ? shard_count : shard_count_default);
  }
  self->universe_ = self->manifest_.universe;
  self->generation_ = self->manifest_.generation;
  self->shard_count_ = self->manifest_.shard_count();
  for (const auto& shard : self->manifest_.checkpoints)
    self->last_sequence_.push_back(shard.empty() ? 0 : shard.front().sequence);
  return self;
}

op_status data_folder::start() {
  std::lock_guard hold{mutex_};
  if (auto status = files_->create_folder(wal_path()); !status.ok()) return status;
  const auto checkpoints = join_path(path_, checkpoint_folder_name);
  if (auto status = files_->create_folder(checkpoints); !status.ok()) return status;
  if (unsynced_)
    if (auto status = unsynced_->sync(); !status.ok()) return status;
  unsynced_.reset();
  // The folders are durable before a manifest says that there is a universe.
  if (auto status = files_->sync_folder(path_); !status.ok()) return status;
  if (auto status = remove_left_overs(); !status.ok()) return status;
  auto next = manifest_;
  ++next.starts;
  return save(std::move(next));
}

op_status data_folder::log_opened() {
  std::lock_guard hold{mutex_};
  auto next = manifest_;
  next.log_start = next.starts;
  next.log_reaches = 0;
  return save(std::move(next));
}

op_status data_folder::log_closed(std::uint64_t reaches) {
  std::lock_guard hold{mutex_};
  auto next = manifest_;
  next.log_reaches = reaches;
  return save(std::move(next));
}

std::uint64_t data_folder::log_start() const {
  std::lock_guard hold{mutex_};
  return manifest_.log_start;
}

std::uint64_t data_folder::log_reaches() const {
  std::lock_guard hold{mutex_};
  return manifest_.log_reaches;
}

std::uint64_t data_folder::start_number() const {
  std::lock_guard hold{mutex_};
  return manifest_.starts;
}

std::string data_folder::wal_path() const {
  return join_path(path_, wal_folder_name);
}

std::string data_folder::checkpoint_folder() const {
  return join_path(path_, checkpoint_folder_name);
}

std::string data_folder::checkpoint_path(shard_id shard, std::uint64_t sequence) const {
  return join_path(checkpoint_folder(), checkpoint_file_name({shard, sequence}));
}

std::vector<checkpoint_info> data_folder::checkpoints(shard_id shard) const {
  std::lock_guard hold{mutex_};
  return manifest_.checkpoints.at(shard.value);
}

std::uint64_t data_folder::next_sequence(shard_id shard) {
  std::lock_guard hold{mutex_};
  return ++last_sequence_.at(shard.value);
}

op_status data_folder::publish(std::span<const checkpoint_info> infos, std::uint32_t kept) {
  std::lock_guard hold{mutex_};
  auto next = manifest_;
  std::vector<checkpoint_info> dropped;
  for (const auto& info : infos) {
    auto& shard = next.checkpoints.at(info.shard.value);
    if (info.sequence == 0 || info.end_lsn < info.start_lsn ||
        (!shard.empty() && shard.front().sequence >= info.sequence))
      return {op_code::invalid_argument,
              fmt::format("{}: checkpoint {} of shard {} with LSNs {} to {} can't follow", path_,
                          info.sequence, info.shard.value, info.start_lsn, info.end_lsn)};
    shard.insert(shard.begin(), info);
    while (shard.size() > std::max(kept, 1u)) {
      dropped.push_back(shard.back());
      shard.pop_back();
    }
  }
  if (auto status = save(std::move(next)); !status.ok()) return status;
  for (const auto& info : infos) {
    auto& last = last_sequence_[info.shard.value];
    last = std::max(last, info.sequence);
  }
  // A file that can't be removed now is removed at the next start.
  for (const auto& old : dropped)
    static_cast<void>(unless_no_memory(
        "checkpoint", [&] { return files_->remove(checkpoint_path(old.shard, old.sequence)); }));
  return {};
}

op_status data_folder::put_aside(shard_id shard, std::uint64_t sequence) {
  std::lock_guard hold{mutex_};
  auto next = manifest_;
  std::erase_if(next.checkpoints.at(shard.value),
                [&](const checkpoint_info& info) { return info.sequence == sequence; });
  if (auto status = save(std::move(next)); !status.ok()) return status;
  const auto path = checkpoint_path(shard, sequence);
  auto status = files_->rename(path, path + std::string{damaged_suffix});
  return status.code() == op_code::not_found ? op_status{} : status;
}

op_status data_folder::save(manifest next) {
  if (auto status = save_manifest(*files_, path_, next); !status.ok()) return status;
  manifest_ = std::move(next);
  return {};
}

op_status data_folder::remove_left_overs() {
  const auto temporary = join_path(path_, manifest_file_name) + std::string{temporary_suffix};
  if (auto status = remove_if_there(*files_, temporary); !status.ok()) return status;
  const auto folder = join_path(path_, checkpoint_folder_name);
  auto names = files_->list(folder);
  if (!names.ok()) return names.status();
  for (const auto& name : *names) {
    const auto parsed = parse_checkpoint_file_name(name);
    bool left_over = ends_with_left_over_suffix(name);
    if (parsed && parsed->shard.value < shard_count_) {
      auto& last = last_sequence_[parsed->shard.value];
      last = std::max(last, parsed->sequence);
      left_over = std::ranges::none_of(
          manifest_.checkpoints[parsed->shard.value],
          [&](const checkpoint_info& info) { return info.sequence == parsed->sequence; });
    }
    if (!left_over) continue;
    if (auto status = remove_if_there(*files_, join_path(folder, name)); !status.ok())
      return status;
  }
  return {};
}

} // namespace warp::storage
