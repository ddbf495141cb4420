#pragma once

#include "gpu/batch_rules.hpp"
#include "gpu/sample_batch.hpp"
#include "physics/mixing.hpp"

#include <cstdint>
#include <cstring>
#include <deque>
#include <variant>
#include <vector>

namespace warp::gpu {

/// A batch of any shape with its memory: sizes from 0 up that are a multiple of nothing, empty and
/// lone parts, ties, zeros, denormals and huge numbers where they are allowed. Outputs are
/// poisoned: what is not written is not a number, or no such place.
class random_batch {
public:
  /// `size`: roughly the number of rows.
  random_batch(operation kind, std::uint32_t size, physics::mixed_sequence& random);
  random_batch(const random_batch&) = delete;
  random_batch& operator=(const random_batch&) = delete;

  [[nodiscard]] const any_batch& batch() const noexcept { return batch_; }

private:
  void fill(gravity_batch& b, std::uint32_t size, physics::mixed_sequence& random);
  void fill(entropy_batch& b, std::uint32_t size, physics::mixed_sequence& random);
  void fill(walk_batch& b, std::uint32_t size, physics::mixed_sequence& random);
  void fill(evolution_batch& b, std::uint32_t size, physics::mixed_sequence& random);
  void fill(heat_batch& b, std::uint32_t size, physics::mixed_sequence& random);
  void fill(horizon_batch& b, std::uint32_t size, physics::mixed_sequence& random);
  void fill(score_batch& b, std::uint32_t size, physics::mixed_sequence& random);
  void fill(train_batch& b, std::uint32_t size, physics::mixed_sequence& random);
  void fill(column_batch& b, std::uint32_t size, physics::mixed_sequence& random);
  std::vector<float>& floats(std::size_t n, float low, float high, physics::mixed_sequence& random);
  csr_graph graph(std::uint32_t nodes, physics::mixed_sequence& random);

  any_batch batch_;
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<double>> doubles_;
  std::deque<std::vector<std::uint64_t>> longs_;
  std::deque<std::vector<std::uint32_t>> words_;
  std::vector<physics::horizon_settings> settings_;
  std::deque<graph_columns> graphs_;
};

/// A batch with outputs of its own, poisoned.
template <class Batch>
class poisoned {
public:
  explicit poisoned(const Batch& original) : batch(original) {
    for_each_output(batch, [&](auto& out) {
      using value = typename std::remove_reference_t<decltype(out)>::element_type;
      auto& memory = memory_.emplace_back(out.size() + 1); // of 8 bytes each: room for any of them
      if (!memory.empty()) std::memset(memory.data(), 0xff, memory.size() * sizeof(memory[0]));
      out = {reinterpret_cast<value*>(memory.data()), out.size()};
    });
  }
  poisoned(const poisoned&) = delete;
  poisoned& operator=(const poisoned&) = delete;

  Batch batch;

private:
  std::deque<std::vector<std::uint64_t>> memory_;
};

} // namespace warp::gpu
