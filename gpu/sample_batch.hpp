#pragma once

#include "gpu/batches.hpp"

#include <cstdint>
#include <variant>
#include <vector>

namespace warp::gpu {

using any_batch = std::variant<gravity_batch, entropy_batch, walk_batch, evolution_batch,
                               heat_batch, horizon_batch, score_batch, train_batch, column_batch>;

/// A co-access graph with its memory, as a batch wants it.
struct graph_columns {
  std::vector<std::uint64_t> first;
  std::vector<std::uint32_t> to;
  std::vector<float> weight;

  [[nodiscard]] csr_graph view() const noexcept { return {first, to, weight}; }
};

/// A random graph: so many links a node on average, ends drawn evenly: hardly two of them share a
/// cache line. The same for the same seed. O(nodes x degree).
[[nodiscard]] graph_columns random_graph(std::size_t nodes, std::size_t degree, std::uint64_t seed);

/// A batch of about so much work (batch_rules.hpp) with its memory and usual contents: what a
/// calibration measures with. Does not move. Throws std::bad_alloc.
class sample_batch {
public:
  sample_batch(operation kind, std::uint64_t work, std::uint64_t seed);
  sample_batch(const sample_batch&) = delete;
  sample_batch& operator=(const sample_batch&) = delete;

  [[nodiscard]] const any_batch& batch() const noexcept { return batch_; }

private:
  void fill(gravity_batch& b, std::uint64_t work, std::uint64_t seed);
  void fill(entropy_batch& b, std::uint64_t work, std::uint64_t seed);
  void fill(walk_batch& b, std::uint64_t work, std::uint64_t seed);
  void fill(evolution_batch& b, std::uint64_t work, std::uint64_t seed);
  void fill(heat_batch& b, std::uint64_t work, std::uint64_t seed);
  void fill(horizon_batch& b, std::uint64_t work, std::uint64_t seed);
  void fill(score_batch& b, std::uint64_t work, std::uint64_t seed);
  void fill(train_batch& b, std::uint64_t work, std::uint64_t seed);
  void fill(column_batch& b, std::uint64_t work, std::uint64_t seed);

  any_batch batch_;
  graph_columns graph_;
  std::vector<float> floats_[6];
  std::vector<double> doubles_[3];
  std::vector<std::uint64_t> longs_[2];
  std::vector<std::uint32_t> words_[2];
  std::vector<physics::horizon_settings> settings_;
};

} // namespace warp::gpu
