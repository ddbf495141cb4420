#pragma once

#include "physics/gravity.hpp"
#include "physics/heat.hpp"
#include "physics/horizon_settings.hpp"
#include "physics/softmax_model.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace warp::gpu {

// The batches: what goes in and what comes out, as spans that the caller owns and that live until
// the call returns. For all of them:
// 1. Inputs are never written, and an output never overlaps an input: a batch that failed half-way
//    on a device is computed again from the start.
// 2. Any count may be 0, and none need be a multiple of anything. Numbers are finite, denormals
//    included; "beyond" says what else is asked of them.
// 3. An output of size 0 where the text says "or empty" is not wanted and costs nothing.
// 4. valid() checks sizes, offsets and indices (O(input) for graphs and labels), not the numbers.

/// An undirected graph by rows (CSR): node i has the links first[i] .. first[i + 1]. Each link
/// stands in both directions with one weight, > 0, and none leads to its own node: what
/// physics::coaccess_graph holds, with its columns apart.
struct csr_graph {
  std::span<const std::uint64_t> first; ///< nodes + 1, from 0 up; empty: no nodes
  std::span<const std::uint32_t> to;
  std::span<const float> weight;

  [[nodiscard]] std::size_t nodes() const noexcept { return first.empty() ? 0 : first.size() - 1; }
};

/// Gravity field (physics/gravity.hpp): which places pull each of N groups hardest, of M places.
struct gravity_batch {
  std::span<const float> mass;            ///< N, >= 0
  std::span<const float> weight_of_all;   ///< N, co-access weight of a group, >= 0
  std::span<const float> weight_to_place; ///< N x M by rows, of it to members of each place
  std::span<const float> capacity;        ///< M, > 0
  std::span<const float> load;            ///< M, >= 0
  float softening = static_cast<float>(physics::default_softening); ///< >= 0.01
  std::size_t top = 1;                                              ///< places named for each group
  std::span<std::uint32_t> place; ///< N x top, hardest pull first; of equals the lower number;
                                  ///< where there are fewer places physics::no_place
  std::span<float> score;         ///< N x top, their attraction; 0 for no_place
  std::span<float> field;         ///< N x M by rows: all attractions; or empty
};

/// Entropy of the load of S histograms of any length each (physics/entropy.hpp).
struct entropy_batch {
  std::span<const std::uint64_t> first; ///< S + 1, from 0 up: segment i is first[i] .. first[i + 1]
  std::span<const float> load;          ///< >= 0
  std::span<const float> capacity;      ///< > 0, as many; load / capacity finite
  std::span<double> entropy_bits;       ///< S
  std::span<double> evenness;           ///< S
  std::span<double> divergence_bits;    ///< S

  [[nodiscard]] std::size_t segments() const noexcept {
    return first.empty() ? 0 : first.size() - 1;
  }
};

/// Quantum walks from S single nodes over G nodes (physics/quantum_walk.hpp).
struct walk_batch {
  csr_graph graph;
  std::span<const std::uint32_t> source; ///< S nodes
  double time = 1;                       ///< >= 0, at most time_max
  std::span<float> probability;          ///< S x G by rows, each summing to 1

  static constexpr double time_max = 1000;
};

/// Free evolution of n two-level states (physics/two_level.hpp).
struct evolution_batch {
  std::span<const float> amplitude; ///< n, in [0, 1]
  std::span<const float> phase;     ///< n, radians, any
  std::span<const float> energy;    ///< n, radians a second, any
  float dt_s = 1;                   ///< any
  std::span<float> upper_re;        ///< n
  std::span<float> upper_im;        ///< n
  std::span<float> lower;           ///< n
};

/// Heat diffusion and decay over G nodes (physics/heat.hpp).
struct heat_batch {
  csr_graph graph;
  std::span<const float> temperature; ///< G, >= 0
  physics::heat_settings settings;
  std::span<float> after; ///< G
};

/// Cache-policy fit: what K settings of the event horizon would have missed of a sampled trace
/// (physics/miniature_horizon.hpp). Whole numbers: both backends must agree exactly.
struct horizon_batch {
  std::span<const std::uint64_t> key_hash; ///< n accesses, oldest first; well spread
  std::span<const std::uint32_t> bytes;    ///< n, at most physics::event_horizon::bytes_max
  std::span<const physics::horizon_settings> settings; ///< K
  std::uint64_t capacity = 0;                          ///< bytes, of the sample's miniature
  std::size_t warm_up = 0;         ///< so many accesses at the beginning are not counted
  std::span<std::uint64_t> missed; ///< K, of the n - warm_up counted ones
};

/// Placement model: scores of n rows of features (physics/softmax_model.hpp).
struct score_batch {
  physics::softmax_shape shape;    ///< at most classes_max classes
  std::span<const float> weights;  ///< shape.weights()
  std::span<const float> features; ///< n x shape.features by rows
  std::span<float> score;          ///< n x shape.classes by rows

  static constexpr std::size_t classes_max = 64;
};

/// One training step of the placement model on a minibatch of n rows.
struct train_batch {
  physics::softmax_shape shape;         ///< at least one class if there are rows
  std::span<const float> weights;       ///< shape.weights()
  std::span<const float> features;      ///< n x shape.features by rows
  std::span<const std::uint32_t> right; ///< n, the class that was right
  physics::softmax_step step;
  std::span<float> trained; ///< shape.weights()
};

/// Aggregates of one column of n values; each result is of size 1 or empty unless said otherwise.
struct column_batch {
  std::span<const float> value;
  std::span<const float> other; ///< n if dot is wanted, else empty
  float low = 0, high = 0;      ///< bounds of the filter
  std::span<double> sum;
  std::span<double> mean;          ///< 0 of no values
  std::span<double> dot;           ///< sum(value x other)
  std::span<std::uint32_t> top_at; ///< any size: where the greatest values stand, greatest first,
                                   ///< of equals the lower index; past n: none_at
  std::span<float> top_value;      ///< as many: those values; past n: 0
  std::span<std::uint32_t> passed; ///< n or empty: indices with low <= value < high, ascending;
                                   ///< what lies behind them is unspecified
  std::span<std::uint64_t> passed_count;

  static constexpr std::uint32_t none_at = UINT32_MAX;
};

/// A batch by kind.
enum class operation : std::uint8_t {
  gravity,
  entropy,
  walk,
  evolution,
  heat,
  horizon,
  score,
  train,
  column
};
inline constexpr std::size_t operations = 9;

constexpr operation kind_of(const gravity_batch&) noexcept {
  return operation::gravity;
}
constexpr operation kind_of(const entropy_batch&) noexcept {
  return operation::entropy;
}
constexpr operation kind_of(const walk_batch&) noexcept {
  return operation::walk;
}
constexpr operation kind_of(const evolution_batch&) noexcept {
  return operation::evolution;
}
constexpr operation kind_of(const heat_batch&) noexcept {
  return operation::heat;
}
constexpr operation kind_of(const horizon_batch&) noexcept {
  return operation::horizon;
}
constexpr operation kind_of(const score_batch&) noexcept {
  return operation::score;
}
constexpr operation kind_of(const train_batch&) noexcept {
  return operation::train;
}
constexpr operation kind_of(const column_batch&) noexcept {
  return operation::column;
}

} // namespace warp::gpu
