#include "cluster/programs/universe_admin.hpp"

#include "cluster/log_dump.hpp"
#include "storage/engine.hpp"
#include "storage/file_system.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <system_error>

namespace warp::programs {

op_status universe_admin::checkpoint(std::span<const shard_id> shards) {
  const auto count = universe_.engine().shard_count();
  for (const auto shard : shards)
    if (shard.value >= count)
      return {op_code::invalid_argument,
              fmt::format("there is no shard {}: they are 0 to {}", shard.value, count - 1)};
  if (shards.empty()) return universe_.checkpoint();
  for (const auto shard : shards)
    if (auto status = universe_.checkpoint(shard); !status.ok()) return status;
  return {};
}

op_result<std::vector<actor_summary>> universe_admin::tree() {
  std::vector<actor_summary> all;
  for (auto& node : universe_.tree())
    all.push_back({std::move(node.path), std::string(actors::to_string(node.state)), node.restarts,
                   std::move(node.last_cause)});
  return all;
}

op_status universe_admin::chaos(std::string_view path) {
  return universe_.chaos(path);
}

op_result<verify_summary> universe_admin::verify(bool now) {
  auto found = universe_.scrubbed(now);
  if (!found) return found.status();
  const auto& last = found->last;
  return verify_summary{found->begun, found->finished, 1 + last.checkpoints + last.segments,
                        last.bytes,   last.findings,   found->failure};
}

op_result<log_page> universe_admin::log_frames(shard_id shard, lsn_t from, std::size_t limit,
                                               bool with_values) {
  auto& engine = universe_.engine();
  const auto& options = engine.options();
  if (options.folder.empty())
    return op_status(op_code::not_supported, "this universe is in memory only: it has no log");
  if (shard.value >= engine.shard_count())
    return op_status(op_code::invalid_argument,
                     fmt::format("there is no shard {}: they are 0 to {}", shard.value,
                                 engine.shard_count() - 1));
  auto& files = options.files != nullptr ? *options.files : storage::posix_file_system();
  const cluster::log_selection wanted{shard, from, engine.stats(shard).durable_lsn, with_values};
  return cluster::read_log_page(files, options.folder, wanted, limit);
}

op_result<std::uint64_t> universe_admin::order_backup(const std::string& folder) {
  if (folder.empty()) return universe_.order_backup();
  namespace fs = std::filesystem;
  const auto wanted = fs::path{folder}.lexically_normal();
  if (!wanted.is_absolute())
    return op_status(op_code::invalid_argument,
                     fmt::format("{}: the server needs the whole path of the folder", folder));
  if (!backups_.root.empty()) {
    // Links are followed on both sides, so that none leads out of the folder.
    std::error_code ignored;
    const auto root = fs::weakly_canonical(backups_.root, ignored);
    const auto inside = fs::weakly_canonical(wanted, ignored).lexically_relative(root);
    if (inside.empty() || *inside.begin() == "..")
      return op_status(
          op_code::unauthorized,
          fmt::format("backups of this server go into {} or below (backup.folder)", backups_.root));
  } else if (!backups_.anywhere) {
    return op_status(op_code::unauthorized,
                     "other machines can reach this server, so it writes backups only into a "
                     "configured folder: set backup.folder");
  }
  return universe_.order_backup(wanted.string());
}

op_result<backup_summary> universe_admin::backup(std::uint64_t ticket) {
  auto state = universe_.backup(ticket);
  if (!state) return state.status();
  return backup_summary{state->done,      state->bytes_done, state->bytes_total,
                        state->result,    state->name,       state->bytes,
                        state->new_bytes, state->taken_us,   state->anew};
}

} // namespace warp::programs
