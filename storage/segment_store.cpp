#include "storage/segment_store.hpp"

#include "storage/no_memory.hpp"
#include "storage/planted.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <random>

namespace warp::storage {

namespace {

constexpr std::uint64_t zero_block_bytes = 1u << 20;
constexpr std::uint64_t file_alignment = 4'096;
constexpr std::string_view temporary_suffix = ".tmp";

/// Up to a block of zeros, aligned for direct writes.
std::string_view zeros(std::uint64_t size) {
  alignas(direct_alignment) static const char block[zero_block_bytes] = {};
  return {block, std::min(size, zero_block_bytes)};
}

bool log_order(const std::shared_ptr<segment_info>& a, const std::shared_ptr<segment_info>& b) {
  const auto key = [](const segment_header& h) {
    return std::tuple{h.start, h.sequence, h.stream};
  };
  return key(a->header) < key(b->header);
}

} // namespace

// -- a segment in the making
// ----------------------------------------------------------------------------------------

segment_builder::~segment_builder() {
  if (!info_) return;
  {
    std::lock_guard guard{store_->mutex_};
    store_->making_bytes_ -= info_->file_bytes;
  }
  if (complete_ || temporary_.empty()) return;
  file_.reset();
  // What stays behind after a failure here is removed by the next start.
  static_cast<void>(
      unless_no_memory("log", [this] { return store_->options_.files->remove(temporary_); }));
}

op_status segment_builder::open_file() {
  auto& files = *store_->options_.files;
  const auto mode = recycled_         ? store_->direct_ ? open_mode::direct : open_mode::read_write
                    : store_->direct_ ? open_mode::create_direct
                                      : open_mode::create;
  auto opened = files.open(temporary_, mode);
  // What an attempt before this one could not remove, on a disk that failed, may be in the way.
  if (!opened && !recycled_ && files.remove(temporary_).ok()) opened = files.open(temporary_, mode);
  if (!opened) return opened.status();
  file_ = std::move(*opened);
  if (recycled_) zeroed_ = info_->file_bytes; // old frames have another id: as good as zeros
  return {};
}

op_status segment_builder::write_zeros(std::uint64_t stop) {
  while (zeroed_ < stop) {
    const auto block = zeros(stop - zeroed_);
    if (auto s = file_->write_at(zeroed_, block); !s.ok()) return s;
    zeroed_ += block.size();
  }
  return {};
}

op_result<bool> segment_builder::step(std::uint64_t bytes_max) {
  if (!file_)
    if (auto s = open_file(); !s.ok()) return s;
  // In pages of the file, as direct writes must be.
  const auto budget = (bytes_max + file_alignment - 1) / file_alignment * file_alignment;
  const auto stop =
      bytes_max == 0 ? info_->file_bytes : std::min(info_->file_bytes, zeroed_ + budget);
  const bool wrote = zeroed_ < stop;
  if (auto s = write_zeros(stop); !s.ok()) return s;
  if (zeroed_ < info_->file_bytes) {
    // Slice by slice, so that no sync of the log has to wait for a whole segment of zeros.
    if (wrote && !store_->direct_)
      if (auto s = file_->sync(); !s.ok()) return s;
    return false;
  }
  if (auto s = finish(); !s.ok()) return s;
  return true;
}

op_status segment_builder::finish() {
  auto& files = *store_->options_.files;
  char header[segment_header_bytes];
  encode(info_->header, header);
  if (store_->direct_) {
    const auto block = make_aligned_bytes(direct_alignment);
    std::fill_n(std::copy_n(header, sizeof header, block.get()), direct_alignment - sizeof header,
                '\0');
    if (auto s = file_->write_at(0, {block.get(), direct_alignment}); !s.ok()) return s;
  } else if (auto s = file_->write_at(0, {header, sizeof header}); !s.ok()) {
    return s;
  }
  if (auto s = file_->sync(); !s.ok()) return s;
  auto name = info_->path;
  if (auto s = files.rename(temporary_, name); !s.ok()) return s;
  temporary_ = std::move(name);
  if (auto s = files.sync_folder(store_->options_.folder); !s.ok()) return s;
  complete_ = true;
  return {};
}

// -- the store
// ------------------------------------------------------------------------------------------------------

op_result<std::unique_ptr<segment_store>>
segment_store::open(segment_store_options options,
                    std::vector<std::shared_ptr<segment_info>> recovered) {
  auto store = std::unique_ptr<segment_store>{new segment_store};
  auto names = options.files->list(options.folder);
  if (!names) return names.status();
  for (const auto& name : *names) {
    const auto path = options.folder + "/" + name;
    const bool spare = name.starts_with(spare_prefix) && store->spares_.size() < options.spares_max;
    if (spare) {
      auto f = options.files->open(path, open_mode::read);
      if (!f) return f.status();
      auto size = (*f)->size();
      if (!size) return size.status();
      if (*size == options.segment_bytes) {
        store->spares_.push_back(path);
        continue;
      }
    }
    if (name.starts_with(spare_prefix) || name.ends_with(temporary_suffix))
      if (auto s = options.files->remove(path); !s.ok()) return s;
  }
  // The names as they are now may not be durable yet: a process may have died between a rename and
  // its sync.
  if (auto s = options.files->sync_folder(options.folder); !s.ok()) return s;
  auto direct = choose_direct_io(*options.files, options.folder, options.direct);
  if (!direct) return direct.status();
  store->direct_ = *direct;
  for (auto& info : recovered) info->closed = true; // this start writes files of its own
  store->options_ = std::move(options);
  store->segments_ = std::move(recovered);
  std::sort(store->segments_.begin(), store->segments_.end(), log_order);
  for (const auto& info : store->segments_) store->count_closed(info->file_bytes, 0);
  return store;
}

void segment_store::count_closed(std::uint64_t added, std::uint64_t removed) {
  closed_bytes_ += added;
  closed_bytes_ -= removed;
  const bool full = options_.pause_bytes != 0 && closed_bytes_ >= options_.pause_bytes;
  if (full == full_->load(std::memory_order_relaxed)) return;
  const auto now = std::chrono::steady_clock::now();
  if (full) {
    ++pauses_.count;
    paused_at_ = now;
  } else {
    pauses_.ms += static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(now - paused_at_).count());
  }
  full_->store(full, std::memory_order_release);
}

std::uint64_t segment_store::new_id() {
  if (planted(mistake::one_segment_id)) return 1;
  if (options_.random_id) return options_.random_id();
  std::random_device random;
  for (;;)
    if (const auto id = std::uint64_t{random()} << 32 | random(); id != 0) return id;
}

op_result<std::unique_ptr<segment_builder>> segment_store::begin(std::uint32_t stream,
                                                                 std::uint64_t sequence,
                                                                 std::uint64_t bytes_min,
                                                                 bool after_failure) {
  auto builder = std::unique_ptr<segment_builder>{new segment_builder};
  builder->store_ = this;
  builder->info_ = std::make_shared<segment_info>();
  auto& info = *builder->info_;
  const segment_name name{options_.start, stream, sequence};
  info.path = options_.folder + "/" + segment_file_name(name);
  info.header.stream = stream;
  info.header.universe = options_.universe;
  info.header.generation = options_.generation;
  info.header.start = options_.start;
  info.header.sequence = sequence;
  info.header.after_failure = after_failure;
  info.data_end = segment_header_bytes;
  info.file_bytes = std::max(options_.segment_bytes,
                             (bytes_min + file_alignment - 1) / file_alignment * file_alignment);
  info.header.file_bytes = info.file_bytes;
  std::lock_guard guard{mutex_};
  making_bytes_ += info.file_bytes;
  info.header.id = new_id();
  if (info.file_bytes == options_.segment_bytes && !spares_.empty()) {
    builder->temporary_ = std::move(spares_.back());
    builder->recycled_ = true;
    spares_.pop_back();
    spares_low_ = std::min(spares_low_, spares_.size());
  } else {
    builder->temporary_ = info.path + std::string{temporary_suffix};
  }
  return builder;
}

void segment_store::enter(const std::shared_ptr<segment_info>& info) {
  std::lock_guard guard{mutex_};
  if (info->closed) count_closed(info->file_bytes, 0);
  segments_.insert(std::upper_bound(segments_.begin(), segments_.end(), info, log_order), info);
}

void segment_store::append(segment_info& info, run_builder& runs,
                           const std::vector<placed_frame>& frames, std::uint64_t data_end,
                           bool close) {
  std::lock_guard guard{mutex_};
  for (const auto& [header, offset] : frames) {
    if ((header.flags & frame_cuts) != 0)
      for (auto& segment : segments_)
        for (auto& run : segment->runs)
          if (run.shard == header.shard) run.keep = std::min(run.keep, header.previous);
    runs.add(header, offset);
  }
  info.data_end = data_end;
  if (close && !info.closed) count_closed(info.file_bytes, 0);
  info.closed = info.closed || close;
}

op_status segment_store::let_go(const segment_info& info, std::string& spare) {
  {
    std::lock_guard guard{mutex_};
    if (info.file_bytes == options_.segment_bytes &&
        spares_.size() + spares_coming_ < options_.spares_max) {
      spare = fmt::format("{}/{}{:010}-{}.wal", options_.folder, spare_prefix, options_.start,
                          ++spare_number_);
      ++spares_coming_;
    }
  }
  if (spare.empty())
    return unless_no_memory("log", [&] { return options_.files->remove(info.path); });
  auto s = unless_no_memory("log", [&] { return options_.files->rename(info.path, spare); });
  if (!s.ok()) {
    std::lock_guard guard{mutex_};
    --spares_coming_;
  }
  return s;
}

op_status segment_store::keep_spares(std::vector<std::string> spares) {
  // Only when its new name is durable may a spare be written to: after a crash it must not be found
  // under the old one.
  {
    // Together with those of a call whose sync failed.
    std::lock_guard guard{mutex_};
    spares.insert(spares.end(), unsynced_spares_.begin(), unsynced_spares_.end());
    unsynced_spares_.clear();
  }
  auto synced = options_.files->sync_folder(options_.folder);
  std::lock_guard guard{mutex_};
  if (synced.ok()) {
    spares_coming_ -= spares.size();
    spares_.insert(spares_.end(), spares.begin(), spares.end());
  } else {
    unsynced_spares_.insert(unsynced_spares_.end(), spares.begin(), spares.end());
  }
  return synced;
}

void segment_store::discard(std::unique_ptr<segment_builder> builder) {
  builder->file_.reset();
  std::string spare;
  // On failure the file stays, without a frame: the next start lets go of it.
  if (!let_go(*builder->info_, spare).ok() || spare.empty()) return;
  static_cast<void>(keep_spares({std::move(spare)}));
}

op_status segment_store::release(const std::function<lsn_t(shard_id)>& needed_from,
                                 std::uint64_t bytes_max, bool archived_only) {
  std::vector<std::shared_ptr<segment_info>> released;
  std::vector<std::string> spares;
  std::uint64_t released_bytes = 0;
  {
    std::lock_guard guard{mutex_};
    const auto needed = [&](const std::shared_ptr<segment_info>& segment) {
      if (!segment->closed || segment.use_count() > 1) return true;
      if (archived_only && segment->archived < segment->data_end) return true;
      return std::any_of(segment->runs.begin(), segment->runs.end(), [&](const shard_run& run) {
        return run.records != 0 && run.first <= run.keep &&
               std::min(run.last, run.keep) >= needed_from(run.shard);
      });
    };
    std::vector<std::shared_ptr<segment_info>> kept; // with room for what must come back
    for (auto* list : {&kept, &released}) list->reserve(segments_.size());
    spares.reserve(segments_.size());
    for (auto& segment : segments_) {
      if (closed_bytes_ - released_bytes <= bytes_max || needed(segment)) {
        kept.push_back(std::move(segment));
      } else {
        released_bytes += segment->file_bytes;
        released.push_back(std::move(segment));
      }
    }
    segments_ = std::move(kept);
  }
  if (released.empty()) return {};

  op_status failure;
  for (auto& segment : released) {
    std::string spare;
    if (auto s = unless_no_memory("log", [&] { return let_go(*segment, spare); }); s.ok()) {
      if (!spare.empty()) spares.push_back(std::move(spare));
    } else {
      failure = std::move(s);
      enter(segment);
    }
  }
  if (auto s = keep_spares(std::move(spares)); !s.ok()) failure = std::move(s);
  // Only now: writers that go on before the files can be used again would have fresh ones made.
  std::lock_guard guard{mutex_};
  count_closed(0, released_bytes);
  return failure;
}

void segment_store::set_archived(const std::map<segment_name, std::uint64_t>& ends) {
  std::lock_guard guard{mutex_};
  for (const auto& s : segments_) {
    const auto end = ends.find({s->header.start, s->header.stream, s->header.sequence});
    if (end != ends.end()) s->archived = std::max(s->archived, end->second);
  }
}

op_status segment_store::drop_idle_spares(std::size_t keep) {
  std::vector<std::string> idle;
  {
    std::lock_guard guard{mutex_};
    const auto surplus = spares_low_ - std::min(spares_low_, keep);
    idle.assign(spares_.begin(), spares_.begin() + static_cast<std::ptrdiff_t>(surplus));
    spares_.erase(spares_.begin(), spares_.begin() + static_cast<std::ptrdiff_t>(surplus));
    spares_low_ = spares_.size();
  }
  op_status failure;
  for (const auto& path : idle)
    if (auto s = options_.files->remove(path); !s.ok() && s != op_code::not_found) {
      failure = std::move(s);
      std::lock_guard guard{mutex_};
      spares_.push_back(path); // its turn comes again
    }
  return failure;
}

void segment_store::with_segments(
    const std::function<void(const std::vector<std::shared_ptr<segment_info>>&)>& reader) const {
  std::lock_guard guard{mutex_};
  reader(segments_);
}

std::vector<std::shared_ptr<segment_info>> segment_store::segments_of(shard_id shard,
                                                                      lsn_t after) const {
  std::vector<std::shared_ptr<segment_info>> found;
  std::lock_guard guard{mutex_};
  for (const auto& segment : segments_)
    if (std::any_of(segment->runs.begin(), segment->runs.end(), [&](const shard_run& run) {
          return run.shard == shard && run.records != 0 && run.first <= run.keep &&
                 std::min(run.last, run.keep) > after;
        }))
      found.push_back(segment);
  return found;
}

std::uint64_t segment_store::bytes_kept() const {
  std::lock_guard guard{mutex_};
  auto bytes = making_bytes_ + (spares_.size() + spares_coming_) * options_.segment_bytes;
  for (const auto& segment : segments_) bytes += segment->file_bytes;
  return bytes;
}

std::uint64_t segment_store::bytes_closed() const {
  std::lock_guard guard{mutex_};
  return closed_bytes_;
}

segment_store::pause_stats segment_store::pauses() const {
  std::lock_guard guard{mutex_};
  auto pauses = pauses_;
  if (full_->load(std::memory_order_relaxed))
    pauses.ms += static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                                std::chrono::steady_clock::now() - paused_at_)
                                                .count());
  return pauses;
}

// -- making segments ahead
// --------------------------------------------------------------------------------------------

void segment_store::want() noexcept {
  {
    std::lock_guard guard{wanted_mutex_};
    wanted_ = true;
  }
  wanted_changed_.notify_all();
}

void segment_store::wait_wanted(std::chrono::milliseconds wait_max) {
  std::unique_lock lock{wanted_mutex_};
  if (wait_max.count() > 0) wanted_changed_.wait_for(lock, wait_max, [&] { return wanted_; });
  wanted_ = false;
}

std::uint64_t segment_store::segments_kept() const {
  std::lock_guard guard{mutex_};
  return segments_.size();
}

segment_store::usage segment_store::usage_of(std::uint32_t stream) const {
  usage of;
  std::lock_guard guard{mutex_};
  for (const auto& segment : segments_)
    if (segment->header.stream == stream) {
      ++of.segments;
      of.bytes += segment->file_bytes;
    }
  return of;
}

} // namespace warp::storage
