#pragma once

#include "actors/horizon_search.hpp"
#include "actors/physics_governor.hpp"
#include "actors/physics_settings.hpp"
#include "messages/physics.hpp"
#include "messages/status.hpp"
#include "physics/horizon_advice.hpp"
#include "physics/physics_state.hpp"
#include "storage/engine.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::actors {

/// The file in the data folder that holds what was learned: what physics_state::save() writes, put
/// in place as a whole (storage/replace_file.hpp). A start reads it; without it, or when it is
/// damaged or of another version, everything is learned anew and declared links and rules have to
/// be given again. No data depends on it, and no backup has it.
inline constexpr std::string_view physics_file_name = "physics";

/// What a running universe learns about itself. Somebody calls turn() in a loop on a thread of its
/// own (actors/observer.hpp); all else may be called by any thread, and waits for what is being
/// learned at most some tens of microseconds.
class live_physics {
public:
  /// Borrows both. Reads the file, and begins to observe. Null: nothing is searched at T3.
  live_physics(storage::engine& engine, physics_settings settings,
               compute_manager* compute = nullptr);

  // -- by the thread that learns -----------------------------------------------------------------

  /// Waits up to `wait_max` (shorter after interrupt()), then learns what was sampled, looks after
  /// the tier, and saves what is due.
  void turn(std::chrono::milliseconds wait_max);
  void interrupt();
  /// How long the next turn may wait: the rings of threads that are busy are filled in 0.2 s.
  [[nodiscard]] std::chrono::milliseconds pause() const noexcept;
  /// Saves what is not saved yet; ends the sampling. When no turn is under way any more.
  void close();

  // -- any thread --------------------------------------------------------------------------------

  [[nodiscard]] std::vector<quantum_partner> partners_of(std::string_view key, std::size_t max,
                                                         double strength_min) const;
  /// See universe::entangle.
  op_status entangle(std::string_view key, std::span<const std::string> partners, double strength);
  /// strength 0 takes the rule back.
  op_status set_rule(std::string_view text, double strength);
  /// In force at once.
  void order(physics_tier tier);

  /// not_supported below T2, as the next two.
  [[nodiscard]] op_result<entropy_report> entropy() const;
  [[nodiscard]] op_result<std::vector<shard_physics>> shards() const; ///< by number
  [[nodiscard]] op_result<rebalance_report> plan(physics::rebalance_strategy strategy) const;
  [[nodiscard]] physics_report report() const;

private:
  using steady = std::chrono::steady_clock;
  void load();
  void learn();
  void learn_watched(std::span<const physics::access_sample> samples);
  void add_loads();
  void watch_fewer(double per_s, std::uint64_t keys);
  void look_after_tier();
  void search();
  void save_if_due();
  void save();
  void apply_tier();
  void report_horizon(horizon_report& out) const;
  [[nodiscard]] op_status needs(physics_tier least, std::string_view what) const;
  [[nodiscard]] std::uint64_t now_ms() const noexcept;

  storage::engine& engine_;
  const physics_settings settings_;

  mutable std::shared_mutex mutex_; ///< guards the state and the advice
  physics::physics_state state_;
  physics::horizon_advice advice_;

  mutable std::mutex tier_mutex_; ///< guards what is below
  std::condition_variable woken_;
  bool interrupted_ = false;
  physics_governor governor_;
  std::uint32_t keys_one_in_; ///< watched, from T2 on
  physics_report told_;

  // By the thread that learns
  horizon_search search_;
  bool searches_ = false; ///< the tier is T3
  std::vector<physics::access_sample> samples_;
  std::vector<physics::shard_use> used_, counted_; ///< by shard: since the last time, ever
  steady::time_point looked_at_{}, counted_at_{}, saved_at_{};
  double cpu_s_ = 0;                        ///< of the thread since it was looked at
  std::uint64_t sampled_ = 0, dropped_ = 0; ///< the same
  std::uint64_t watched_ = 0, lost_ = 0;    ///< samples of watched keys; not taken, or dropped
  std::uint64_t hits_counted_ = 0;          ///< reads of keys that were there, ever
  std::atomic<bool> busy_{false};           ///< the last turn found samples
  std::atomic<bool> learned_{false};        ///< something that is not saved
  std::atomic<bool> declared_{false};       ///< the same, and somebody gave it
};

} // namespace warp::actors
