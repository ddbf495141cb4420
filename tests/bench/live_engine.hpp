#pragma once

#include "storage/engine.hpp"
#include "storage/stream_threads.hpp"
#include "tests/support/temp_folder.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

namespace warp::bench {

/// An engine at work as a universe would run it: its log streams are driven, and checkpoints are
/// made when they are due, both on threads of their own. A benchmark's main thread owns it. An
/// error ends the process.
class live_engine {
public:
  enum class checkpoints { when_due, never };

  /// In options.folder, or in a temporary one that goes with the object.
  explicit live_engine(storage::engine_options options = {},
                       checkpoints when = checkpoints::when_due);
  /// Without a folder: no log, no checkpoints.
  static std::unique_ptr<live_engine> in_memory(storage::engine_options options = {});
  ~live_engine();
  live_engine(const live_engine&) = delete;
  live_engine& operator=(const live_engine&) = delete;

  storage::engine& operator*() noexcept { return *engine_; }
  storage::engine* operator->() noexcept { return engine_.get(); }

  /// Waits, 30 s at most, until all that is logged is on disk and no checkpoint is due or running:
  /// what one measurement leaves to do is not charged to the next.
  void settle();
  /// Checkpoints of every shard, now.
  void checkpoint_all();
  /// Counters of all shards added up (of those that add up).
  [[nodiscard]] storage::shard_stats stats() const;
  [[nodiscard]] const std::string& folder() const noexcept { return folder_; }

private:
  struct memory_only {};
  live_engine(storage::engine_options options, memory_only);
  void open(storage::engine_options options);

  std::optional<testing::temp_folder> own_folder_;
  std::string folder_;
  std::unique_ptr<storage::engine> engine_;
  std::optional<storage::stream_threads> streams_;
  std::atomic<bool> checkpointing_{false};
  std::jthread checkpointer_;
};

} // namespace warp::bench
