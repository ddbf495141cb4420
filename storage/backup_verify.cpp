#include "storage/backup_verify.hpp"

#include "storage/backup_archive.hpp"
#include "storage/backup_repository.hpp"
#include "storage/checkpoint_reader.hpp"

#include <fmt/format.h>

#include <map>
#include <set>

namespace warp::storage {

namespace {

class verifier {
public:
  verifier(backup_store& store, const std::function<void(const backup_progress&)>& on_progress)
      : store_(store), on_progress_(on_progress) {}

  void expect(const backup_manifest& m) {
    for (const auto* object : m.objects())
      if (expected_.insert(object->name).second) progress_.bytes_total += object->raw_bytes;
  }

  void examine(const backup_manifest& m) {
    name_ = m.name;
    ++result.backups;
    bool whole = true;
    for (const auto* object : m.objects()) whole &= examine_object(*object);
    if (!whole) return; // the rest would only say so again
    auto archive = backup_archive::open(store_, {&m, 1});
    if (!archive) return note(archive.status());
    for (const auto& shard : m.shards)
      if (shard.checkpoint) note(examine_checkpoint(**archive, *shard.checkpoint));
    note(examine_log(**archive));
  }

  void note(const op_status& status) {
    if (!status.ok())
      result.problems.push_back(fmt::format("backup {}: {}", name_, status.message()));
  }
  void call(std::string name) { name_ = std::move(name); }

  backup_verification result;

private:
  /// An object that some backups share is read once.
  bool examine_object(const backup_object& object) {
    auto [known, is_new] = objects_.try_emplace(object.name);
    auto& [status, found] = known->second;
    if (is_new) {
      ++result.objects;
      auto reader = backup_object_reader::open(store_, object.name);
      if (reader) {
        found = (*reader)->object();
        result.bytes += found.bytes;
        status = (*reader)->verify();
      } else {
        status = reader.status();
        if (status.code() == op_code::not_found)
          status = {op_code::corruption, fmt::format("the object {} is missing", object.name)};
      }
      progress_.bytes_done += object.raw_bytes;
      if (on_progress_) on_progress_(progress_);
    }
    if (status.ok() && found != object)
      note({op_code::corruption,
            fmt::format("the object {} has {} bytes and checksum {:08x}, not {} and {:08x}",
                        object.name, found.bytes, found.checksum, object.bytes, object.checksum)});
    else
      note(status);
    return status.ok() && found == object;
  }

  op_status examine_checkpoint(backup_archive& archive, const backup_checkpoint& c) {
    if (!checkpoints_.insert(c.object.name).second) return {};
    auto reader = checkpoint_reader::open(archive, backup_archive::checkpoint_path(c.info));
    if (!reader) return reader.status();
    if (auto s = check_checkpoint(*reader, archive.base(), c.info); !s.ok()) return s;
    return reader->verify();
  }

  op_status examine_log(backup_archive& archive) {
    auto survey = archive.survey();
    if (!survey) return survey.status();
    if (auto s = archive.check(*survey); !s.ok()) return s;
    const auto& m = archive.base();
    for (std::uint32_t i = 0; i < m.shards.size(); ++i) {
      const auto end = survey->shard(shard_id{i}).end;
      const auto& shard = m.shards[i];
      if (end != shard.last || (shard.checkpoint && end < shard.checkpoint->info.end_lsn))
        return {op_code::corruption,
                fmt::format("the log of shard {} ends at {}, the manifest says {} and its "
                            "checkpoint {}",
                            i, end, shard.last,
                            shard.checkpoint ? shard.checkpoint->info.end_lsn : 0)};
    }
    return {};
  }

  backup_store& store_;
  const std::function<void(const backup_progress&)>& on_progress_;
  std::string name_;
  std::map<std::string, std::pair<op_status, backup_object>> objects_;
  std::set<std::string> expected_, checkpoints_;
  backup_progress progress_;
};

} // namespace

op_result<backup_verification>
verify_backups(backup_store& store, const std::string& name,
               const std::function<void(const backup_progress&)>& on_progress) {
  auto all = list_backups(store);
  if (!all) return all.status();
  if (!name.empty()) {
    std::erase_if(*all, [&](const listed_backup& b) { return b.name != name; });
    if (all->empty())
      return op_status{op_code::not_found,
                       fmt::format("{}: there is no backup '{}'", store.describe(), name)};
  }
  verifier v{store, on_progress};
  for (const auto& backup : *all)
    if (backup.status.ok()) v.expect(backup.manifest);
  for (const auto& backup : *all) {
    v.call(backup.name);
    if (backup.status.ok())
      v.examine(backup.manifest);
    else
      v.note(backup.status);
  }
  return std::move(v.result);
}

} // namespace warp::storage
