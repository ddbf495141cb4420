#include "tests/gpu/random_batch.hpp"

#include "physics/coaccess_graph.hpp"

#include <algorithm>
#include <cmath>

namespace warp::gpu {

namespace {

using physics::mixed_sequence;

constexpr std::size_t kinds = std::variant_size_v<any_batch>;
static_assert(kinds == operations);

template <std::size_t At = 0>
any_batch of_kind(std::size_t kind) {
  if constexpr (At + 1 < kinds)
    if (kind != At) return of_kind<At + 1>(kind);
  return any_batch{std::in_place_index<At>};
}

/// Of any magnitude, denormals and 0 included.
float any_size(mixed_sequence& random) {
  if (random.below(16) == 0) return 0;
  return static_cast<float>(std::exp2(random.unit() * 170 - 145));
}

} // namespace

random_batch::random_batch(operation kind, std::uint32_t size, mixed_sequence& random)
    : batch_(of_kind(static_cast<std::size_t>(kind))) {
  std::visit(
      [&](auto& b) {
        fill(b, size, random);
        for_each_output(b, [](auto& out) {
          if (!out.empty()) std::memset(out.data(), 0xff, out.size_bytes());
        });
      },
      batch_);
}

std::vector<float>& random_batch::floats(std::size_t n, float low, float high,
                                         mixed_sequence& random) {
  auto& v = floats_.emplace_back(n + 1); // a span of no values has an address as well
  v.resize(n);
  for (auto& x : v) x = low + (high - low) * static_cast<float>(random.unit());
  return v;
}

csr_graph random_batch::graph(std::uint32_t nodes, mixed_sequence& random) {
  std::vector<physics::coaccess_graph::pair> pairs(nodes == 0 ? 0 : random.below(5 * nodes));
  for (auto& p : pairs)
    p = {random.below(nodes), random.below(nodes), 0.05f + static_cast<float>(random.unit())};
  const physics::coaccess_graph from{nodes, pairs};
  auto& out = graphs_.emplace_back();
  out.first.push_back(0);
  for (std::uint32_t g = 0; g < nodes; ++g) {
    for (const auto& l : from.of(g)) {
      out.to.push_back(l.to);
      out.weight.push_back(l.weight);
    }
    out.first.push_back(out.to.size());
  }
  return out.view();
}

void random_batch::fill(gravity_batch& b, std::uint32_t size, mixed_sequence& random) {
  const std::size_t groups = size, places = random.below(4) == 0 ? 64 : random.below(71);
  auto& mass = floats(groups, 0, 50, random);
  for (auto& m : mass)
    if (random.below(9) == 0) m = any_size(random);
  auto& to_place = floats(groups * places, 0, 1, random);
  auto& all = floats(groups, 0, 0, random);
  for (std::size_t g = 0; g < groups; ++g) {
    const bool ties = random.below(3) == 0;
    float sum = 0;
    for (std::size_t p = 0; p < places; ++p) {
      auto& w = to_place[g * places + p];
      if (ties) w = w < 0.5f ? 0.f : 1.f;
      sum += w;
    }
    all[g] = random.below(7) == 0 ? std::max(sum, 0.f) : sum * 1.1f;
  }
  auto& capacity = floats(places, 0.1f, 4, random);
  auto& load = floats(places, 0, 2, random);
  if (random.below(3) == 0) { // many places alike
    std::ranges::fill(capacity, 1.f);
    std::ranges::fill(load, 0.f);
  }
  b.mass = mass;
  b.weight_of_all = all;
  b.weight_to_place = to_place;
  b.capacity = capacity;
  b.load = load;
  b.softening = random.below(2) ? 0.05f : 0.01f;
  b.top = random.below(3) ? 1 : random.below(12);
  b.place = words_.emplace_back(groups * b.top);
  b.score = floats(groups * b.top, 0, 0, random);
  if (random.below(3) == 0) b.field = floats(groups * places, 0, 0, random);
}

void random_batch::fill(entropy_batch& b, std::uint32_t size, mixed_sequence& random) {
  auto& first = longs_.emplace_back(1, 0u);
  for (std::uint32_t s = 0; s < size; ++s)
    first.push_back(first.back() + (random.below(4) == 0 ? 0 : random.below(90)));
  if (size > 0 && random.below(8) == 0) first.back() += 150'000; // a long one beside short ones
  const auto n = first.back();
  auto& load = floats(n, 0, 1000, random);
  const auto style = random.below(4);
  for (auto& l : load) {
    if (style == 1) l = any_size(random);
    if (style == 2) l = random.below(20) ? 0 : l;
    if (style == 3) l = 7;
  }
  b.first = first;
  b.load = load;
  b.capacity = floats(n, 0.5f, 3, random);
  b.entropy_bits = doubles_.emplace_back(size);
  b.evenness = doubles_.emplace_back(size);
  b.divergence_bits = doubles_.emplace_back(size);
}

void random_batch::fill(walk_batch& b, std::uint32_t size, mixed_sequence& random) {
  b.graph = graph(size, random);
  auto& source = words_.emplace_back(size == 0 ? 0 : random.below(40));
  for (auto& s : source) s = random.below(size);
  b.source = source;
  b.time = random.below(8) == 0 ? 0 : std::exp(random.unit() * 6 - 2);
  b.probability = floats(source.size() * size, 0, 0, random);
}

void random_batch::fill(evolution_batch& b, std::uint32_t size, mixed_sequence& random) {
  auto& amplitude = floats(size, 0, 1, random);
  auto& phase = floats(size, -7, 7, random);
  auto& energy = floats(size, -100, 100, random);
  const bool wild = random.below(2) == 0;
  for (std::uint32_t i = 0; i < size; ++i) {
    if (random.below(9) == 0) amplitude[i] = static_cast<float>(random.below(2));
    if (random.below(30) == 0) amplitude[i] = 1e-41f;
    if (wild && random.below(5) == 0) phase[i] = std::ldexp(phase[i], 120);
    if (wild && random.below(5) == 0)
      energy[i] = std::ldexp(energy[i], static_cast<int>(random.below(260)) - 150);
  }
  b.amplitude = amplitude;
  b.phase = phase;
  b.energy = energy;
  b.dt_s = random.below(4) == 0 ? 3e38f : static_cast<float>(random.unit() * 2000 - 1000);
  b.upper_re = floats(size, 0, 0, random);
  b.upper_im = floats(size, 0, 0, random);
  b.lower = floats(size, 0, 0, random);
}

void random_batch::fill(heat_batch& b, std::uint32_t size, mixed_sequence& random) {
  b.graph = graph(size, random);
  auto& temperature = floats(size, 0, 100, random);
  for (auto& t : temperature)
    if (random.below(5) == 0) t = any_size(random);
  b.temperature = temperature;
  b.settings = {.conductivity = random.unit(),
                .decay_per_s = random.unit() * 0.1,
                .dt_s = random.below(5) == 0 ? 0 : random.unit() * 3};
  b.after = floats(size, 0, 0, random);
}

void random_batch::fill(horizon_batch& b, std::uint32_t size, mixed_sequence& random) {
  auto& hash = longs_.emplace_back(std::size_t{size} * 4);
  auto& bytes = words_.emplace_back(hash.size());
  for (std::size_t i = 0; i < hash.size(); ++i) {
    const double u = random.unit();
    hash[i] = physics::mix(static_cast<std::uint64_t>(u * u * size));
    bytes[i] = random.below(200);
  }
  settings_.resize(random.below(6));
  for (auto& s : settings_) {
    s.small_share = 0.02 + 0.9 * random.unit();
    s.ghost_share = 2 * random.unit();
  }
  b.key_hash = hash;
  b.bytes = bytes;
  b.settings = settings_;
  b.capacity = random.below(20 * size + 1);
  b.warm_up = random.below(hash.size() + 1);
  b.missed = longs_.emplace_back(settings_.size());
}

void random_batch::fill(score_batch& b, std::uint32_t size, mixed_sequence& random) {
  b.shape = {.features = 1 + random.below(40), .classes = random.below(8)};
  b.weights = floats(b.shape.weights(), -2, 2, random);
  b.features = floats(size * b.shape.features, -3, 3, random);
  b.score = floats(size * b.shape.classes, 0, 0, random);
}

void random_batch::fill(train_batch& b, std::uint32_t size, mixed_sequence& random) {
  b.shape = {.features = 1 + random.below(40), .classes = 1 + random.below(7)};
  b.weights = floats(b.shape.weights(), -1, 1, random);
  b.features = floats(size * b.shape.features, -2, 2, random);
  auto& right = words_.emplace_back(size);
  for (auto& r : right) r = random.below(b.shape.classes);
  b.right = right;
  b.step = {.rate = random.unit(), .shrink = 0.01 * random.unit()};
  b.trained = floats(b.shape.weights(), 0, 0, random);
}

void random_batch::fill(column_batch& b, std::uint32_t size, mixed_sequence& random) {
  auto& value = floats(size, -50, 50, random);
  const auto style = random.below(3);
  for (auto& v : value) {
    if (style == 1) v = std::floor(v / 10); // many alike
    if (style == 2) v = any_size(random);
  }
  b.value = value;
  b.low = static_cast<float>(random.unit() * 40 - 30);
  b.high = b.low + static_cast<float>(random.unit() * 30);
  b.sum = doubles_.emplace_back(random.below(4) ? 1 : 0);
  b.mean = doubles_.emplace_back(random.below(4) ? 1 : 0);
  if (random.below(4)) {
    b.other = floats(size, -2, 2, random);
    b.dot = doubles_.emplace_back(1);
  }
  const auto top = random.below(30);
  b.top_at = words_.emplace_back(top);
  b.top_value = floats(top, 0, 0, random);
  if (random.below(4)) b.passed = words_.emplace_back(size);
  if (random.below(4)) b.passed_count = longs_.emplace_back(1);
}

} // namespace warp::gpu
