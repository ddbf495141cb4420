#pragma once

#include "gpu/kernels.hpp"
#include "gpu/lanes.hpp"
#include "physics/two_level.hpp"

namespace warp::gpu {

template <class L>
[[gnu::always_inline]] inline void evolve_lanes(const float* amplitude, typename L::real r,
                                                typename L::real quadrant, float* re, float* im,
                                                float* lower) noexcept {
  using real = typename L::real;
  const auto a = L::load(amplitude);
  real s, c;
  small_sine_cosine<L>(r, s, c);
  const auto odd = quadrant * quadrant == L::all(1.f); // a quarter turn, either way
  const real sine = odd ? c : s, cosine = odd ? s : c;
  const auto sine_turns = (quadrant < L::all(0.f)) | (quadrant > L::all(1.f));
  const auto cosine_turns = (quadrant > L::all(0.f)) | (quadrant < L::all(-1.f));
  L::store(re, a * (cosine_turns ? -cosine : cosine));
  L::store(im, a * (sine_turns ? sine : -sine)); // exp(-i angle)
  L::store(lower, L::root((1.f - a) * (1.f + a)));
}

/// Angles beyond a million radians are rare: those are turned one by one by the formula.
template <class L>
void evolution_kernel(const evolution_batch& b, std::size_t begin, std::size_t end) noexcept {
  const float *const amplitude = b.amplitude.data(), *const phase = b.phase.data(),
                     *const energy = b.energy.data();
  float *const re = b.upper_re.data(), *const im = b.upper_im.data(), *const lower = b.lower.data();
  const auto one_by_one = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      const auto state = physics::evolved(amplitude[i], phase[i], energy[i], b.dt_s);
      re[i] = static_cast<float>(state.upper_re);
      im[i] = static_cast<float>(state.upper_im);
      lower[i] = static_cast<float>(state.lower);
    }
  };
  std::size_t i = begin;
  for (; end - i >= L::count; i += L::count) {
    typename L::real r, quadrant;
    if (L::quarter_turns(energy + i, b.dt_s, phase + i, r, quadrant))
      evolve_lanes<L>(amplitude + i, r, quadrant, re + i, im + i, lower + i);
    else
      one_by_one(i, i + L::count);
  }
  one_by_one(i, end);
}

} // namespace warp::gpu
