#include "physics/quantum_walk.hpp"

#include <cassert>
#include <cmath>
#include <utility>

namespace warp::physics {

namespace {

using amplitude = std::complex<double>;

/// out = (H - 1) in = -D^-1/2 W D^-1/2 in
void apply(const coaccess_graph& graph, const std::vector<double>& scale,
           const std::vector<amplitude>& in, std::vector<amplitude>& out) {
  for (std::uint32_t g = 0; g < graph.groups(); ++g) {
    amplitude sum = 0;
    for (const auto& l : graph.of(g)) sum += l.weight * scale[l.to] * in[l.to];
    // Without links H is 0, not 1: the group stays where it is.
    out[g] = graph.of(g).empty() ? -in[g] : -scale[g] * sum;
  }
}

/// J_0(t) .. J_terms(t) by Miller's backward recurrence, which is stable for all of them.
std::vector<double> bessel(double t, std::size_t terms) {
  std::vector<double> j(terms + 1, 0);
  if (t <= 0) {
    j[0] = 1;
    return j;
  }
  double above = 0, here = 1e-300, sum = 0;
  for (std::size_t k = terms + 30 + static_cast<std::size_t>(t); k > 0; --k) {
    const double below = 2 * static_cast<double>(k) / t * here - above;
    above = here;
    here = below;
    if (k - 1 <= terms) j[k - 1] = here;
    if (k - 1 > 0 && (k - 1) % 2 == 0) sum += 2 * here;
    if (std::abs(here) > 1e200) {
      for (auto& x : j) x *= 1e-200;
      here *= 1e-200;
      above *= 1e-200;
      sum *= 1e-200;
    }
  }
  const double norm = sum + here; // J_0 + 2 (J_2 + J_4 + ...) = 1
  for (auto& x : j) x /= norm;
  return j;
}

} // namespace

std::vector<double> walk_coefficients(double t) {
  // Beyond t the Bessel functions fall faster than exponentially.
  return bessel(t, static_cast<std::size_t>(t + 10 * std::cbrt(t) + 20));
}

std::vector<amplitude> quantum_walk(const coaccess_graph& graph, std::span<const amplitude> start,
                                    double t) {
  assert(start.size() == graph.groups() && t >= 0);
  std::vector<double> scale(graph.groups(), 0);
  for (std::uint32_t g = 0; g < graph.groups(); ++g)
    if (const double degree = graph.weight_of(g); degree > 0) scale[g] = 1 / std::sqrt(degree);
  const auto j = walk_coefficients(t);
  std::vector<amplitude> last(start.begin(), start.end()), here(start.size()), next(start.size());
  std::vector<amplitude> out(start.size());
  apply(graph, scale, last, here);
  const amplitude turn{0, -1};
  amplitude power = turn;
  for (std::size_t g = 0; g < out.size(); ++g) out[g] = j[0] * last[g] + 2 * j[1] * power * here[g];
  for (std::size_t k = 2; k < j.size(); ++k) {
    apply(graph, scale, here, next);
    power *= turn;
    for (std::size_t g = 0; g < out.size(); ++g) {
      next[g] = 2.0 * next[g] - last[g]; // T_k = 2 x T_(k-1) - T_(k-2)
      out[g] += 2 * j[k] * power * next[g];
    }
    std::swap(last, here);
    std::swap(here, next);
  }
  const amplitude phase = std::polar(1.0, -t);
  for (auto& a : out) a *= phase;
  return out;
}

std::vector<double> quantum_relatedness(const coaccess_graph& graph, std::uint32_t start,
                                        double t) {
  assert(start < graph.groups());
  std::vector<amplitude> at(graph.groups(), 0);
  at[start] = 1;
  const auto psi = quantum_walk(graph, at, t);
  std::vector<double> out;
  for (const auto& a : psi) out.push_back(std::norm(a));
  return out;
}

} // namespace warp::physics
