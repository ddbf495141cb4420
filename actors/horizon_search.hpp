#pragma once

#include "actors/compute_manager.hpp"
#include "messages/physics.hpp"
#include "physics/horizon_settings.hpp"

#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <vector>

namespace warp::actors {

/// Fits the event horizon's settings to the accesses of watched keys by trying many of them side by
/// side: the cache-policy fit of gpu/batches.hpp, and the user of the compute manager on a live
/// node. Chosen for it because it is the largest computation there is beside the data path (a
/// million simulated accesses, where the fitter in physics/horizon_fitter.hpp can afford four
/// settings while it learns), because nobody waits for it, and because it is in whole numbers: the
/// answer is the same whoever computes it.
///
/// The last 32,768 accesses are kept. Every five minutes, when a quarter of them are new, two
/// background jobs follow each other: all settings on the first two thirds (a third warms up), of
/// which the one with the fewest misses is named; then that one and the default on all of it,
/// counted on the last third, which had no say. Without a device both take a quarter of a second of
/// one core, which is a thousandth of that time. The result is advice, beside the fitter's. Reads
/// and writes both count as accesses, and removals are not seen. A job that is refused or fails
/// leaves the last result, with the reason; the next search is tried when it is due.
///
/// 400 KiB, twice as much while jobs are under way. By one thread at a time.
class horizon_search {
public:
  static constexpr std::size_t accesses_max = 32'768;
  static constexpr std::size_t new_accesses_min = accesses_max / 4;
  static constexpr double every_s = 300;

  /// Borrows the manager; null: nothing is ever searched.
  explicit horizon_search(compute_manager* manager);

  /// An access of a watched key.
  void see(std::uint64_t key_hash, std::uint32_t bytes);
  /// Other keys are watched from now on.
  void forget();
  /// Takes an answer that has come, and orders what is due. `capacity`: bytes of the miniature that
  /// the settings are for. True: report() has changed.
  bool turn(std::uint64_t capacity, double now_s);

  [[nodiscard]] const horizon_search_report& report() const noexcept { return report_; }
  /// All that are tried; the first one is the default.
  [[nodiscard]] static std::vector<physics::horizon_settings> tried();

private:
  struct trial; ///< what the jobs of a search work on
  bool go_on(std::uint64_t capacity, double now_s);
  void order(bool proving);
  void take(const op_status& answer, bool by_device);

  compute_manager* manager_;
  std::vector<std::uint64_t> hashes_; ///< a ring, as the next one
  std::vector<std::uint32_t> bytes_;
  std::size_t next_ = 0; ///< where the oldest is, once it is full
  std::size_t new_ = 0;  ///< since the last search began
  double due_s_ = 0;
  bool proving_ = false;         ///< the second job is under way
  std::shared_ptr<trial> trial_; ///< null: no search is under way
  std::future<compute_answer> answer_;
  horizon_search_report report_;
};

} // namespace warp::actors
