#include "tests/support/memory_file_system.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>

namespace warp::testing {

using storage::file;
using storage::folder_lock;
using storage::open_mode;

namespace {

constexpr std::uint64_t sector_bytes = 512;

bool is_direct(open_mode mode) {
  return mode == open_mode::create_direct || mode == open_mode::direct;
}

struct pending_write {
  std::uint64_t offset = 0;
  std::string bytes;
  std::optional<std::uint64_t> truncate_to; ///< instead of bytes
};

/// Content of a file, whatever its names.
struct inode {
  std::string now;    ///< what reads see
  std::string synced; ///< what a crash leaves at least
  std::vector<pending_write> pending;
};

void redo(std::string& content, const pending_write& write) {
  if (write.truncate_to) {
    content.resize(*write.truncate_to);
    return;
  }
  if (content.size() < write.offset + write.bytes.size())
    content.resize(write.offset + write.bytes.size());
  std::copy(write.bytes.begin(), write.bytes.end(),
            content.begin() + static_cast<std::ptrdiff_t>(write.offset));
}

/// Takes [begin, end) out of the writes: a later one has replaced it.
void cut_out(std::vector<pending_write>& writes, std::uint64_t begin, std::uint64_t end) {
  std::vector<pending_write> rest;
  for (auto& w : writes) {
    const auto w_end = w.offset + w.bytes.size();
    if (w.truncate_to || w_end <= begin || end <= w.offset) {
      rest.push_back(std::move(w));
      continue;
    }
    if (w.offset < begin) rest.push_back({w.offset, w.bytes.substr(0, begin - w.offset), {}});
    if (end < w_end) rest.push_back({end, w.bytes.substr(end - w.offset), {}});
  }
  writes = std::move(rest);
}

/// A change of names that its folder's sync makes durable. `from` empty: `to` is new; `to` empty:
/// `from` is gone.
struct name_change {
  std::string from, to;
  std::shared_ptr<inode> node;
};

std::string parent(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

using names = std::map<std::string, std::shared_ptr<inode>>;

void redo(names& n, const name_change& change) {
  if (!change.from.empty()) n.erase(change.from);
  if (!change.to.empty()) n[change.to] = change.node;
}

} // namespace

struct memory_file_system::state {
  mutable std::mutex mutex;
  names now, synced;
  std::map<std::string, std::vector<name_change>> pending; ///< by folder
  std::set<std::string> folders, locked;
  std::uint64_t capacity = ~std::uint64_t{0}, used = 0;
  testing::direct_refusal direct_refusal = testing::direct_refusal::none;
  std::uint64_t life = 0; ///< counts crashes: handles of an earlier life are dead

  void crash(crash_policy policy, std::uint64_t seed);
  void crash(inode& node, crash_policy policy, std::mt19937_64& random) const;
  [[nodiscard]] std::shared_ptr<state> copy() const;
  void count_used() {
    std::set<inode*> seen;
    used = 0;
    for (auto& [name, node] : now)
      if (seen.insert(node.get()).second) used += node->now.size();
  }
  inode& at(const std::string& path) {
    const auto it = now.find(path);
    if (it == now.end()) throw std::invalid_argument("no such file: " + path);
    return *it->second;
  }
};

void memory_file_system::state::crash(inode& node, crash_policy policy,
                                      std::mt19937_64& random) const {
  if (policy == crash_policy::keep_all) node.synced = node.now;
  if (policy == crash_policy::random)
    for (const auto& write : node.pending) {
      if (write.truncate_to) {
        if (random() % 2 == 0) redo(node.synced, write);
        continue;
      }
      for (std::uint64_t at = 0; at < write.bytes.size();) { // sector by sector of the file
        const auto begin = write.offset + at;
        const auto size = std::min(sector_bytes - begin % sector_bytes, write.bytes.size() - at);
        if (random() % 2 == 0) redo(node.synced, {begin, write.bytes.substr(at, size), {}});
        at += size;
      }
    }
  node.now = node.synced;
  node.pending.clear();
}

void memory_file_system::state::crash(crash_policy policy, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  for (auto& [folder, changes] : pending) {
    auto kept = changes.size();
    if (policy == crash_policy::drop_all) kept = 0;
    if (policy == crash_policy::random) kept = random() % (changes.size() + 1);
    for (std::size_t i = 0; i < kept; ++i) redo(synced, changes[i]);
  }
  pending.clear();
  now = synced;
  std::set<inode*> seen;
  for (auto& [name, node] : now)
    if (seen.insert(node.get()).second) crash(*node, policy, random);
  locked.clear();
  ++life;
  count_used();
}

std::shared_ptr<memory_file_system::state> memory_file_system::state::copy() const {
  auto to = std::make_shared<state>();
  std::map<const inode*, std::shared_ptr<inode>> copies;
  const auto copied = [&](const std::shared_ptr<inode>& node) {
    auto& slot = copies[node.get()];
    if (!slot) slot = std::make_shared<inode>(*node);
    return slot;
  };
  for (const auto& [name, node] : now) to->now[name] = copied(node);
  for (const auto& [name, node] : synced) to->synced[name] = copied(node);
  for (const auto& [folder, changes] : pending)
    for (const auto& c : changes)
      to->pending[folder].push_back({c.from, c.to, c.node ? copied(c.node) : nullptr});
  to->folders = folders;
  to->capacity = capacity;
  to->direct_refusal = direct_refusal;
  to->used = used;
  return to;
}

namespace {

/// Reaches into the state only under its mutex and only in the life it was opened in.
template <class State>
class memory_file final : public file {
public:
  memory_file(std::shared_ptr<State> s, std::shared_ptr<inode> node, std::string path,
              open_mode mode)
      : state_(std::move(s)), node_(std::move(node)), path_(std::move(path)), mode_(mode),
        life_(state_->life) {}

  op_result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
    std::lock_guard guard{state_->mutex};
    if (auto dead = check(false); !dead.ok()) return dead;
    if (offset >= node_->now.size()) return std::size_t{0};
    const auto n = std::min<std::uint64_t>(buffer.size(), node_->now.size() - offset);
    std::copy_n(node_->now.data() + offset, n, buffer.data());
    return static_cast<std::size_t>(n);
  }

  op_status write_at(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    std::lock_guard guard{state_->mutex};
    if (auto refused = check_direct(offset, pieces); !refused.ok()) return refused;
    return write_locked(offset, pieces);
  }

  /// As a device with a cache: this write is durable, those before it still are not.
  op_status write_synced(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    std::lock_guard guard{state_->mutex};
    if (auto refused = check_direct(offset, pieces); !refused.ok()) return refused;
    if (auto s = write_locked(offset, pieces); !s.ok()) return s;
    const auto write = std::move(node_->pending.back());
    node_->pending.pop_back();
    cut_out(node_->pending, write.offset, write.offset + write.bytes.size());
    redo(node_->synced, write);
    return {};
  }

  op_status write_locked(std::uint64_t offset, std::span<const std::string_view> pieces) {
    if (auto dead = check(true); !dead.ok()) return dead;
    pending_write write{offset, {}, {}};
    for (const auto piece : pieces) write.bytes += piece;
    const auto end = offset + write.bytes.size();
    if (end > node_->now.size()) {
      const auto growth = end - node_->now.size();
      if (growth > state_->capacity - std::min(state_->capacity, state_->used))
        return {op_code::no_space,
                fmt::format("{}: write at {} failed: no space left", path_, offset)};
      state_->used += growth;
    }
    redo(node_->now, write);
    node_->pending.push_back(std::move(write));
    return {};
  }

  op_status sync() override {
    std::lock_guard guard{state_->mutex};
    if (auto dead = check(false); !dead.ok()) return dead;
    for (const auto& write : node_->pending) redo(node_->synced, write);
    node_->pending.clear();
    return {};
  }

  op_status truncate(std::uint64_t size) override {
    std::lock_guard guard{state_->mutex};
    if (auto dead = check(true); !dead.ok()) return dead;
    node_->pending.push_back({0, {}, size});
    redo(node_->now, node_->pending.back());
    state_->count_used();
    return {};
  }

  op_result<std::uint64_t> size() override {
    std::lock_guard guard{state_->mutex};
    if (auto dead = check(false); !dead.ok()) return dead;
    return std::uint64_t{node_->now.size()};
  }

private:
  [[nodiscard]] op_status check(bool write) const {
    if (life_ != state_->life) return {op_code::io_error, path_ + ": opened before the crash"};
    if (write && mode_ == open_mode::read)
      return {op_code::io_error, path_ + ": opened for reading"};
    return {};
  }
  [[nodiscard]] op_status check_direct(std::uint64_t offset,
                                       std::span<const std::string_view> pieces) const {
    if (!is_direct(mode_)) return {};
    if (state_->direct_refusal == direct_refusal::write)
      return {op_code::not_supported, path_ + ": write failed: invalid argument"};
    const auto aligned = [](std::uint64_t n) { return n % storage::direct_alignment == 0; };
    for (const auto piece : pieces)
      if (!aligned(reinterpret_cast<std::uintptr_t>(piece.data())) || !aligned(piece.size()) ||
          !aligned(offset))
        return {op_code::io_error,
                fmt::format("{}: direct write at {} is not aligned", path_, offset)};
    return {};
  }

  friend class warp::testing::memory_file_system;
  std::shared_ptr<State> state_;
  std::shared_ptr<inode> node_;
  std::string path_;
  open_mode mode_;
  std::uint64_t life_;
};

template <class State>
class memory_folder_lock final : public folder_lock {
public:
  memory_folder_lock(std::shared_ptr<State> s, std::string folder)
      : state_(std::move(s)), folder_(std::move(folder)), life_(state_->life) {}
  ~memory_folder_lock() override {
    std::lock_guard guard{state_->mutex};
    if (life_ == state_->life) state_->locked.erase(folder_);
  }

private:
  std::shared_ptr<State> state_;
  std::string folder_;
  std::uint64_t life_;
};

} // namespace

memory_file_system::memory_file_system() : state_(std::make_shared<state>()) {}
memory_file_system::memory_file_system(std::shared_ptr<state> s) : state_(std::move(s)) {}
memory_file_system::~memory_file_system() = default;

op_result<std::unique_ptr<file>> memory_file_system::open(const std::string& path, open_mode mode) {
  std::lock_guard guard{state_->mutex};
  const auto it = state_->now.find(path);
  if (is_direct(mode) && state_->direct_refusal == direct_refusal::open)
    return op_status{op_code::not_supported, path + ": open failed: invalid argument"};
  if (mode == open_mode::create || mode == open_mode::create_direct) {
    if (it != state_->now.end())
      return op_status{op_code::io_error, path + ": open failed: file exists"};
    if (!state_->folders.contains(parent(path)) && parent(path) != ".")
      return op_status{op_code::not_found, path + ": open failed: no such folder"};
    const name_change change{{}, path, std::make_shared<inode>()};
    redo(state_->now, change);
    state_->pending[parent(path)].push_back(change);
    return std::unique_ptr<file>{
        std::make_unique<memory_file<state>>(state_, change.node, path, mode)};
  }
  if (it == state_->now.end())
    return op_status{op_code::not_found, path + ": open failed: no such file"};
  return std::unique_ptr<file>{
      std::make_unique<memory_file<state>>(state_, it->second, path, mode)};
}

op_result<std::vector<std::string>> memory_file_system::list(const std::string& folder) {
  std::lock_guard guard{state_->mutex};
  if (!state_->folders.contains(folder))
    return op_status{op_code::not_found, folder + ": list failed: no such folder"};
  std::set<std::string> found;
  for (const auto& [path, node] : state_->now)
    if (parent(path) == folder) found.insert(path.substr(folder.size() + 1));
  for (const auto& path : state_->folders)
    if (path != folder && parent(path) == folder) found.insert(path.substr(folder.size() + 1));
  if (state_->locked.contains(folder)) found.insert("lock");
  return std::vector<std::string>(found.begin(), found.end());
}

op_result<bool> memory_file_system::exists(const std::string& path) {
  std::lock_guard guard{state_->mutex};
  return state_->now.contains(path) || state_->folders.contains(path);
}

op_status memory_file_system::create_folder(const std::string& path) {
  std::lock_guard guard{state_->mutex};
  for (auto p = path; p != "." && !p.empty(); p = parent(p)) state_->folders.insert(p);
  return {};
}

op_status memory_file_system::rename(const std::string& from, const std::string& to) {
  std::lock_guard guard{state_->mutex};
  const auto it = state_->now.find(from);
  if (it == state_->now.end()) return {op_code::not_found, from + ": rename failed: no such file"};
  const auto node = it->second;
  const name_change change{from, to, node};
  redo(state_->now, change);
  if (parent(from) != parent(to)) { // each folder's sync makes its half durable
    state_->pending[parent(to)].push_back({{}, to, node});
    state_->pending[parent(from)].push_back({from, {}, nullptr});
    state_->count_used();
    return {};
  }
  state_->pending[parent(to)].push_back(change);
  state_->count_used();
  return {};
}

op_status memory_file_system::remove(const std::string& path) {
  std::lock_guard guard{state_->mutex};
  if (!state_->now.contains(path))
    return {op_code::not_found, path + ": remove failed: no such file"};
  const name_change change{path, {}, nullptr};
  redo(state_->now, change);
  state_->pending[parent(path)].push_back(change);
  state_->count_used();
  return {};
}

op_status memory_file_system::sync_folder(const std::string& folder) {
  std::lock_guard guard{state_->mutex};
  if (!state_->folders.contains(folder) && folder != ".")
    return {op_code::not_found, folder + ": fsync failed: no such folder"};
  const auto it = state_->pending.find(folder);
  if (it == state_->pending.end()) return {};
  for (const auto& change : it->second) redo(state_->synced, change);
  state_->pending.erase(it);
  return {};
}

op_result<std::uint64_t> memory_file_system::free_bytes(const std::string&) {
  std::lock_guard guard{state_->mutex};
  return state_->capacity - std::min(state_->capacity, state_->used);
}

op_result<std::unique_ptr<folder_lock>> memory_file_system::lock(const std::string& folder) {
  std::lock_guard guard{state_->mutex};
  if (!state_->locked.insert(folder).second)
    return op_status{op_code::unavailable, folder + "/lock: the folder is in use by process 0"};
  return std::unique_ptr<folder_lock>{std::make_unique<memory_folder_lock<state>>(state_, folder)};
}

void memory_file_system::crash(crash_policy policy, std::uint64_t seed) {
  std::lock_guard guard{state_->mutex};
  state_->crash(policy, seed);
}

std::unique_ptr<memory_file_system> memory_file_system::crashed_copy(crash_policy policy,
                                                                     std::uint64_t seed) const {
  std::lock_guard guard{state_->mutex};
  auto copy = state_->copy();
  copy->crash(policy, seed);
  return std::unique_ptr<memory_file_system>{new memory_file_system{std::move(copy)}};
}

void memory_file_system::refuse_direct(direct_refusal how) {
  std::lock_guard guard{state_->mutex};
  state_->direct_refusal = how;
}

void memory_file_system::set_capacity(std::uint64_t bytes) {
  std::lock_guard guard{state_->mutex};
  state_->capacity = bytes;
}

std::uint64_t memory_file_system::used_bytes() const {
  std::lock_guard guard{state_->mutex};
  return state_->used;
}

void memory_file_system::forget_unsynced(file& f) {
  auto& of = dynamic_cast<memory_file<state>&>(f);
  std::lock_guard guard{of.state_->mutex};
  of.node_->pending.clear();
}

op_status memory_file_system::write_part(file& f, std::uint64_t offset, std::string_view bytes) {
  auto& of = dynamic_cast<memory_file<state>&>(f);
  std::lock_guard guard{of.state_->mutex};
  return of.write_locked(offset, {&bytes, 1});
}

std::string memory_file_system::bytes(const std::string& path) const {
  std::lock_guard guard{state_->mutex};
  return state_->at(path).now;
}

void memory_file_system::set_bytes(const std::string& path, std::string_view bytes) {
  std::lock_guard guard{state_->mutex};
  auto& node = state_->now[path];
  if (!node) state_->synced[path] = node = std::make_shared<inode>();
  node->now = node->synced = bytes;
  node->pending.clear();
  state_->count_used();
}

void memory_file_system::flip_bit(const std::string& path, std::uint64_t bit) {
  std::lock_guard guard{state_->mutex};
  auto& node = state_->at(path);
  const auto flip = [bit](std::string& content) {
    if (bit / 8 < content.size())
      content[bit / 8] = static_cast<char>(content[bit / 8] ^ (1 << (bit % 8)));
  };
  flip(node.now);
  flip(node.synced);
}

} // namespace warp::testing
