#include "cluster/programs/universe_admin.hpp"

#include "cluster/log_dump.hpp"
#include "storage/engine.hpp"
#include "storage/file_system.hpp"

#include <fmt/format.h>

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
  return verify_summary{found->begun,
                        found->finished,
                        1 + last.checkpoints + last.segments,
                        last.bytes,
                        last.findings,
                        found->failure};
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

} // namespace warp::programs
