#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace warp::physics {

/// Decides how strong a partner must be to be prefetched, from what became of those before it: of
/// two workloads with the same strengths one wastes a tenth, the other half. Strengths are sorted
/// into grades (a factor of sqrt 2 each); a grade is stopped once clearly more than waste_max of
/// what it brought left memory without being used, and then tried now and then. Clearly: by two
/// standard deviations of that many draws, so that a bad beginning doesn't stop a good grade.
///
/// The caller keeps the grade with what it prefetched until it is used or leaves. O(1), 400 bytes.
class prefetch_governor {
public:
  static constexpr std::size_t grades = 16;
  using grade = std::uint8_t; ///< below `grades`; 0 the strongest

  /// waste_max in (0, 1): of one grade. explore_every: one of so many of a stopped grade is tried,
  /// > 0.
  explicit prefetch_governor(double waste_max = 0.3, std::uint32_t explore_every = 64) noexcept
      : waste_max_(waste_max), explore_every_(explore_every) {}

  /// The grade of a strength in (0, 1]; strengths below 2^-7.5 share the last one.
  [[nodiscard]] static grade of(double strength) noexcept;

  /// Should a partner of this grade be brought along?
  [[nodiscard]] bool allows(grade g) noexcept;
  /// What became of one: it was used, or left memory before that.
  void outcome(grade g, bool used) noexcept;
  /// Share of this grade's outcomes that were wasted, lately, in [0, 1]; 0 without any.
  [[nodiscard]] double waste(grade g) const noexcept;

private:
  struct tally {
    double used = 0, wasted = 0; ///< halved at 512: the latest count most
    std::uint32_t refused = 0;   ///< of this grade alone: grades that take turns must all be tried
  };
  double waste_max_;
  std::uint32_t explore_every_;
  std::array<tally, grades> tallies_{};
};

} // namespace warp::physics
