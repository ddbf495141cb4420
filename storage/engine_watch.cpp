// Watches, seen from the engine.

#include "storage/engine_state.hpp"
#include "storage/no_memory.hpp"
#include "storage/watch_hub.hpp"

namespace warp::storage {

void engine::open_watches(state& s) {
  watch_sources from;
  for (const auto& shard : s.shards) from.shards.push_back(shard.get());
  from.segments = s.segments.get();
  from.origins = s.log_origins;
  from.time = s.time.get();
  // A universe in memory only is another one after each start: so is its name.
  const auto id = s.folder ? s.folder->universe() : make_universe_id();
  from.universe = to_string(id) + "-" + std::to_string(s.folder ? s.folder->generation() : 0);
  from.value_bytes_max = s.options.value_bytes_max;
  from.watches_max = s.options.watches_max;
  from.memory_max = s.options.watch_memory_bytes;
  s.watches = std::make_shared<watch_hub>(std::move(from));
  s.listeners.push_back(s.watches.get());
}

op_result<std::unique_ptr<watch>> engine::watch_changes(watch_options options,
                                                        std::function<void()> on_ready) {
  return unless_no_memory("watch", [&] {
    return state_->watches->add(std::move(options), {.bytes = state_->options.watch_buffer_bytes},
                                std::move(on_ready), state_->watches);
  });
}

void engine::run_watches(std::chrono::milliseconds wait_max) {
  state_->watches->run(wait_max);
}

void engine::interrupt_watches() noexcept {
  state_->watches->interrupt();
}

watch_stats engine::stats_of_watches() const {
  return state_->watches->stats();
}

} // namespace warp::storage
