#pragma once

namespace warp::physics {

/// Two-level state: something that is in one of two conditions (wanted or not, in memory or not)
/// with a phase, the rhythm in which it swings between them. upper_re^2 + upper_im^2 is the
/// probability of the upper one, lower^2 that of the lower one; their sum is 1.
struct two_level_state {
  double upper_re = 0, upper_im = 0, lower = 1;
};

/// Free evolution for dt_s: the upper amplitude turns with the energy that parts the two levels.
///     upper = amplitude x exp(-i (phase + energy x dt)),  lower = sqrt(1 - amplitude^2)
/// amplitude in [0, 1]; phase in radians, energy in radians a second, dt_s in seconds: any finite
/// ones. They are floats, so energy x dt is exact as a double, and both angles are reduced on their
/// own: the result is right to a few units in the last place for any of them. O(1).
[[nodiscard]] two_level_state evolved(float amplitude, float phase, float energy,
                                      float dt_s) noexcept;

} // namespace warp::physics
