#include "tests/support/recording_file_system.hpp"

#include "storage/path.hpp"

#include <deque>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <set>

namespace warp::testing {

using storage::file;
using storage::folder_lock;
using storage::folder_of;
using storage::open_mode;
using kind = disk_event::kind;

std::string describe(const disk_event& e) {
  switch (e.what) {
  case kind::create_folder:
    return "create folder " + e.path;
  case kind::create:
    return "create " + e.path;
  case kind::write:
    return fmt::format("write {} {}+{}", e.path, e.offset, e.bytes.size());
  case kind::truncate:
    return fmt::format("truncate {} to {}", e.path, e.offset);
  case kind::sync:
    return "sync " + e.path;
  case kind::write_synced:
    return fmt::format("end of synced write {} {}+{}", e.path, e.offset, e.bytes.size());
  case kind::rename:
    return fmt::format("rename {} to {}", e.path, e.to);
  case kind::remove:
    return "remove " + e.path;
  case kind::sync_folder:
    return "sync folder " + e.path;
  case kind::mark:
    break;
  }
  return fmt::format("mark {}", e.offset);
}

struct recording_file_system::state {
  mutable std::mutex mutex;
  bool record = true;
  disk_image begin;
  std::vector<disk_event> events;
  std::map<std::string, std::uint32_t> names;
  std::deque<file_content> files; ///< by number
  std::set<std::string> folders, locked;
  std::uint64_t life = 0; ///< counts deaths of the process
  std::function<void()> gate;

  void note(disk_event event) {
    if (record) events.push_back(std::move(event));
  }
  std::uint32_t create(const std::string& path) {
    const auto number = static_cast<std::uint32_t>(files.size());
    files.emplace_back();
    names[path] = number;
    note({.what = kind::create, .path = path, .file = number});
    return number;
  }
};

namespace {

template <class State>
class recorded_file final : public file {
public:
  recorded_file(std::shared_ptr<State> s, std::uint32_t number, std::string path)
      : state_(std::move(s)), number_(number), path_(std::move(path)), life_(state_->life) {}

  op_result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
    std::lock_guard guard{state_->mutex};
    if (auto dead = check(); !dead.ok()) return dead;
    return content().read(offset, buffer);
  }
  op_status write_at(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    wait_at_gate();
    std::lock_guard guard{state_->mutex};
    return write(offset, pieces);
  }
  op_status write_synced(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    wait_at_gate();
    std::lock_guard guard{state_->mutex};
    if (auto s = write(offset, pieces); !s.ok()) return s;
    if (!state_->record) return {};
    auto end = state_->events.back();
    end.what = kind::write_synced;
    state_->note(std::move(end));
    return {};
  }
  op_status sync() override {
    wait_at_gate();
    std::lock_guard guard{state_->mutex};
    if (auto dead = check(); !dead.ok()) return dead;
    state_->note({.what = kind::sync, .path = path_, .file = number_});
    return {};
  }
  op_status truncate(std::uint64_t size) override {
    wait_at_gate();
    std::lock_guard guard{state_->mutex};
    if (auto dead = check(); !dead.ok()) return dead;
    content().resize(size);
    state_->note({.what = kind::truncate, .path = path_, .file = number_, .offset = size});
    return {};
  }
  op_result<std::uint64_t> size() override {
    std::lock_guard guard{state_->mutex};
    if (auto dead = check(); !dead.ok()) return dead;
    return content().size();
  }

private:
  void wait_at_gate() {
    if (state_->gate) state_->gate();
  }
  file_content& content() { return state_->files[number_]; }
  [[nodiscard]] op_status check() const {
    if (life_ != state_->life) return {op_code::io_error, path_ + ": its process is dead"};
    return {};
  }
  op_status write(std::uint64_t offset, std::span<const std::string_view> pieces) {
    if (auto dead = check(); !dead.ok()) return dead;
    auto at = offset;
    for (const auto piece : pieces) {
      content().write(at, piece);
      at += piece.size();
    }
    if (!state_->record) return {};
    std::string bytes;
    for (const auto piece : pieces) bytes += piece;
    state_->note({.what = kind::write,
                  .path = path_,
                  .file = number_,
                  .offset = offset,
                  .bytes = std::move(bytes)});
    return {};
  }

  std::shared_ptr<State> state_;
  const std::uint32_t number_;
  const std::string path_;
  const std::uint64_t life_;
};

template <class State>
class recorded_lock final : public folder_lock {
public:
  recorded_lock(std::shared_ptr<State> s, std::string folder)
      : state_(std::move(s)), folder_(std::move(folder)), life_(state_->life) {}
  ~recorded_lock() override {
    std::lock_guard guard{state_->mutex};
    if (life_ == state_->life) state_->locked.erase(folder_);
  }

private:
  std::shared_ptr<State> state_;
  const std::string folder_;
  const std::uint64_t life_;
};

} // namespace

recording_file_system::recording_file_system(disk_image begin, bool record)
    : state_(std::make_shared<state>()) {
  state_->record = record;
  for (const auto& [path, content] : begin.files) {
    state_->names[path] = static_cast<std::uint32_t>(state_->files.size());
    state_->files.push_back(content);
  }
  state_->folders = begin.folders;
  if (record) state_->begin = std::move(begin);
}

recording_file_system::~recording_file_system() = default;

op_result<std::unique_ptr<file>> recording_file_system::open(const std::string& path,
                                                             open_mode mode) {
  const bool creates = mode == open_mode::create || mode == open_mode::create_direct;
  if (creates && state_->gate) state_->gate();
  std::lock_guard guard{state_->mutex};
  const auto it = state_->names.find(path);
  std::uint32_t number = 0;
  if (creates) {
    if (it != state_->names.end())
      return op_status{op_code::io_error, path + ": open failed: file exists"};
    if (!state_->folders.contains(folder_of(path)))
      return op_status{op_code::not_found, path + ": open failed: no such folder"};
    number = state_->create(path);
  } else {
    if (it == state_->names.end())
      return op_status{op_code::not_found, path + ": open failed: no such file"};
    number = it->second;
  }
  return std::unique_ptr<file>{std::make_unique<recorded_file<state>>(state_, number, path)};
}

op_result<std::vector<std::string>> recording_file_system::list(const std::string& folder) {
  std::lock_guard guard{state_->mutex};
  if (!state_->folders.contains(folder))
    return op_status{op_code::not_found, folder + ": list failed: no such folder"};
  std::set<std::string> found;
  for (const auto& [path, number] : state_->names)
    if (folder_of(path) == folder) found.insert(path.substr(folder.size() + 1));
  for (const auto& path : state_->folders)
    if (path != folder && folder_of(path) == folder) found.insert(path.substr(folder.size() + 1));
  return std::vector<std::string>(found.begin(), found.end());
}

op_result<bool> recording_file_system::exists(const std::string& path) {
  std::lock_guard guard{state_->mutex};
  return path == "." || state_->names.contains(path) || state_->folders.contains(path);
}

op_status recording_file_system::create_folder(const std::string& path) {
  if (state_->gate) state_->gate();
  std::lock_guard guard{state_->mutex};
  std::vector<std::string> missing;
  for (auto p = path; p != "." && !state_->folders.contains(p); p = folder_of(p))
    missing.push_back(p);
  for (; !missing.empty(); missing.pop_back()) {
    state_->folders.insert(missing.back());
    state_->note({.what = kind::create_folder, .path = missing.back()});
  }
  return {};
}

op_status recording_file_system::rename(const std::string& from, const std::string& to) {
  if (state_->gate) state_->gate();
  std::lock_guard guard{state_->mutex};
  const auto it = state_->names.find(from);
  if (it == state_->names.end())
    return {op_code::not_found, from + ": rename failed: no such file"};
  const auto number = it->second;
  state_->names.erase(it);
  state_->names[to] = number;
  state_->note({.what = kind::rename, .path = from, .to = to, .file = number});
  return {};
}

op_status recording_file_system::remove(const std::string& path) {
  if (state_->gate) state_->gate();
  std::lock_guard guard{state_->mutex};
  const auto it = state_->names.find(path);
  if (it == state_->names.end())
    return {op_code::not_found, path + ": remove failed: no such file"};
  const auto number = it->second;
  state_->names.erase(it);
  state_->note({.what = kind::remove, .path = path, .file = number});
  return {};
}

op_status recording_file_system::sync_folder(const std::string& folder) {
  if (state_->gate) state_->gate();
  std::lock_guard guard{state_->mutex};
  if (!state_->folders.contains(folder) && folder != ".")
    return {op_code::not_found, folder + ": fsync failed: no such folder"};
  state_->note({.what = kind::sync_folder, .path = folder});
  return {};
}

op_result<std::uint64_t> recording_file_system::free_bytes(const std::string&) {
  return std::uint64_t{1} << 40;
}

op_result<std::unique_ptr<folder_lock>> recording_file_system::lock(const std::string& folder) {
  std::lock_guard guard{state_->mutex};
  if (!state_->locked.insert(folder).second)
    return op_status{op_code::unavailable, folder + "/lock: the folder is in use by process 0"};
  if (!state_->names.contains(folder + "/lock")) state_->create(folder + "/lock");
  return std::unique_ptr<folder_lock>{std::make_unique<recorded_lock<state>>(state_, folder)};
}

void recording_file_system::mark(std::uint64_t value) {
  std::lock_guard guard{state_->mutex};
  state_->note({.what = kind::mark, .offset = value});
}

void recording_file_system::kill_process() {
  std::lock_guard guard{state_->mutex};
  ++state_->life;
  state_->locked.clear();
}

void recording_file_system::set_gate(std::function<void()> gate) {
  state_->gate = std::move(gate);
}

disk_trace recording_file_system::take_trace() {
  std::lock_guard guard{state_->mutex};
  return {std::move(state_->begin), std::move(state_->events)};
}

disk_image recording_file_system::now() const {
  std::lock_guard guard{state_->mutex};
  disk_image image;
  for (const auto& [path, number] : state_->names) image.files[path] = state_->files[number];
  image.folders = state_->folders;
  return image;
}

} // namespace warp::testing
