#include "gpu/batch_rules.hpp"

#include "physics/event_horizon.hpp"

#include <algorithm>
#include <cmath>

namespace warp::gpu {

namespace {

/// a x b == c without an overflow.
bool is_product(std::size_t a, std::size_t b, std::size_t c) noexcept {
  return a == 0 || b == 0 ? c == 0 : c % a == 0 && c / a == b;
}

bool rises_to(std::span<const std::uint64_t> first, std::size_t end) noexcept {
  if (first.empty()) return end == 0;
  if (first.front() != 0 || first.back() != end) return false;
  return std::ranges::is_sorted(first);
}

bool below(std::span<const std::uint32_t> indices, std::size_t end) noexcept {
  std::uint32_t most = 0;
  for (const auto i : indices) most = std::max(most, i);
  return indices.empty() || most < end;
}

bool valid(const csr_graph& g) noexcept {
  return g.weight.size() == g.to.size() && rises_to(g.first, g.to.size()) &&
         g.nodes() < UINT32_MAX && below(g.to, g.nodes());
}

/// Which sizes a result may have: `size` or none.
template <class T>
bool wanted_or_not(std::span<T> out, std::size_t size) noexcept {
  return out.empty() || out.size() == size;
}

} // namespace

std::string_view to_string(operation kind) noexcept {
  switch (kind) {
  case operation::gravity:
    return "gravity";
  case operation::entropy:
    return "entropy";
  case operation::walk:
    return "walk";
  case operation::evolution:
    return "evolution";
  case operation::heat:
    return "heat";
  case operation::horizon:
    return "horizon";
  case operation::score:
    return "score";
  case operation::train:
    return "train";
  case operation::column:
    return "column";
  }
  return "unknown";
}

bool valid(const gravity_batch& b) noexcept {
  const auto groups = b.mass.size(), places = b.capacity.size();
  return b.weight_of_all.size() == groups && b.load.size() == places && places < UINT32_MAX &&
         is_product(groups, places, b.weight_to_place.size()) &&
         is_product(groups, b.top, b.place.size()) && b.score.size() == b.place.size() &&
         wanted_or_not(b.field, b.weight_to_place.size()) && b.softening >= 0.01f;
}

bool valid(const entropy_batch& b) noexcept {
  const auto segments = b.segments();
  return rises_to(b.first, b.load.size()) && b.capacity.size() == b.load.size() &&
         b.entropy_bits.size() == segments && b.evenness.size() == segments &&
         b.divergence_bits.size() == segments;
}

bool valid(const walk_batch& b) noexcept {
  return valid(b.graph) && below(b.source, b.graph.nodes()) && b.time >= 0 &&
         b.time <= walk_batch::time_max &&
         is_product(b.source.size(), b.graph.nodes(), b.probability.size());
}

bool valid(const evolution_batch& b) noexcept {
  const auto n = b.amplitude.size();
  return b.phase.size() == n && b.energy.size() == n && b.upper_re.size() == n &&
         b.upper_im.size() == n && b.lower.size() == n && std::isfinite(b.dt_s);
}

bool valid(const heat_batch& b) noexcept {
  if (!valid(b.graph) || b.temperature.size() != b.graph.nodes() ||
      b.after.size() != b.graph.nodes() || !(b.settings.conductivity >= 0) ||
      !(b.settings.decay_per_s >= 0) || !(b.settings.dt_s >= 0))
    return false;
  double degree_max = 0;
  for (std::size_t i = 0; i < b.graph.nodes(); ++i) {
    double degree = 0;
    for (auto l = b.graph.first[i]; l < b.graph.first[i + 1]; ++l)
      degree += static_cast<double>(b.graph.weight[l]);
    degree_max = std::max(degree_max, degree);
  }
  return physics::heat_steps(b.settings, degree_max) <= physics::heat_steps_max;
}

bool valid(const horizon_batch& b) noexcept {
  const auto usable = [](const physics::horizon_settings& s) {
    return s.small_share > 0 && s.small_share < 1 && s.ghost_share >= 0 && s.window_share >= 0 &&
           s.window_share < 1;
  };
  return b.bytes.size() == b.key_hash.size() && b.missed.size() == b.settings.size() &&
         b.warm_up <= b.key_hash.size() && std::ranges::all_of(b.settings, usable) &&
         below(b.bytes, std::size_t{physics::event_horizon::bytes_max} + 1);
}

bool valid(const score_batch& b) noexcept {
  const auto rows = b.shape.features == 0 ? 0 : b.features.size() / b.shape.features;
  return b.shape.features > 0 && b.shape.classes <= score_batch::classes_max &&
         b.weights.size() == b.shape.weights() &&
         is_product(rows, b.shape.features, b.features.size()) &&
         is_product(rows, b.shape.classes, b.score.size());
}

bool valid(const train_batch& b) noexcept {
  return b.shape.features > 0 && b.shape.classes <= score_batch::classes_max &&
         b.weights.size() == b.shape.weights() && b.trained.size() == b.shape.weights() &&
         is_product(b.right.size(), b.shape.features, b.features.size()) &&
         below(b.right, b.shape.classes);
}

bool valid(const column_batch& b) noexcept {
  const auto n = b.value.size();
  return n < UINT32_MAX && wanted_or_not(b.sum, 1) && wanted_or_not(b.mean, 1) &&
         wanted_or_not(b.dot, 1) && wanted_or_not(b.passed_count, 1) &&
         (b.dot.empty() ? b.other.empty() : b.other.size() == n) &&
         b.top_value.size() == b.top_at.size() && wanted_or_not(b.passed, n);
}

std::uint64_t work_of(const gravity_batch& b) noexcept {
  return b.weight_to_place.size();
}
std::uint64_t work_of(const entropy_batch& b) noexcept {
  return b.load.size();
}
std::uint64_t work_of(const walk_batch& b) noexcept {
  return b.graph.to.size() * b.source.size() * static_cast<std::uint64_t>(b.time + 20);
}
std::uint64_t work_of(const evolution_batch& b) noexcept {
  return b.amplitude.size();
}
std::uint64_t work_of(const heat_batch& b) noexcept {
  return b.graph.to.size() + b.graph.nodes(); // of one step: what a step costs is what differs
}
std::uint64_t work_of(const horizon_batch& b) noexcept {
  return b.key_hash.size() * b.settings.size();
}
std::uint64_t work_of(const score_batch& b) noexcept {
  return b.features.size() * b.shape.classes;
}
std::uint64_t work_of(const train_batch& b) noexcept {
  return b.features.size() * b.shape.classes;
}
std::uint64_t work_of(const column_batch& b) noexcept {
  return b.value.size();
}

} // namespace warp::gpu
