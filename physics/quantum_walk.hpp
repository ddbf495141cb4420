#pragma once

#include "physics/coaccess_graph.hpp"

#include <complex>
#include <cstdint>
#include <span>
#include <vector>

namespace warp::physics {

/// Continuous-time quantum walk on a co-access graph: how related each group is to a start, over
/// many hops at once. The state spreads like a wave and interferes with itself: groups that many
/// ways of one length lead to gain.
///     psi(t) = exp(-i H t) psi(0),  H = 1 - D^-1/2 W D^-1/2  (normalised Laplacian)
/// H's eigenvalues lie in [0, 2], so by Chebyshev polynomials of H - 1 (Tal-Ezer and Kosloff 1984),
///     exp(-i H t) = exp(-i t) (J_0(t) + 2 sum((-i)^k J_k(t) T_k(H - 1)))
/// with as many terms as bring the rest below 1e-9: the state keeps its norm within 1e-6. A group
/// without links stays where it is. O(links x (t + 20)).

/// J_0(t) .. J_K(t): as many terms as the series needs (above). t >= 0. O(t + 20).
[[nodiscard]] std::vector<double> walk_coefficients(double t);

/// psi(t) from psi(0): one amplitude a group; t >= 0, unitless.
[[nodiscard]] std::vector<std::complex<double>>
quantum_walk(const coaccess_graph& graph, std::span<const std::complex<double>> start, double t);

/// Probability of finding a walk that began at a group with each group after time t, >= 0, sum 1.
[[nodiscard]] std::vector<double> quantum_relatedness(const coaccess_graph& graph,
                                                      std::uint32_t start, double t);

} // namespace warp::physics
