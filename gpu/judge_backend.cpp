#include "gpu/judge_backend.hpp"

#include "physics/coaccess_graph.hpp"
#include "physics/entropy.hpp"
#include "physics/miniature_horizon.hpp"
#include "physics/quantum_walk.hpp"
#include "physics/two_level.hpp"

#include <algorithm>
#include <cmath>
#include <new>
#include <numeric>
#include <vector>

namespace warp::gpu {

namespace {

/// Memory is all that can fail here.
template <class Work>
outcome guarded(Work&& work) noexcept {
  try {
    work();
    return outcome::done;
  } catch (const std::bad_alloc&) {
    return outcome::out_of_memory;
  } catch (...) {
    return outcome::failed;
  }
}

physics::coaccess_graph graph_of(const csr_graph& g) {
  std::vector<physics::coaccess_graph::pair> pairs;
  for (std::uint32_t a = 0; a < g.nodes(); ++a)
    for (auto l = g.first[a]; l < g.first[a + 1]; ++l)
      if (a < g.to[l]) pairs.push_back({a, g.to[l], g.weight[l]});
  return {g.nodes(), pairs};
}

std::vector<double> widened(std::span<const float> values) {
  return {values.begin(), values.end()};
}

} // namespace

std::string judge_backend::name() const {
  return "CPU, float64 by the formulas, one thread";
}

outcome judge_backend::run(const gravity_batch& b) noexcept {
  return guarded([&] {
    const auto places = b.capacity.size();
    std::vector<double> pull(places);
    std::vector<std::uint32_t> order(places);
    for (std::size_t g = 0; g < b.mass.size(); ++g) {
      for (std::size_t p = 0; p < places; ++p) {
        const double to_place = b.weight_to_place[g * places + p];
        const auto distance = physics::coaccess_distance(to_place, b.weight_of_all[g]);
        pull[p] = physics::attraction(b.mass[g], b.capacity[p], b.load[p], distance, b.softening);
        if (!b.field.empty()) b.field[g * places + p] = static_cast<float>(pull[p]);
      }
      std::iota(order.begin(), order.end(), 0u);
      const auto named = std::min(b.top, places);
      std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(named),
                        order.end(), [&](std::uint32_t a, std::uint32_t c) {
                          return pull[a] != pull[c] ? pull[a] > pull[c] : a < c;
                        });
      for (std::size_t k = 0; k < b.top; ++k) {
        b.place[g * b.top + k] = k < named ? order[k] : physics::no_place;
        b.score[g * b.top + k] = k < named ? static_cast<float>(pull[order[k]]) : 0;
      }
    }
  });
}

outcome judge_backend::run(const entropy_batch& b) noexcept {
  return guarded([&] {
    std::vector<physics::place_load> places;
    for (std::size_t s = 0; s < b.segments(); ++s) {
      places.clear();
      for (auto i = b.first[s]; i < b.first[s + 1]; ++i)
        places.push_back({b.load[i], b.capacity[i]});
      b.entropy_bits[s] = physics::entropy_bits(places);
      b.evenness[s] = physics::evenness(places);
      b.divergence_bits[s] = physics::divergence_bits(places);
    }
  });
}

outcome judge_backend::run(const walk_batch& b) noexcept {
  return guarded([&] {
    const auto graph = graph_of(b.graph);
    const auto nodes = graph.groups();
    for (std::size_t s = 0; s < b.source.size(); ++s) {
      const auto p = physics::quantum_relatedness(graph, b.source[s], b.time);
      for (std::size_t g = 0; g < nodes; ++g)
        b.probability[s * nodes + g] = static_cast<float>(p[g]);
    }
  });
}

outcome judge_backend::run(const evolution_batch& b) noexcept {
  for (std::size_t i = 0; i < b.amplitude.size(); ++i) {
    const auto state = physics::evolved(b.amplitude[i], b.phase[i], b.energy[i], b.dt_s);
    b.upper_re[i] = static_cast<float>(state.upper_re);
    b.upper_im[i] = static_cast<float>(state.upper_im);
    b.lower[i] = static_cast<float>(state.lower);
  }
  return outcome::done;
}

outcome judge_backend::run(const heat_batch& b) noexcept {
  return guarded([&] {
    const auto after = physics::diffused(graph_of(b.graph), widened(b.temperature), b.settings);
    for (std::size_t g = 0; g < after.size(); ++g) b.after[g] = static_cast<float>(after[g]);
  });
}

outcome judge_backend::run(const horizon_batch& b) noexcept {
  return guarded([&] {
    for (std::size_t k = 0; k < b.settings.size(); ++k) {
      physics::miniature_horizon miniature{b.capacity, b.settings[k]};
      std::uint64_t missed = 0;
      for (std::size_t i = 0; i < b.key_hash.size(); ++i)
        missed += !miniature.access(b.key_hash[i], b.bytes[i]) && i >= b.warm_up;
      b.missed[k] = missed;
    }
  });
}

outcome judge_backend::run(const score_batch& b) noexcept {
  return guarded([&] {
    const auto weights = widened(b.weights);
    for (std::size_t r = 0; r * b.shape.features < b.features.size(); ++r) {
      const auto row = widened(b.features.subspan(r * b.shape.features, b.shape.features));
      const auto scores = physics::softmax_scores(b.shape, weights, row);
      for (std::size_t c = 0; c < scores.size(); ++c)
        b.score[r * scores.size() + c] = static_cast<float>(scores[c]);
    }
  });
}

outcome judge_backend::run(const train_batch& b) noexcept {
  return guarded([&] {
    const auto trained =
        physics::softmax_trained(b.shape, widened(b.weights), widened(b.features), b.right, b.step);
    for (std::size_t w = 0; w < trained.size(); ++w) b.trained[w] = static_cast<float>(trained[w]);
  });
}

outcome judge_backend::run(const column_batch& b) noexcept {
  return guarded([&] {
    const auto n = b.value.size();
    double sum = 0, dot = 0;
    for (const auto v : b.value) sum += static_cast<double>(v);
    if (!b.dot.empty())
      for (std::size_t i = 0; i < n; ++i)
        dot += static_cast<double>(b.value[i]) * static_cast<double>(b.other[i]);
    if (!b.sum.empty()) b.sum[0] = sum;
    if (!b.mean.empty()) b.mean[0] = n == 0 ? 0 : sum / static_cast<double>(n);
    if (!b.dot.empty()) b.dot[0] = dot;
    if (!b.top_at.empty()) {
      std::vector<std::uint32_t> order(n);
      std::iota(order.begin(), order.end(), 0u);
      const auto named = std::min(b.top_at.size(), n);
      std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(named),
                        order.end(), [&](std::uint32_t x, std::uint32_t y) {
                          return b.value[x] != b.value[y] ? b.value[x] > b.value[y] : x < y;
                        });
      for (std::size_t k = 0; k < b.top_at.size(); ++k) {
        b.top_at[k] = k < named ? order[k] : column_batch::none_at;
        b.top_value[k] = k < named ? b.value[order[k]] : 0;
      }
    }
    std::size_t count = 0;
    for (std::size_t i = 0; i < n; ++i)
      if (b.value[i] >= b.low && b.value[i] < b.high) {
        if (!b.passed.empty()) b.passed[count] = static_cast<std::uint32_t>(i);
        ++count;
      }
    if (!b.passed_count.empty()) b.passed_count[0] = count;
  });
}

} // namespace warp::gpu
