#pragma once

#include "messages/physics.hpp"

#include <cstdint>
#include <string>

namespace warp::actors {

/// Decides which physics tier is in force: the one that was ordered, or a lower one while observing
/// costs too much. Looks at one second at a time:
///
///     overloaded   more than 1 sample in 10 was dropped, or the learner took more than its share
///                  of the CPUs, or the log presses (engine::log_presses): then what can be left
///                  undone is
///     three such seconds in a row    one tier down
///     60 s without one               one tier up again; after each further step down within
///                                    10 min twice as long, up to an hour
///
/// A value; its owner guards it.
class physics_governor {
public:
  physics_governor(physics_tier wanted, double cpu_share_max) noexcept
      : wanted_(wanted), tier_(wanted), cpu_share_max_(cpu_share_max) {}

  struct second {
    std::uint64_t samples = 0, dropped = 0;
    double cpu_share = 0; ///< of all CPUs
    bool log_presses = false;
  };
  /// true: the tier has changed.
  bool see(const second& s);

  /// The tier that somebody orders is in force at once, whatever there was.
  void order(physics_tier wanted) noexcept;

  [[nodiscard]] physics_tier tier() const noexcept { return tier_; }
  [[nodiscard]] physics_tier wanted() const noexcept { return wanted_; }
  [[nodiscard]] std::uint64_t steps_down() const noexcept { return steps_down_; }
  /// Why it is below what is wanted; empty: it is not.
  [[nodiscard]] std::string cause() const;

private:
  physics_tier wanted_, tier_;
  double cpu_share_max_;
  unsigned overloaded_ = 0, calm_ = 0; ///< seconds in a row
  unsigned calm_needed_ = 60;
  std::uint64_t seconds_ = 0, stepped_at_ = 0, steps_down_ = 0;
  std::string cause_;
};

} // namespace warp::actors
