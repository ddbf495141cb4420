#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/checkpoint_writer.hpp"
#include "storage/engine_state.hpp"
#include "storage/manifest.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace warp::storage {

/// One checkpoint of a shard on its way: write(), finish(), then the caller publishes info() and
/// calls published(). What comes between the steps is the caller's: when the content may be relied
/// on. The caller holds checkpoint_state::running of the shard all along. Destroyed before
/// finish() it leaves no file behind; afterwards the file stays.
class checkpoint_attempt {
public:
  /// Looks at where the shard stands now.
  checkpoint_attempt(engine::state& state, shard_id shard);
  ~checkpoint_attempt();
  checkpoint_attempt(const checkpoint_attempt&) = delete;
  checkpoint_attempt& operator=(const checkpoint_attempt&) = delete;

  /// Has the shard handed out LSNs since its newest checkpoint began?
  [[nodiscard]] bool has_news() const noexcept;
  /// Last LSN handed out before it began, logged or not; of a replicated shard: the last applied.
  [[nodiscard]] lsn_t began_at() const noexcept { return began_at_; }

  /// Writes the records while writes go on, then what must survive beside them: from now on
  /// info().end_lsn is known. While `hurry` says true no rate limits it. no_space also stands for
  /// memory that it does not get.
  [[nodiscard]] op_status write(const std::function<bool()>& hurry);
  /// The file is whole and durable under its name when it returns ok.
  [[nodiscard]] op_status finish();
  [[nodiscard]] const checkpoint_info& info() const noexcept { return info_; }
  /// It is in the manifest: upkeep may know.
  void published();

private:
  op_status write_records(const std::function<bool()>& hurry);

  engine::state& state_;
  shard& shard_;
  checkpoint_state& kept_;
  const std::chrono::steady_clock::time_point began_;
  checkpoint_info info_;
  lsn_t began_at_ = 0;
  std::string place_; ///< of a replicated shard: where it ends
  std::uint64_t log_records_ = 0, log_bytes_ = 0;
  std::unique_ptr<checkpoint_writer> writer_;
};

} // namespace warp::storage
