#pragma once

#include "storage/engine_options.hpp"
#include "storage/folder_evidence.hpp"
#include "storage/log_survey.hpp"
#include "storage/repair.hpp"
#include "storage/shard.hpp"
#include "storage/table_memory.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace warp::storage {

/// One shard on its way to be rebuilt.
struct rebuilt_shard {
  std::unique_ptr<shard> data;
  const checkpoint_evidence* from = nullptr; ///< null: the log alone
  lsn_t replay_above = 0;
  lsn_t last = 0, reserved = 0;
  epoch_t epoch = 0;
};

/// After a loss nobody knows how many numbers had been handed out: so many are left out, of 2^48.
inline constexpr lsn_t skipped_lsns = lsn_t{1} << 32;

/// What repair() does, step by step; what the files repair*.cpp share. Once, one thread.
class repairer {
public:
  repairer(file_system& files, std::string folder, const repair_options& how)
      : files_(files), folder_(std::move(folder)), how_(how) {}

  op_result<repair_report> go();

private:
  // Is there anything to do?
  op_result<bool> starts_as_it_is();
  op_result<bool> starts_with_another_manifest();
  void describe_actions();
  [[nodiscard]] std::string names_of_inexact() const;

  // repair_plan.cpp: what can be kept
  op_status plan();
  void plan_shard(std::uint32_t index);

  // repair_rebuild.cpp: the data in memory
  op_status rebuild();
  op_status add_damaged_checkpoints(std::uint32_t s);
  op_status name_what_is_dropped();

  // repair_write.cpp: on disk
  op_status copy_manifest();
  op_status move(const std::vector<std::string>& paths, std::string_view sub_folder);
  op_status write_manifest();
  op_status rewrite();
  op_result<checkpoint_info> write_checkpoint(std::uint32_t s);

  file_system& files_;
  const std::string folder_;
  const repair_options how_;
  const engine_options options_;
  const system_clock time_;
  folder_evidence evidence_;
  manifest manifest_; ///< made from the other files
  log_survey survey_;
  std::vector<std::shared_ptr<segment_info>> as_it_was_;
  std::shared_ptr<table_memory> memory_;
  std::vector<rebuilt_shard> shards_;
  std::vector<shard_repair> plans_; ///< by shard
  repair_report report_;
};

} // namespace warp::storage
