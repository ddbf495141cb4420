#include "storage/backup_repository.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace warp::storage {

namespace {

constexpr std::string_view section = "backups/";
/// More than any manifest has: 16,384 shards with a line of 400 bytes, and a million log pieces.
constexpr std::uint64_t manifest_bytes_max = 512u << 20;

op_result<backup_manifest> read_manifest(backup_store& store, const std::string& name) {
  if (!is_backup_name(name))
    return op_status{op_code::invalid_argument, fmt::format("'{}' is no name of a backup", name)};
  const auto path = fmt::format("{}/{}{}", store.describe(), section, name);
  auto in = store.get(std::string{section} + name);
  if (in.code() == op_code::not_found)
    return op_status{op_code::not_found,
                     fmt::format("{}: there is no backup '{}'", store.describe(), name)};
  if (!in) return in.status();
  auto size = (*in)->size();
  if (!size) return size.status();
  if (*size > manifest_bytes_max)
    return op_status{op_code::corruption, fmt::format("{}: {} bytes are no manifest", path, *size)};
  std::string bytes(*size, '\0');
  auto count = (*in)->read_at(0, bytes);
  if (!count) return count.status();
  bytes.resize(*count);
  return decode_backup_manifest(bytes, path, name);
}

bool older(const listed_backup& a, const listed_backup& b) {
  return std::tie(a.manifest.taken_us, a.name) < std::tie(b.manifest.taken_us, b.name);
}

const listed_backup* find(const std::vector<listed_backup>& all, std::string_view name) {
  const auto it = std::ranges::find(all, name, &listed_backup::name);
  return it == all.end() ? nullptr : &*it;
}

/// The backup that this one's log goes on from; null: none, or it can't be read.
const listed_backup* before(const std::vector<listed_backup>& all, const backup_manifest& m) {
  const auto* found = m.follows.empty() ? nullptr : find(all, m.follows);
  if (found == nullptr || !found->status.ok()) return nullptr;
  const auto& b = found->manifest;
  return b.universe == m.universe && b.generation == m.generation && b.taken_us <= m.taken_us &&
                 b.shards.size() == m.shards.size()
             ? found
             : nullptr;
}

op_result<removed_backups> remove_locked(backup_store& store,
                                         const std::vector<std::string>& names) {
  auto all = list_backups(store);
  if (!all) return all.status();
  for (const auto& name : names)
    if (find(*all, name) == nullptr)
      return op_status{op_code::not_found,
                       fmt::format("{}: there is no backup '{}'", store.describe(), name)};
  std::set<std::string> needed;
  for (const auto& backup : *all) {
    if (std::ranges::find(names, backup.name) != names.end()) continue;
    if (!backup.status.ok())
      return op_status{backup.status.code(),
                       fmt::format("{}; nothing was removed: nobody knows what it needs. Remove it "
                                   "too, or put it right",
                                   backup.status.message())};
    for (const auto* object : backup.manifest.objects()) needed.insert("objects/" + object->name);
  }
  removed_backups removed;
  for (const auto& name : names) {
    if (auto s = store.remove(std::string{section} + name); !s.ok()) return s;
    removed.names.push_back(name);
  }
  auto objects = store.list("objects");
  if (!objects) return objects.status();
  for (const auto& object : *objects) {
    if (needed.contains(object.name)) continue;
    if (auto s = store.remove(object.name); !s.ok()) return s;
    ++removed.objects;
    removed.bytes += object.bytes;
  }
  return removed;
}

} // namespace

op_result<std::vector<listed_backup>> list_backups(backup_store& store) {
  if (auto s = store.check(); !s.ok()) return s;
  auto names = store.list("backups");
  if (!names) return names.status();
  std::vector<listed_backup> all;
  for (const auto& object : *names) {
    listed_backup backup;
    backup.name = object.name.substr(section.size());
    auto m = read_manifest(store, backup.name);
    if (m.code() == op_code::not_found) continue; // removed meanwhile
    if (m)
      backup.manifest = std::move(*m);
    else
      backup.status = m.status();
    all.push_back(std::move(backup));
  }
  std::sort(all.begin(), all.end(), older);
  for (auto& backup : all) { // older ones have theirs already
    const auto* previous = before(all, backup.manifest);
    backup.from_us =
        previous != nullptr && previous < &backup ? previous->from_us : backup.manifest.base_us;
  }
  return all;
}

op_result<backup_manifest> load_backup(backup_store& store, const std::string& name) {
  if (!name.empty()) {
    if (auto s = store.check(); !s.ok()) return s;
    return read_manifest(store, name);
  }
  auto all = list_backups(store);
  if (!all) return all.status();
  if (all->empty())
    return op_status{op_code::not_found,
                     fmt::format("{}: there is no backup in this repository", store.describe())};
  // One that can't be read may be newer than all others: to pass over it would be a guess.
  for (const auto& backup : *all)
    if (!backup.status.ok())
      return op_status{backup.status.code(),
                       fmt::format("{}; name the backup that you want", backup.status.message())};
  return std::move(all->back().manifest);
}

op_result<std::vector<backup_manifest>> backup_chain(backup_store& store, const std::string& name) {
  auto newest = load_backup(store, name);
  if (!newest) return newest.status();
  auto all = list_backups(store);
  if (!all) return all.status();
  std::vector<backup_manifest> chain{std::move(*newest)};
  while (const auto* previous = before(*all, chain.back())) {
    if (chain.size() > all->size()) break; // a circle: forged
    chain.push_back(previous->manifest);
  }
  std::reverse(chain.begin(), chain.end());
  return chain;
}

op_status save_backup(backup_store& store, const backup_manifest& m) {
  auto out = store.put(std::string{section} + m.name);
  if (!out) return out.status();
  if (auto s = (*out)->append(encode_backup_manifest(m)); !s.ok()) return s;
  return (*out)->finish();
}

op_result<removed_backups> remove_backups(backup_store& store,
                                          const std::vector<std::string>& names) {
  if (auto s = store.check(); !s.ok()) return s;
  auto lock = store.lock();
  if (!lock) return lock.status();
  return remove_locked(store, names);
}

op_result<removed_backups> prune_backups(backup_store& store, std::size_t keep) {
  if (auto s = store.check(); !s.ok()) return s;
  auto lock = store.lock();
  if (!lock) return lock.status();
  auto all = list_backups(store);
  if (!all) return all.status();
  std::erase_if(*all, [](const listed_backup& b) { return !b.status.ok(); });
  std::vector<std::string> names;
  keep = std::max<std::size_t>(keep, 1);
  for (std::size_t i = 0; i + keep < all->size(); ++i) names.push_back((*all)[i].name);
  return remove_locked(store, names);
}

} // namespace warp::storage
