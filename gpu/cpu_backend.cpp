#include "gpu/cpu_backend.hpp"

#include "physics/miniature_horizon.hpp"
#include "physics/quantum_walk.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <new>
#include <utility>

namespace warp::gpu {

namespace {

// A part is what one thread does at a time: about 50 microseconds' worth, so that handing parts out
// costs little and few are enough to keep all threads busy.
constexpr std::size_t part_pairs = 1 << 17;   // gravity
constexpr std::size_t part_buckets = 1 << 16; // entropy
constexpr std::size_t part_states = 1 << 15;  // evolution
constexpr std::size_t part_links = 1 << 16;   // graphs
constexpr std::size_t part_weights = 1 << 17; // the placement model
constexpr std::size_t part_values = 1 << 17;  // columns

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

/// Calls work(begin, end) for runs of rows, on the pool. The runs do not depend on its threads.
template <class Work>
void in_parts(work_pool& pool, std::size_t rows, std::size_t rows_a_part, Work&& work) noexcept {
  rows_a_part = std::max<std::size_t>(rows_a_part, 1);
  pool.run((rows + rows_a_part - 1) / rows_a_part, [&](std::size_t part) {
    work(part * rows_a_part, std::min(rows, (part + 1) * rows_a_part));
  });
}

/// Rows so that a part has about so many links.
std::size_t rows_of_links(const csr_graph& g, std::size_t links) noexcept {
  return links * g.nodes() / std::max<std::size_t>(g.to.size(), 1) + 1;
}

/// The same sums in float64, for loads so small that float32 has no digits left for their
/// quotients.
entropy_sums sums_of_tiny(const float* load, const float* capacity, std::size_t n) noexcept {
  entropy_sums sums;
  for (std::size_t i = 0; i < n; ++i) {
    const double l = load[i], c = capacity[i], u = l / c, log = u > 0 ? std::log2(u) : 0;
    sums.use += u;
    sums.use_log += u * log;
    sums.load += l;
    sums.load_log += l * log;
    sums.capacity += c;
  }
  return sums;
}

} // namespace

std::string cpu_backend::name() const {
  const auto threads = pool_.threads();
  return std::string{"CPU, "} + inner_.name + ", " + std::to_string(threads) +
         (threads == 1 ? " thread" : " threads");
}

outcome cpu_backend::run(const gravity_batch& b) noexcept {
  return guarded([&] {
    const auto places = b.capacity.size();
    reach_.assign(places + reach_padding, -1);
    for (std::size_t p = 0; p < places; ++p)
      reach_[p] = physics::reach_of(b.capacity[p], b.load[p]);
    in_parts(pool_, b.mass.size(), part_pairs / (places + 1),
             [&](std::size_t from, std::size_t to) {
               inner_.gravity({b, reach_.data(), from, to});
             });
  });
}

outcome cpu_backend::run(const entropy_batch& b) noexcept {
  const auto one = [&](std::size_t s, entropy_sums sums) {
    const auto n = b.first[s + 1] - b.first[s];
    if (sums.use < 1e-30 || sums.load < 1e-30)
      sums = sums_of_tiny(b.load.data() + b.first[s], b.capacity.data() + b.first[s], n);
    const double most = n == 0 ? 0 : std::log2(static_cast<double>(n));
    const double bits =
        sums.use > 0 ? std::clamp(std::log2(sums.use) - sums.use_log / sums.use, 0.0, most) : most;
    b.entropy_bits[s] = bits;
    b.evenness[s] = n < 2 ? 1 : bits / most;
    b.divergence_bits[s] =
        sums.load > 0
            ? std::max(sums.load_log / sums.load - std::log2(sums.load / sums.capacity), 0.0)
            : 0;
  };
  return guarded([&] {
    const auto segments = b.segments(), buckets = b.load.size();
    // Few long segments are cut themselves, many short ones are handed out in runs.
    if (segments == 0) return;
    if (buckets / segments < part_buckets) {
      in_parts(pool_, segments, part_buckets * segments / (buckets + 1),
               [&](std::size_t from, std::size_t to) {
                 for (auto s = from; s < to; ++s)
                   one(s, inner_.entropy(b.load.data() + b.first[s], b.capacity.data() + b.first[s],
                                         b.first[s + 1] - b.first[s]));
               });
      return;
    }
    std::vector<entropy_sums> sums;
    for (std::size_t s = 0; s < segments; ++s) {
      const auto at = b.first[s], n = b.first[s + 1] - at;
      sums.assign((n + part_buckets - 1) / part_buckets, {});
      pool_.run(sums.size(), [&](std::size_t part) {
        const auto from = part * part_buckets;
        sums[part] = inner_.entropy(b.load.data() + at + from, b.capacity.data() + at + from,
                                    std::min(part_buckets, n - from));
      });
      entropy_sums all;
      for (const auto& p : sums) {
        all.use += p.use;
        all.use_log += p.use_log;
        all.load += p.load;
        all.load_log += p.load_log;
        all.capacity += p.capacity;
      }
      one(s, all);
    }
  });
}

// T_k of a walk from a single node is real, and its factor (-i)^k is real or imaginary: the even
// terms make the real part and the odd ones the imaginary part. The factor exp(-it) of all of them
// changes no probability.
void cpu_backend::walk(const walk_batch& b, std::size_t from, std::size_t sources, bool single) {
  const auto nodes = b.graph.nodes(), width = single ? 1 : inner_.sources;
  for (auto* v : {&even_, &odd_, &real_, &imaginary_}) v->assign(nodes * width, 0);
  const auto j = physics::walk_coefficients(b.time);
  for (std::size_t s = 0; s < sources; ++s) {
    const auto at = b.source[from + s] * width + s;
    even_[at] = 1;
    real_[at] = static_cast<float>(j[0]);
  }
  auto *here = &even_, *last = &odd_;
  for (std::size_t k = 1; k < j.size(); ++k) {
    // T_1 = (H - 1) T_0, and from then on T_(k+1) = 2 (H - 1) T_k - T_(k-1), in place of the
    // latter.
    const double sign = k % 4 == 1 || k % 4 == 2 ? -1 : 1;
    walk_rows rows{b.graph.first.data(),
                   b.graph.to.data(),
                   weight_.data(),
                   here->data(),
                   last->data(),
                   last->data(),
                   (k % 2 ? imaginary_ : real_).data(),
                   k == 1 ? 1.f : 2.f,
                   k == 1 ? 0.f : 1.f,
                   static_cast<float>(sign * 2 * j[k]),
                   0,
                   0};
    in_parts(pool_, nodes, rows_of_links(b.graph, part_links / width),
             [&](std::size_t begin, std::size_t end) {
               auto part = rows;
               part.begin = begin;
               part.end = end;
               (single ? inner_.walk_single : inner_.walk)(part);
             });
    std::swap(here, last);
  }
  for (std::size_t s = 0; s < sources; ++s) {
    auto* const out = b.probability.data() + (from + s) * nodes;
    for (std::size_t g = 0; g < nodes; ++g) {
      const float re = real_[g * width + s], im = imaginary_[g * width + s];
      out[g] = re * re + im * im;
    }
  }
}

outcome cpu_backend::run(const walk_batch& b) noexcept {
  return guarded([&] {
    const auto& g = b.graph;
    if (b.source.empty()) return;
    std::vector<float> scale(g.nodes(), 0);
    for (std::size_t i = 0; i < g.nodes(); ++i) {
      double degree = 0;
      for (auto l = g.first[i]; l < g.first[i + 1]; ++l) degree += static_cast<double>(g.weight[l]);
      if (degree > 0) scale[i] = static_cast<float>(1 / std::sqrt(degree));
    }
    weight_.resize(g.to.size());
    for (std::size_t i = 0; i < g.nodes(); ++i)
      for (auto l = g.first[i]; l < g.first[i + 1]; ++l)
        weight_[l] = g.weight[l] * scale[i] * scale[g.to[l]];
    // One or two walks alone are quicker without the empty lanes beside them.
    for (std::size_t s = 0; s < b.source.size();) {
      const auto left = b.source.size() - s;
      const bool single = inner_.sources == 1 || left < 3;
      const auto together = single ? 1 : std::min(left, inner_.sources);
      walk(b, s, together, single);
      s += together;
    }
  });
}

outcome cpu_backend::run(const evolution_batch& b) noexcept {
  in_parts(pool_, b.amplitude.size(), part_states,
           [&](std::size_t from, std::size_t to) { inner_.evolution(b, from, to); });
  return outcome::done;
}

outcome cpu_backend::run(const heat_batch& b) noexcept {
  return guarded([&] {
    const auto& g = b.graph;
    const auto nodes = g.nodes();
    const auto rows_a_part = rows_of_links(g, part_links);
    double degree_max = 0;
    for (std::size_t i = 0; i < nodes; ++i) {
      double degree = 0;
      for (auto l = g.first[i]; l < g.first[i + 1]; ++l) degree += static_cast<double>(g.weight[l]);
      degree_max = std::max(degree_max, degree);
    }
    const auto steps = physics::heat_steps(b.settings, degree_max);
    heat_rows rows{
        g.first.data(),
        g.to.data(),
        g.weight.data(),
        b.temperature.data(),
        nullptr,
        static_cast<float>(b.settings.conductivity * b.settings.dt_s / static_cast<double>(steps)),
        1.f,
        0,
        0};
    if (steps > 1) even_.resize(nodes);
    if (steps > 2) odd_.resize(nodes);
    for (std::size_t s = 0; s < steps; ++s) {
      const bool last = s + 1 == steps;
      if (last) rows.left = static_cast<float>(physics::heat_left(b.settings));
      rows.next = last ? b.after.data() : (s % 2 ? odd_ : even_).data();
      in_parts(pool_, nodes, rows_a_part, [&](std::size_t begin, std::size_t end) {
        auto part = rows;
        part.begin = begin;
        part.end = end;
        inner_.heat(part);
      });
      rows.here = rows.next;
    }
  });
}

outcome cpu_backend::run(const horizon_batch& b) noexcept {
  return guarded([&] {
    std::atomic<bool> no_memory{false};
    pool_.run(b.settings.size(), [&](std::size_t k) {
      try {
        physics::miniature_horizon miniature{b.capacity, b.settings[k]};
        std::uint64_t missed = 0;
        for (std::size_t i = 0; i < b.key_hash.size(); ++i)
          missed += !miniature.access(b.key_hash[i], b.bytes[i]) && i >= b.warm_up;
        b.missed[k] = missed;
      } catch (const std::bad_alloc&) {
        no_memory = true;
      }
    });
    if (no_memory) throw std::bad_alloc{};
  });
}

outcome cpu_backend::run(const score_batch& b) noexcept {
  in_parts(pool_, b.features.size() / b.shape.features, part_weights / (b.shape.weights() + 1),
           [&](std::size_t from, std::size_t to) { inner_.score(b, from, to); });
  return outcome::done;
}

outcome cpu_backend::run(const train_batch& b) noexcept {
  return guarded([&] {
    const auto weights = b.shape.weights(), rows = b.right.size();
    const auto rows_a_part = std::max<std::size_t>(part_weights / (weights + 1), 64);
    slopes_.assign((rows + rows_a_part - 1) / rows_a_part * weights, 0);
    in_parts(pool_, rows, rows_a_part, [&](std::size_t from, std::size_t to) {
      inner_.train(b, from, to, slopes_.data() + from / rows_a_part * weights);
    });
    for (std::size_t w = 0; w < weights; ++w) {
      double slope = 0;
      for (auto at = w; at < slopes_.size(); at += weights)
        slope += static_cast<double>(slopes_[at]);
      const double old = b.weights[w];
      b.trained[w] =
          rows == 0 ? b.weights[w]
                    : static_cast<float>(old - b.step.rate * (slope / static_cast<double>(rows) +
                                                              b.step.shrink * old));
    }
  });
}

outcome cpu_backend::run(const column_batch& b) noexcept {
  return guarded([&] {
    const auto n = b.value.size();
    parts_.resize((n + part_values - 1) / part_values);
    const auto summed = [&](auto&& part_sum) {
      in_parts(pool_, n, part_values, [&](std::size_t from, std::size_t to) {
        parts_[from / part_values] = part_sum(from, to - from);
      });
      double sum = 0;
      for (const auto p : parts_) sum += p;
      return sum;
    };
    if (!b.sum.empty() || !b.mean.empty()) {
      const double sum = summed([&](std::size_t from, std::size_t count) {
        return inner_.sum(b.value.data() + from, count);
      });
      if (!b.sum.empty()) b.sum[0] = sum;
      if (!b.mean.empty()) b.mean[0] = n == 0 ? 0 : sum / static_cast<double>(n);
    }
    if (!b.dot.empty())
      b.dot[0] = summed([&](std::size_t from, std::size_t count) {
        return inner_.dot(b.value.data() + from, b.other.data() + from, count);
      });
    inner_.top(b);
    if (!b.passed.empty() || !b.passed_count.empty()) {
      const auto count = inner_.filter(b);
      if (!b.passed_count.empty()) b.passed_count[0] = count;
    }
  });
}

} // namespace warp::gpu
