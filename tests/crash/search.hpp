#pragma once

#include "tests/crash/process_files.hpp"
#include "tests/crash/workload.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace warp::testing {

/// A broken promise, and what broke it.
struct found_violation {
  std::uint64_t seed = 0;
  workload_kind kind = workload_kind::creation;
  unsigned life = 0;        ///< 1: on an empty disk; above: on one that a crash has left
  std::uint64_t states = 0; ///< of this seed that were looked at, this one included
  std::string state;        ///< the crash; empty: there was none
  std::string what;
};
std::string describe(const found_violation& found);

struct search_counts {
  std::uint64_t states = 0;     ///< distinct disks that were opened and compared
  std::uint64_t crashes = 0;    ///< states, each once for every moment at which a crash leaves it
  std::uint64_t points = 0;     ///< moments
  std::uint64_t restarts = 0;   ///< states that were also used, stopped and opened again
  std::uint64_t recoveries = 0; ///< states of crashes within a start on what a crash has left
  void add(const search_counts& more);
};

/// Runs the workload of a seed, looks at the states that a crash may leave at each point, goes on
/// from one of them as the next life, and so on. Ends at the first violation.
class crash_search {
public:
  struct limits {
    std::uint64_t states = ~std::uint64_t{0}; ///< of the seed at most
    unsigned lives = 4;
    std::uint64_t states_per_life = 3'000; ///< about; six for each point at least
  };
  explicit crash_search(std::uint64_t seed, limits l, omission left_out = omission::none);

  /// Nothing: every promise was kept.
  std::optional<found_violation> run();
  [[nodiscard]] const search_counts& counts() const noexcept { return counts_; }
  [[nodiscard]] workload_kind kind() const noexcept { return workload_.kind(); }

private:
  std::optional<found_violation> look_at(const life& l, life_begin& next);
  [[nodiscard]] found_violation found(std::string state, std::string what) const;

  const std::uint64_t seed_;
  const limits limits_;
  workload workload_;
  std::mt19937_64 random_;
  unsigned life_ = 1;
  search_counts counts_;
};

} // namespace warp::testing
