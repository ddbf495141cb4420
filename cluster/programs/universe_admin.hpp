#pragma once

#include "actors/universe.hpp"
#include "cluster/admin.hpp"

namespace warp::programs {

/// The operator's calls on a universe. Thread-safe as the universe is; borrows it.
class universe_admin final : public cluster::admin_backend {
public:
  explicit universe_admin(universe& u) : universe_(u) {}

  op_status checkpoint(std::span<const shard_id> shards) override;
  op_result<std::vector<actor_summary>> tree() override;
  op_status chaos(std::string_view path) override;
  op_result<verify_summary> verify(bool now) override;
  op_result<log_page> log_frames(shard_id shard, lsn_t from, std::size_t limit,
                                 bool with_values) override;

private:
  universe& universe_;
};

} // namespace warp::programs
