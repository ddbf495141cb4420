#include "gpu/answer_check.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace warp::gpu {

namespace {

std::string text_of(const char* what, std::size_t at, double a, double b) {
  char text[128];
  std::snprintf(text, sizeof text, "%s %zu: %.9g and %.9g", what, at, a, b);
  return text;
}

/// |a - b| <= tolerance; NaN is like nothing.
bool near(double a, double b, double tolerance) noexcept {
  return std::abs(a - b) <= tolerance;
}

template <class A, class B, class Tolerance>
difference first_apart(const char* what, std::span<A> a, std::span<B> b, Tolerance tolerance) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    if (!near(x, y, tolerance(i, x, y))) return text_of(what, i, x, y);
  }
  return std::nullopt;
}

template <class T>
difference first_unequal(const char* what, std::span<T> a, std::span<T> b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i]) return text_of(what, i, static_cast<double>(a[i]), static_cast<double>(b[i]));
  return std::nullopt;
}

/// Does each place pull as hard as its score says, and is none named twice?
difference misnamed(const gravity_batch& b, double share) {
  const auto places = b.capacity.size();
  for (std::size_t i = 0; i < b.place.size(); ++i) {
    const auto g = i / b.top, k = i % b.top, p = std::size_t{b.place[i]};
    if (k >= places) {
      if (b.place[i] != physics::no_place || b.score[i] != 0)
        return text_of("a place beyond the last", i, b.place[i], static_cast<double>(b.score[i]));
      continue;
    }
    if (p >= places) return text_of("no such place", i, b.place[i], static_cast<double>(places));
    for (std::size_t before = i - k; before < i; ++before)
      if (b.place[before] == b.place[i])
        return text_of("a place named twice", i, b.place[i], b.place[before]);
    const auto distance =
        physics::coaccess_distance(static_cast<double>(b.weight_to_place[g * places + p]),
                                   static_cast<double>(b.weight_of_all[g]));
    const double pull =
        physics::attraction(b.mass[g], b.capacity[p], b.load[p], distance, b.softening);
    if (!near(pull, b.score[i], share * pull + 1e-37))
      return text_of("attraction of the place named", i, pull, b.score[i]);
  }
  return std::nullopt;
}

} // namespace

difference differs(const gravity_batch& a, const gravity_batch& b) {
  const double share = std::max(1e-5, 5e-7 / static_cast<double>(a.softening));
  const auto tolerance = [&](std::size_t, double x, double y) {
    return share * std::max(std::abs(x), std::abs(y)) + 1e-37; // the last bits of denormals
  };
  if (auto d = first_apart("score", a.score, b.score, tolerance)) return d;
  if (auto d = first_apart("field", a.field, b.field, tolerance)) return d;
  if (auto d = misnamed(a, share)) return d;
  return misnamed(b, share);
}

difference differs(const entropy_batch& a, const entropy_batch& b) {
  const auto tolerance = [](std::size_t, double x, double) { return 2e-5 + 1e-6 * std::abs(x); };
  if (auto d = first_apart("entropy", a.entropy_bits, b.entropy_bits, tolerance)) return d;
  if (auto d = first_apart("evenness", a.evenness, b.evenness, tolerance)) return d;
  return first_apart("divergence", a.divergence_bits, b.divergence_bits, tolerance);
}

difference differs(const walk_batch& a, const walk_batch& b) {
  const double tolerance = std::max(1e-5, 1e-7 * a.time);
  const auto nodes = a.graph.nodes();
  for (const auto* x : {&a, &b})
    for (std::size_t s = 0; s < x->source.size(); ++s) {
      double sum = 0;
      for (const auto p : x->probability.subspan(s * nodes, nodes)) sum += static_cast<double>(p);
      if (!near(sum, 1, tolerance)) return text_of("sum of the probabilities of walk", s, sum, 1);
    }
  return first_apart("probability", a.probability, b.probability,
                     [&](std::size_t, double, double) { return tolerance; });
}

difference differs(const evolution_batch& a, const evolution_batch& b) {
  const auto tolerance = [](std::size_t, double, double) { return 1e-6; };
  for (const auto* x : {&a, &b})
    for (std::size_t i = 0; i < x->lower.size(); ++i) {
      const double re = x->upper_re[i], im = x->upper_im[i], lower = x->lower[i];
      const double norm = re * re + im * im + lower * lower;
      if (!near(norm, 1, 1e-6)) return text_of("norm", i, norm, 1);
    }
  if (auto d = first_apart("upper, real", a.upper_re, b.upper_re, tolerance)) return d;
  if (auto d = first_apart("upper, imaginary", a.upper_im, b.upper_im, tolerance)) return d;
  return first_apart("lower", a.lower, b.lower, tolerance);
}

difference differs(const heat_batch& a, const heat_batch& b) {
  double hottest = 0, heat = 0;
  for (const auto t : a.temperature) {
    hottest = std::max(hottest, static_cast<double>(t));
    heat += static_cast<double>(t);
  }
  heat *= physics::heat_left(a.settings);
  for (const auto* x : {&a, &b}) {
    double sum = 0;
    for (const auto t : x->after) sum += static_cast<double>(t);
    if (!near(sum, heat, 1e-5 * heat + 1e-37)) return text_of("heat of all nodes", 0, sum, heat);
  }
  return first_apart("temperature", a.after, b.after,
                     [&](std::size_t, double, double) { return 1e-5 * hottest + 1e-37; });
}

difference differs(const horizon_batch& a, const horizon_batch& b) {
  return first_unequal("misses of setting", a.missed, b.missed);
}

difference differs(const score_batch& a, const score_batch& b) {
  const auto n = a.shape.features;
  return first_apart("score", a.score, b.score, [&](std::size_t i, double, double) {
    const auto row = i / a.shape.classes, c = i % a.shape.classes;
    double terms = std::abs(static_cast<double>(a.weights[c * (n + 1) + n]));
    for (std::size_t f = 0; f < n; ++f)
      terms += std::abs(static_cast<double>(a.weights[c * (n + 1) + f]) *
                        static_cast<double>(a.features[row * n + f]));
    return 1e-5 * terms + 1e-37;
  });
}

difference differs(const train_batch& a, const train_batch& b) {
  double largest = 0.1;
  for (const auto w : a.weights) largest = std::max(largest, std::abs(static_cast<double>(w)));
  for (const auto w : a.trained) largest = std::max(largest, std::abs(static_cast<double>(w)));
  return first_apart("weight", a.trained, b.trained,
                     [&](std::size_t, double, double) { return 1e-5 * largest; });
}

difference differs(const column_batch& a, const column_batch& b) {
  double values = 0, products = 0;
  for (const auto v : a.value) values += std::abs(static_cast<double>(v));
  for (std::size_t i = 0; i < a.other.size(); ++i)
    products += std::abs(static_cast<double>(a.value[i]) * static_cast<double>(a.other[i]));
  const auto within = [](double terms) {
    return [terms](std::size_t, double, double) { return 1e-6 * terms + 1e-37; };
  };
  if (auto d = first_apart("sum", a.sum, b.sum, within(values))) return d;
  const auto count = static_cast<double>(std::max<std::size_t>(a.value.size(), 1));
  if (auto d = first_apart("mean", a.mean, b.mean, within(values / count))) return d;
  if (auto d = first_apart("dot", a.dot, b.dot, within(products))) return d;
  if (auto d = first_unequal("index of a top value", a.top_at, b.top_at)) return d;
  if (auto d = first_unequal("top value", a.top_value, b.top_value)) return d;
  if (auto d = first_unequal("count of the filter", a.passed_count, b.passed_count)) return d;
  if (a.passed.empty()) return std::nullopt;
  const auto passed = static_cast<std::size_t>(
      std::ranges::count_if(a.value, [&](float v) { return v >= a.low && v < a.high; }));
  return first_unequal("index that passed", a.passed.first(passed), b.passed.first(passed));
}

} // namespace warp::gpu
