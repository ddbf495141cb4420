#include "gpu/sample_batch.hpp"

#include "physics/coaccess_graph.hpp"
#include "physics/mixing.hpp"

#include <algorithm>
#include <cmath>

namespace warp::gpu {

namespace {

using physics::mixed_sequence;

void draw(std::vector<float>& values, std::size_t n, float low, float high,
          mixed_sequence& random) {
  values.resize(n);
  for (auto& v : values) v = low + (high - low) * static_cast<float>(random.unit());
}

any_batch empty_batch(operation kind) {
  switch (kind) {
  case operation::gravity:
    return gravity_batch{};
  case operation::entropy:
    return entropy_batch{};
  case operation::walk:
    return walk_batch{};
  case operation::evolution:
    return evolution_batch{};
  case operation::heat:
    return heat_batch{};
  case operation::horizon:
    return horizon_batch{};
  case operation::score:
    return score_batch{};
  case operation::train:
    return train_batch{};
  case operation::column:
    break;
  }
  return column_batch{};
}

} // namespace

graph_columns random_graph(std::size_t nodes, std::size_t degree, std::uint64_t seed) {
  mixed_sequence random{seed};
  std::vector<physics::coaccess_graph::pair> pairs(nodes * degree / 2);
  for (auto& p : pairs)
    p = {random.below(nodes), random.below(nodes), 0.1f + static_cast<float>(random.unit())};
  const physics::coaccess_graph graph{nodes, pairs};
  graph_columns out;
  out.first.push_back(0);
  out.to.reserve(graph.links());
  out.weight.reserve(graph.links());
  for (std::size_t g = 0; g < nodes; ++g) {
    for (const auto& l : graph.of(g)) {
      out.to.push_back(l.to);
      out.weight.push_back(l.weight);
    }
    out.first.push_back(out.to.size());
  }
  return out;
}

sample_batch::sample_batch(operation kind, std::uint64_t work, std::uint64_t seed)
    : batch_(empty_batch(kind)) {
  std::visit([&](auto& b) { fill(b, work, seed); }, batch_);
}

void sample_batch::fill(gravity_batch& b, std::uint64_t work, std::uint64_t seed) {
  mixed_sequence random{seed};
  const std::size_t places = 64, groups = work / places + 1;
  draw(floats_[0], groups, 0.1f, 100, random);
  draw(floats_[1], groups, 8, 9, random);
  draw(floats_[2], groups * places, 0, 8, random);
  draw(floats_[3], places, 0.5f, 2, random);
  draw(floats_[4], places, 0, 1, random);
  floats_[5].resize(groups);
  words_[0].resize(groups);
  b.mass = floats_[0];
  b.weight_of_all = floats_[1];
  b.weight_to_place = floats_[2];
  b.capacity = floats_[3];
  b.load = floats_[4];
  b.score = floats_[5];
  b.place = words_[0];
}

void sample_batch::fill(entropy_batch& b, std::uint64_t work, std::uint64_t seed) {
  mixed_sequence random{seed};
  const std::size_t length = 256;
  draw(floats_[0], work, 0, 1000, random);
  draw(floats_[1], work, 0.5f, 2, random);
  longs_[0].push_back(0);
  while (longs_[0].back() < work)
    longs_[0].push_back(std::min<std::uint64_t>(longs_[0].back() + length, work));
  for (auto& d : doubles_) d.resize(longs_[0].size() - 1);
  b.first = longs_[0];
  b.load = floats_[0];
  b.capacity = floats_[1];
  b.entropy_bits = doubles_[0];
  b.evenness = doubles_[1];
  b.divergence_bits = doubles_[2];
}

void sample_batch::fill(walk_batch& b, std::uint64_t work, std::uint64_t seed) {
  mixed_sequence random{seed};
  const std::size_t sources = 16, degree = 16;
  b.time = 2;
  graph_ = random_graph(work / (sources * degree * 22) + 2, degree, random());
  const auto nodes = graph_.first.size() - 1;
  words_[0].resize(sources);
  for (auto& s : words_[0]) s = random.below(nodes);
  floats_[0].resize(sources * nodes);
  b.graph = graph_.view();
  b.source = words_[0];
  b.probability = floats_[0];
}

void sample_batch::fill(evolution_batch& b, std::uint64_t work, std::uint64_t seed) {
  mixed_sequence random{seed};
  draw(floats_[0], work, 0, 1, random);
  draw(floats_[1], work, -4, 4, random);
  draw(floats_[2], work, -1000, 1000, random);
  for (int i = 3; i < 6; ++i) floats_[i].resize(work);
  b.amplitude = floats_[0];
  b.phase = floats_[1];
  b.energy = floats_[2];
  b.upper_re = floats_[3];
  b.upper_im = floats_[4];
  b.lower = floats_[5];
}

void sample_batch::fill(heat_batch& b, std::uint64_t work, std::uint64_t seed) {
  mixed_sequence random{seed};
  const std::size_t degree = 16;
  graph_ = random_graph(work / (degree + 1) + 1, degree, random());
  draw(floats_[0], graph_.first.size() - 1, 0, 100, random);
  floats_[1].resize(floats_[0].size());
  b.graph = graph_.view();
  b.temperature = floats_[0];
  b.settings = {.conductivity = 0.01, .decay_per_s = 0.002, .dt_s = 1};
  b.after = floats_[1];
}

void sample_batch::fill(horizon_batch& b, std::uint64_t work, std::uint64_t seed) {
  mixed_sequence random{seed};
  for (const double small : {0.03, 0.06, 0.12, 0.24, 0.48}) {
    settings_.emplace_back();
    settings_.back().small_share = small;
  }
  const auto accesses = work / settings_.size() + 1;
  const auto keys = static_cast<double>(accesses / 4 + 1);
  longs_[0].resize(accesses);
  words_[0].assign(accesses, 100);
  // Few keys get most accesses: the square of an even draw.
  for (auto& k : longs_[0]) {
    const double u = random.unit();
    k = physics::mix(static_cast<std::uint64_t>(u * u * keys));
  }
  longs_[1].resize(settings_.size());
  b.key_hash = longs_[0];
  b.bytes = words_[0];
  b.settings = settings_;
  b.capacity = static_cast<std::uint64_t>(keys * 10) + 100; // a tenth of the footprint
  b.warm_up = accesses / 10;
  b.missed = longs_[1];
}

void sample_batch::fill(score_batch& b, std::uint64_t work, std::uint64_t seed) {
  mixed_sequence random{seed};
  b.shape = {.features = 16, .classes = 5};
  const auto rows = work / 80 + 1;
  draw(floats_[0], b.shape.weights(), -1, 1, random);
  draw(floats_[1], rows * b.shape.features, -1, 1, random);
  floats_[2].resize(rows * b.shape.classes);
  b.weights = floats_[0];
  b.features = floats_[1];
  b.score = floats_[2];
}

void sample_batch::fill(train_batch& b, std::uint64_t work, std::uint64_t seed) {
  mixed_sequence random{seed};
  b.shape = {.features = 16, .classes = 5};
  const auto rows = work / 80 + 1;
  draw(floats_[0], b.shape.weights(), -1, 1, random);
  draw(floats_[1], rows * b.shape.features, -1, 1, random);
  words_[0].resize(rows);
  for (auto& r : words_[0]) r = random.below(b.shape.classes);
  floats_[2].resize(b.shape.weights());
  b.weights = floats_[0];
  b.features = floats_[1];
  b.right = words_[0];
  b.trained = floats_[2];
}

void sample_batch::fill(column_batch& b, std::uint64_t work, std::uint64_t seed) {
  mixed_sequence random{seed};
  draw(floats_[0], work, -100, 100, random);
  draw(floats_[1], work, -1, 1, random);
  floats_[2].resize(10);
  words_[0].resize(10);
  words_[1].resize(work);
  longs_[0].resize(1);
  for (auto& d : doubles_) d.resize(1);
  b.value = floats_[0];
  b.other = floats_[1];
  b.low = 50;
  b.high = 60;
  b.sum = doubles_[0];
  b.mean = doubles_[1];
  b.dot = doubles_[2];
  b.top_at = words_[0];
  b.top_value = floats_[2];
  b.passed = words_[1];
  b.passed_count = longs_[0];
}

} // namespace warp::gpu
