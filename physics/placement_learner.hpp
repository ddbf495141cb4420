#pragma once

#include "physics/temporal_tiers.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace warp::physics {

/// What is known of a group of values when it is decided where it lives in the period to come.
struct placement_features {
  tiered_value value;
  tier_history history;
  std::uint32_t type = 0;     ///< any number for a kind of value: kinds learn apart
  std::uint32_t partners = 0; ///< keys it is used with (entanglement_index.hpp)
};

/// What there is room for now; what does not fit is not chosen.
struct placement_limits {
  double memory_bytes = 1e300, device_bytes = 1e300; ///< free, >= 0
  double memory_pressure = 0, device_pressure = 0;   ///< in [0, 1]: prices rise by 1 / (1 - p)
  double io_per_s = 1e300;                           ///< reads a second that disks have left
};

/// What a decision is for. They differ where use is hard to foretell: what is read once in most
/// periods and sixty times in a few is cheapest on the SSD, though most of its reads come in the
/// few.
enum class placement_aim : std::uint8_t {
  least_cost, ///< the least that is to be expected
  most_right, ///< that most reads are of values whose tier costs at most 10 % above the least
};

struct placement_options {
  placement_aim aim = placement_aim::least_cost;
  double period_s = 3600; ///< between two decisions of a group
  /// What an outcome is worth after as many more of its kind: older ones fade, in (0, 1).
  double memory = 0.999;
  std::uint32_t explore_one_in = 1000; ///< decisions that try the second best tier; 0: none
  std::uint32_t trial = 2'000;         ///< outcomes after which the arms are compared
  double sureness = 3;                 ///< standard deviations by which an arm must win
  std::uint64_t seed = 1;
};

/// Where a group lives in the period to come.
struct placement_decision {
  temporal_tier tier = temporal_tier::memory;
  std::array<double, temporal_tiers> score{}; ///< expected cost in microseconds; less is better
  bool explored = false;
};

/// Learned placement: which tier a value should live in during the period to come, from what became
/// of values that were used like it. A contextual bandit whose reward is known for every tier once
/// the period is over, as reads and bytes tell what each would have cost; only how long a tier
/// takes must be tried, so exploration is rare.
///
/// The context is the value's use: reads of this period and the last, those before, time since the
/// last read against the mean interval and how much intervals vary, type, partners. It is cut into
/// cells from coarse to fine; each keeps, faded, how many reads followed (in steps of a factor of
/// two), and a cell with few outcomes leans on the coarser one. Contexts twice as fine, with the
/// time since the last read and the mean interval besides, were right less often on three traces.
/// The tier of least expected cost that fits wins, or as the aim says.
///
/// Two arms decide in secret about each period: the rule tier_by_age() and what was learned. An arm
/// takes over once its costs have been the lower ones by `sureness` standard deviations of their
/// difference, over the last trial (a shadow test on the same values). Learning begins: while it
/// knows nothing it takes every value for one that is read about once a period, which is cheap to
/// be wrong about, and the rule is not: it takes a burst for a habit.
///
/// Not thread-safe. decide() O(tiers), below a microsecond; learning is a few additions, off the
/// data path. 160 KiB. The same for the same calls.
class placement_learner {
public:
  explicit placement_learner(const tier_costs& costs, const placement_options& options = {});

  /// Where a value should live until the end of this period, `left_s` from now, given the reads
  /// that this period has seen so far (features.history.reads).
  [[nodiscard]] placement_decision decide(const placement_features& features,
                                          const placement_limits& limits, double now_s,
                                          double left_s);

  /// A period is over: features as they were at its beginning (history.reads == 0), `now_s` then,
  /// and the reads that came.
  void learn(const placement_features& features, double now_s, std::uint32_t reads);

  /// A read from a tier took this long, in microseconds, of a value of so many bytes: what the
  /// tier costs follows what is measured.
  void measured(temporal_tier tier, double bytes, double took_us) noexcept;

  [[nodiscard]] const tier_costs& costs() const noexcept { return costs_; }
  /// Does what was learned decide?
  [[nodiscard]] bool learned_decides() const noexcept { return learned_decides_; }

private:
  static constexpr std::size_t steps = 16; ///< of reads: 0, 1, 2-3, 4-7, ...
  static constexpr std::size_t levels = 3;
  static constexpr std::size_t cells = 4096; ///< a level
  struct cell {
    std::array<float, steps> outcomes{}; ///< faded; by step
    std::array<float, steps> reads{};    ///< the same, times the reads
  };
  using contexts = std::array<std::uint32_t, levels>;
  [[nodiscard]] static contexts contexts_of(const placement_features& f, double now_s) noexcept;
  [[nodiscard]] double expected_reads(const contexts& at, std::uint32_t seen) const noexcept;
  /// How likely it is that a period ends with so many reads, by step, and how many these are.
  struct outlook {
    std::array<double, steps> chance{}, reads{};
  };
  [[nodiscard]] outlook outlook_of(const contexts& at, std::uint32_t seen) const noexcept;
  [[nodiscard]] temporal_tier most_right(const placement_features& f,
                                         const placement_limits& limits, double now_s,
                                         double left_s, temporal_tier otherwise) const noexcept;
  [[nodiscard]] temporal_tier learned_tier(const placement_features& f, double now_s,
                                           double left_s) const noexcept;

  placement_options options_;
  tier_costs costs_;
  std::vector<cell> cells_; ///< level by level
  bool learned_decides_ = true;
  std::uint64_t decisions_ = 0;
  double period_ = -1;        ///< the latest one that was learned from
  std::uint64_t periods_ = 0; ///< that were
  // By how much the rule cost more than what was learned: of this trial and, faded, of those
  // before.
  std::uint32_t tried_ = 0;
  double difference_ = 0, squares_ = 0;
};

} // namespace warp::physics
