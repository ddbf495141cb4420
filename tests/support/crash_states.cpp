#include "tests/support/crash_states.hpp"

#include "storage/path.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace warp::testing {

using event_kind = disk_event::kind;
using fate_kind = fate::kind;

namespace {

constexpr std::size_t all_subsets_max = 5; ///< changes
constexpr std::size_t random_choices = 24;

std::uint64_t sector_floor(std::uint64_t offset) {
  return offset / crash_states::sector_bytes * crash_states::sector_bytes;
}
std::uint64_t sector_ceiling(std::uint64_t offset) {
  return sector_floor(offset + crash_states::sector_bytes - 1);
}

std::uint64_t sectors(const disk_event& e) {
  return (sector_ceiling(e.offset + e.bytes.size()) - sector_floor(e.offset)) /
         crash_states::sector_bytes;
}

/// Looks random (the last steps of splitmix64).
std::uint64_t mixed(std::uint64_t n) {
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9u;
  n = (n ^ (n >> 27)) * 0x94d049bb133111ebu;
  return n ^ (n >> 31);
}

/// Does the fate leave sector `i` of a write?
bool leaves(fate f, std::uint64_t i) {
  switch (f.what) {
  case fate_kind::kept:
    return true;
  case fate_kind::front:
    return i < f.n;
  case fate_kind::back:
    return i >= f.n;
  case fate_kind::scattered:
    return (mixed(f.n + i) & 1) != 0;
  case fate_kind::lost:
  case fate_kind::size_only:
    break;
  }
  return false;
}

/// Names whose folder is not there are not there either.
void drop_orphans(disk_image& image) {
  const auto orphan = [&](const std::string& path) {
    const auto folder = storage::folder_of(path);
    return folder != "." && !image.folders.contains(folder);
  };
  for (bool again = true; again;) again = std::erase_if(image.folders, orphan) != 0;
  std::erase_if(image.files, [&](const auto& file) { return orphan(file.first); });
}

} // namespace

crash_states::crash_states(const disk_trace& trace) : trace_(trace) {
  for (const auto& [path, content] : trace.begin.files) {
    names_[path] = static_cast<std::uint32_t>(durable_.size());
    durable_.push_back(content);
  }
  latest_ = durable_;
  folders_ = trace.begin.folders;
}

bool crash_states::next_point() {
  const auto& events = trace_.events;
  if (started_) {
    if (at_ == events.size()) return false;
    happens(events[at_++]);
  }
  started_ = true;
  for (; at_ < events.size() && events[at_].what == event_kind::mark; ++at_)
    mark_ = events[at_].offset;
  return true;
}

bool crash_states::is_name(const disk_event& e) const {
  return e.what == event_kind::create || e.what == event_kind::create_folder ||
         e.what == event_kind::rename || e.what == event_kind::remove;
}

void crash_states::happens(const disk_event& e) {
  switch (e.what) {
  case event_kind::create:
    durable_.resize(std::max<std::size_t>(durable_.size(), e.file + 1));
    latest_.resize(durable_.size());
    pending_.push_back({&e, {}});
    break;
  case event_kind::create_folder:
  case event_kind::rename:
  case event_kind::remove:
    pending_.push_back({&e, {}});
    break;
  case event_kind::write:
    latest_[e.file].write(e.offset, e.bytes);
    pending_.push_back({&e, {{sector_floor(e.offset), sector_ceiling(e.offset + e.bytes.size())}}});
    break;
  case event_kind::truncate:
    latest_[e.file].resize(e.offset);
    pending_.push_back({&e, {}});
    break;
  case event_kind::sync:
    make_durable(e.file);
    break;
  case event_kind::write_synced:
    make_last_write_durable(e);
    break;
  case event_kind::sync_folder:
    make_durable(e.path);
    break;
  case event_kind::mark:
    break;
  }
}

void crash_states::make_durable(std::uint32_t file) {
  durable_[file] = latest_[file];
  std::erase_if(pending_,
                [&](const change& c) { return !is_name(*c.event) && c.event->file == file; });
}

void crash_states::make_durable(const std::string& folder) {
  disk_image folders;
  folders.folders = std::move(folders_);
  std::erase_if(pending_, [&](const change& c) {
    if (!is_name(*c.event) || storage::folder_of(c.event->path) != folder) return false;
    name(folders, names_, *c.event);
    return true;
  });
  folders_ = std::move(folders.folders);
}

void crash_states::make_last_write_durable(const disk_event& e) {
  const range done{sector_floor(e.offset), sector_ceiling(e.offset + e.bytes.size())};
  durable_[e.file].take(latest_[e.file], done.begin, done.end);
  for (auto& c : pending_) {
    if (c.event->what != event_kind::write || c.event->file != e.file) continue;
    std::vector<range> left;
    for (const auto& r : c.left) {
      if (r.begin < done.begin) left.push_back({r.begin, std::min(r.end, done.begin)});
      if (r.end > done.end) left.push_back({std::max(r.begin, done.end), r.end});
    }
    c.left = std::move(left);
  }
  std::erase_if(pending_, [](const change& c) {
    return c.event->what == event_kind::write && c.left.empty();
  });
}

void crash_states::name(disk_image& image, std::map<std::string, std::uint32_t>& names,
                        const disk_event& e) {
  const auto forget = [&](const std::string& path) {
    const auto it = names.find(path);
    if (it != names.end() && it->second == e.file) names.erase(it);
  };
  switch (e.what) {
  case event_kind::create_folder:
    image.folders.insert(e.path);
    break;
  case event_kind::create:
    names[e.path] = e.file;
    break;
  case event_kind::rename:
    forget(e.path);
    names[e.to] = e.file;
    break;
  default:
    forget(e.path);
  }
}

std::vector<std::vector<fate>> crash_states::choices(std::mt19937_64& random) const {
  const auto n = pending_.size();
  const fate lost{}, kept{fate_kind::kept};
  std::vector<std::vector<fate>> all{std::vector<fate>(n, lost)};
  if (n == 0) return all;
  all.emplace_back(n, kept);
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<fate> prefix(n, lost), alone(n, lost), missing(n, kept);
    std::fill_n(prefix.begin(), i, kept);
    alone[i] = kept;
    missing[i] = lost;
    const auto& e = *pending_[i].event;
    if (e.what == event_kind::write) {
      const auto count = sectors(e);
      std::vector<fate> torn{{fate_kind::size_only}};
      if (count > 1) {
        torn.push_back({fate_kind::front, 1});
        torn.push_back({fate_kind::back, 1});
        torn.push_back({fate_kind::front, count - 1});
        torn.push_back({fate_kind::back, count - 1});
        torn.push_back({fate_kind::front, 1 + random() % (count - 1)});
        torn.push_back({fate_kind::scattered, random()});
      }
      for (const auto& t : torn)
        for (auto* around : {&prefix, &alone, &missing}) {
          all.push_back(*around);
          all.back()[i] = t;
        }
    }
    all.push_back(std::move(prefix));
    all.push_back(std::move(alone));
    all.push_back(std::move(missing));
  }
  if (n <= all_subsets_max)
    for (std::size_t subset = 1; subset + 1 < std::size_t{1} << n; ++subset) {
      all.emplace_back(n, lost);
      for (std::size_t i = 0; i < n; ++i)
        if ((subset >> i & 1) != 0) all.back()[i] = kept;
    }
  for (std::size_t k = 0; k < random_choices && n > 1; ++k) {
    all.emplace_back(n, lost);
    for (std::size_t i = 0; i < n; ++i) {
      const bool torn = pending_[i].event->what == event_kind::write && random() % 3 == 0;
      if (torn)
        all.back()[i] = {fate_kind::scattered, random()};
      else if (random() % 2 == 0)
        all.back()[i] = kept;
    }
  }
  std::shuffle(all.begin() + 2, all.end(), random);
  return all;
}

disk_image crash_states::disk(const std::vector<fate>& choice) const {
  disk_image image;
  image.folders = folders_;
  auto names = names_;
  struct versions {
    file_content now, kept;
    bool whole = true; ///< everything so far was kept
  };
  std::map<std::uint32_t, versions> files;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const auto& c = pending_[i];
    const auto& e = *c.event;
    const auto f = choice[i];
    if (is_name(e)) {
      if (f.what == fate_kind::kept) name(image, names, e);
      continue;
    }
    const auto [it, is_new] = files.try_emplace(e.file);
    auto& v = it->second;
    if (is_new) v.now = v.kept = durable_[e.file];
    v.whole = v.whole && f.what == fate_kind::kept;
    if (e.what == event_kind::truncate) {
      v.now.resize(e.offset);
      if (f.what == fate_kind::kept) v.kept.resize(e.offset);
      continue;
    }
    v.now.write(e.offset, e.bytes);
    if (f.what == fate_kind::size_only && v.now.size() > v.kept.size()) v.kept.resize(v.now.size());
    const auto first = sector_floor(e.offset);
    for (const auto& r : c.left) {
      if (f.what == fate_kind::kept) {
        v.kept.take(v.now, r.begin, r.end);
        continue;
      }
      for (auto at = r.begin; at < r.end; at += sector_bytes)
        if (leaves(f, (at - first) / sector_bytes)) v.kept.take(v.now, at, at + sector_bytes);
    }
  }
  for (const auto& [path, file] : names) {
    const auto it = files.find(file);
    if (it == files.end())
      image.files[path] = durable_[file];
    else
      image.files[path] = it->second.whole ? latest_[file] : it->second.kept;
  }
  drop_orphans(image);
  return image;
}

std::string crash_states::describe(const std::vector<fate>& choice) const {
  auto text = at_ < trace_.events.size()
                  ? fmt::format("crash at event {} of {}, before '{}'", at_, trace_.events.size(),
                                testing::describe(trace_.events[at_]))
                  : fmt::format("crash behind the last of {} events", at_);
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const auto f = choice[i];
    const char* word = f.what == fate_kind::lost        ? "lost"
                       : f.what == fate_kind::kept      ? "kept"
                       : f.what == fate_kind::front     ? "kept the first {} sectors of"
                       : f.what == fate_kind::back      ? "lost the first {} sectors of"
                       : f.what == fate_kind::scattered ? "kept sectors (seed {}) of"
                                                        : "kept only the size of";
    text += fmt::format("\n    {} {}", fmt::format(fmt::runtime(word), f.n),
                        testing::describe(*pending_[i].event));
  }
  return text;
}

} // namespace warp::testing
