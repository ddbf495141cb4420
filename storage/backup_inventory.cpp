#include "storage/backup_inventory.hpp"

#include "storage/backup_repository.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::storage {

namespace {

constexpr std::string_view section = "objects";

template <class Names>
std::string free_name(const Names& taken, const std::string& wanted) {
  auto name = wanted;
  for (int n = 2; taken.contains(name); ++n) name = fmt::format("{}-{}", wanted, n);
  return name;
}

} // namespace

op_result<backup_inventory> backup_inventory::look(backup_store& store,
                                                   const backup_subject& subject) {
  auto backups = list_backups(store);
  if (!backups) return backups.status();
  auto objects = store.list(std::string{section});
  if (!objects) return objects.status();
  backup_inventory found;
  for (const auto& object : *objects)
    found.objects[object.name.substr(section.size() + 1)] = object.bytes;
  for (auto& backup : *backups) {
    found.names.insert(backup.name);
    if (!backup.status.ok()) continue;
    auto& m = backup.manifest;
    if (m.universe != subject.universe)
      return op_status{
          op_code::invalid_argument,
          fmt::format("{} holds backups of universe {}, this one is {}: name another folder",
                      store.describe(), to_string(m.universe), to_string(subject.universe))};
    found.taken_us_max = std::max(found.taken_us_max, m.taken_us);
    if (m.generation == subject.generation && m.shards.size() == subject.shard_count)
      found.previous = std::move(m); // the last is the newest
  }
  return found;
}

bool backup_inventory::has(const backup_object& object) const {
  const auto it = objects.find(object.name);
  return it != objects.end() && it->second == object.bytes;
}

std::string backup_inventory::free_object_name(const std::string& wanted) const {
  return free_name(objects, wanted);
}

std::string backup_inventory::free_backup_name(const std::string& wanted) const {
  return free_name(names, wanted);
}

} // namespace warp::storage
