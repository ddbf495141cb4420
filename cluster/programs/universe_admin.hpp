#pragma once

#include "actors/universe.hpp"
#include "cluster/admin.hpp"

namespace warp::programs {

/// The operator's calls on a universe. Thread-safe as the universe is; borrows it.
class universe_admin final : public cluster::admin_backend {
public:
  /// Where clients may have backups written.
  struct backup_rules {
    std::string root; ///< there and below; empty: see `anywhere`
    bool anywhere = false;
  };
  universe_admin(universe& u, backup_rules rules) : universe_(u), backups_(std::move(rules)) {}

  op_status checkpoint(std::span<const shard_id> shards) override;
  op_result<std::vector<actor_summary>> tree() override;
  op_status chaos(std::string_view path) override;
  op_result<verify_summary> verify(bool now) override;
  op_result<log_page> log_frames(shard_id shard, lsn_t from, std::size_t limit,
                                 bool with_values) override;
  op_result<std::uint64_t> order_backup(const std::string& folder) override;
  op_result<backup_summary> backup(std::uint64_t ticket) override;
  std::shared_ptr<void> on_job_change(std::function<void()> changed) override {
    return universe_.on_job_change(std::move(changed));
  }

private:
  universe& universe_;
  const backup_rules backups_;
};

} // namespace warp::programs
