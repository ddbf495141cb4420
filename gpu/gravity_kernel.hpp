#pragma once

#include "gpu/kernels.hpp"
#include "gpu/lanes.hpp"
#include "physics/gravity.hpp"

namespace warp::gpu {

/// Attraction without the mass, which every place of a row shares: of W places from `p` on.
template <class L>
[[gnu::always_inline]] inline typename L::real
pull_without_mass(const float* weight_to_place, const float* reach, std::size_t n, float share,
                  float softening) noexcept {
  const auto weight = n < L::count ? L::load(weight_to_place, n, 0.f) : L::load(weight_to_place);
  const typename L::real distance = 1.f - weight * share;
  return physics::pull_of<typename L::real>(L::load(reach), distance, L::all(softening));
}

/// The one place that pulls hardest: the maximum of each lane, then of the lanes.
template <class L>
void best_of_row(const gravity_rows& r, std::size_t g) noexcept {
  const auto& b = r.batch;
  const std::size_t places = b.capacity.size();
  const float* const weights = b.weight_to_place.data() + g * places;
  const float all = b.weight_of_all.data()[g], share = all > 0 ? 1 / all : 0;
  auto best = L::all(-3e38f);
  auto at = L::all(std::int32_t{0}), here = L::numbers();
  for (std::size_t p = 0; p < places; p += L::count) {
    const auto pull =
        pull_without_mass<L>(weights + p, r.reach + p, places - p, share, b.softening);
    const auto better = pull > best;
    best = better ? pull : best;
    at = better ? here : at;
    here = here + L::count;
  }
  const float most = L::most(best);
  const auto none = L::all(INT32_MAX);
  b.place.data()[g] = static_cast<std::uint32_t>(L::least(best == L::all(most) ? at : none));
  b.score.data()[g] = b.mass.data()[g] * most;
}

/// All attractions of a row, and the `top` hardest in order.
template <class L>
void field_of_row(const gravity_rows& r, std::size_t g) noexcept {
  const auto& b = r.batch;
  const std::size_t places = b.capacity.size(), top = b.top;
  const float* const weights = b.weight_to_place.data() + g * places;
  float* const field = b.field.empty() ? nullptr : b.field.data() + g * places;
  std::uint32_t* const place = b.place.data() + g * top;
  float* const score = b.score.data() + g * top;
  const float all = b.weight_of_all.data()[g], share = all > 0 ? 1 / all : 0;
  const float mass = b.mass.data()[g];
  std::size_t named = 0;
  for (std::size_t p = 0; p < places; p += L::count) {
    const std::size_t n = places - p < L::count ? places - p : L::count;
    const auto pull = pull_without_mass<L>(weights + p, r.reach + p, n, share, b.softening);
    if (field) L::store(field + p, pull * mass, n);
    if (top == 0 || (named == top && !L::any(pull > L::all(score[top - 1])))) continue;
    float each[L::count];
    L::store(each, pull);
    for (std::size_t i = 0; i < n; ++i) {
      if (named == top && !(each[i] > score[top - 1])) continue;
      std::size_t k = named < top ? named++ : top - 1;
      for (; k > 0 && each[i] > score[k - 1]; --k) {
        score[k] = score[k - 1];
        place[k] = place[k - 1];
      }
      score[k] = each[i];
      place[k] = static_cast<std::uint32_t>(p + i);
    }
  }
  for (std::size_t k = 0; k < named; ++k) score[k] *= mass;
  for (std::size_t k = named; k < top; ++k) {
    score[k] = 0;
    place[k] = physics::no_place;
  }
}

template <class L>
void gravity_kernel(const gravity_rows& r) noexcept {
  const auto& b = r.batch;
  const bool best_only = b.top == 1 && b.field.empty() && !b.capacity.empty();
  for (std::size_t g = r.begin; g < r.end; ++g) {
    if (best_only)
      best_of_row<L>(r, g);
    else
      field_of_row<L>(r, g);
  }
}

} // namespace warp::gpu
