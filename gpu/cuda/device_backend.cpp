#include "gpu/cuda/device_backend.hpp"

#include "physics/event_horizon.hpp"
#include "physics/heat.hpp"
#include "physics/quantum_walk.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <exception>
#include <new>
#include <utility>

namespace warp::gpu {

namespace {

constexpr unsigned compute_begins = 8, compute_ends = 9; // marks behind those of the lanes

double now_s() noexcept {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct placed_graph {
  placed<const std::uint64_t> first;
  placed<const std::uint32_t> to;
  placed<const float> weight;
  std::size_t nodes, links;
  bool hubs;

  placed_graph(parcel& p, const csr_graph& g)
      : first(p.in(g.first)), to(p.in(g.to)), weight(p.in(g.weight)), nodes(g.nodes()),
        links(g.to.size()), hubs(false) {
    if (links > graph_job::hub_links)
      for (std::size_t i = 0; i < nodes; ++i)
        hubs |= g.first[i + 1] - g.first[i] > graph_job::hub_links;
  }
  [[nodiscard]] graph_job on(const device_lane& lane) const noexcept {
    return {lane.at(first), lane.at(to), lane.at(weight), nodes, links, hubs};
  }
};

} // namespace

device_backend::device_backend(std::unique_ptr<device_runtime> runtime,
                               const device_kernels& kernels, const device_options& options)
    : runtime_(std::move(runtime)), kernels_(kernels),
      options_(options), lanes_{{*runtime_, 0, options.slot_bytes},
                                {*runtime_, 1, options.slot_bytes}} {}

// After a failure nothing of the batch may still be under way when the next one comes.
template <class Work>
outcome device_backend::guarded(Work&& work) noexcept {
  auto what = runtime_->start();
  if (what == outcome::done) {
    try {
      times_ = {};
      work();
      return outcome::done;
    } catch (const device_trouble& t) {
      what = t.what;
    } catch (const std::bad_alloc&) {
      what = outcome::out_of_memory;
    } catch (const std::exception&) {
      what = outcome::failed;
    }
    for (const auto& lane : lanes_)
      if (runtime_->wait(lane.number()) == outcome::lost) what = outcome::lost;
  }
  if (what == outcome::lost) {
    for (auto& lane : lanes_) lane.forget();
    runtime_->give_up();
  }
  return what;
}

void device_backend::send(device_lane& lane) {
  const double begin = repeats_ ? now_s() : 0;
  lane.send();
  if (repeats_ == 0) return;
  lane.wait();
  times_.up_s = now_s() - begin;
}

template <class Work>
void device_backend::compute(device_lane& lane, Work&& work) {
  work();
  if (repeats_ == 0) return;
  lane.wait();
  must(runtime_->mark(compute_begins, lane.number()));
  for (unsigned i = 0; i < repeats_; ++i) work();
  must(runtime_->mark(compute_ends, lane.number()));
  must(runtime_->wait_for(compute_ends));
  times_.compute_s = runtime_->seconds_between(compute_begins, compute_ends) / repeats_;
}

void device_backend::finish(device_lane& lane) {
  const double begin = repeats_ ? now_s() : 0;
  lane.fetch();
  lane.collect();
  if (repeats_) times_.down_s = now_s() - begin;
}

/// prepare(parcel, first row, rows) fills a parcel and gives what starts its kernels in a lane.
template <class Prepare>
void device_backend::in_parts(std::size_t rows, std::size_t row_bytes, Prepare&& prepare) {
  const auto rows_a_part =
      repeats_
          ? rows
          : std::max<std::size_t>(options_.slot_bytes / std::max<std::size_t>(row_bytes, 1), 1);
  std::size_t parts = 0;
  for (std::size_t from = 0; from < rows; from += rows_a_part, ++parts) {
    auto& lane = lanes_[parts % device_runtime::lanes];
    if (parts >= device_runtime::lanes) lane.collect();
    auto work = prepare(lane.open(), from, std::min(rows_a_part, rows - from));
    send(lane);
    compute(lane, [&] { work(lane); });
    if (repeats_)
      finish(lane);
    else
      lane.fetch();
  }
  if (repeats_) return;
  for (auto p = parts - std::min<std::size_t>(parts, device_runtime::lanes); p < parts; ++p)
    lanes_[p % device_runtime::lanes].collect();
}

outcome device_backend::run(const gravity_batch& b) noexcept {
  const auto places = b.capacity.size();
  const bool field = !b.field.empty();
  return guarded([&] {
    in_parts(
        b.mass.size(), places * (field ? 8 : 4) + 8 + b.top * 8,
        [&](parcel& p, std::size_t from, std::size_t rows) {
          const auto mass = p.in(b.mass.subspan(from, rows));
          const auto all = p.in(b.weight_of_all.subspan(from, rows));
          const auto to_place = p.in(b.weight_to_place.subspan(from * places, rows * places));
          const auto capacity = p.in(b.capacity), load = p.in(b.load);
          const auto place = p.out(b.place.subspan(from * b.top, rows * b.top));
          const auto score = p.out(b.score.subspan(from * b.top, rows * b.top));
          const auto out =
              p.out(field ? b.field.subspan(from * places, rows * places) : std::span<float>{});
          return [=, this, &b](device_lane& lane) {
            kernels_.gravity({lane.at(mass), lane.at(all), lane.at(to_place), lane.at(capacity),
                              lane.at(load), b.softening, rows, places, b.top, lane.at(place),
                              lane.at(score), field ? lane.at(out) : nullptr},
                             lane.stream());
          };
        });
  });
}

outcome device_backend::run(const entropy_batch& b) noexcept {
  return guarded([&] {
    const auto segments = b.segments(), buckets = b.load.size();
    if (segments == 0) return;
    auto& lane = lanes_[0];
    auto& p = lane.open();
    const auto first = p.in(b.first);
    const auto load = p.in(b.load), capacity = p.in(b.capacity);
    const auto bits = p.out(b.entropy_bits), even = p.out(b.evenness),
               apart = p.out(b.divergence_bits);
    const auto head = p.scratch<bucket_sums>(segments);
    const auto carry = p.scratch<bucket_sums>(entropy_job::tiles(buckets));
    send(lane);
    compute(lane, [&] {
      kernels_.entropy({lane.at(first), lane.at(load), lane.at(capacity), segments, buckets,
                        lane.at(head), lane.at(carry), lane.at(bits), lane.at(even),
                        lane.at(apart)},
                       lane.stream());
    });
    finish(lane);
  });
}

// As on the CPU: T_k of a walk from a single node is real, and its factor (-i)^k is real or
// imaginary.
outcome device_backend::run(const walk_batch& b) noexcept {
  return guarded([&] {
    const auto nodes = b.graph.nodes(), sources = b.source.size();
    if (sources == 0) return;
    const auto j = physics::walk_coefficients(b.time);
    const auto width_for = [](std::size_t left) { return left > 4 ? 16u : left > 2 ? 4u : 1u; };
    const auto widest = width_for(sources);
    auto& lane = lanes_[0];
    auto& p = lane.open();
    const placed_graph graph{p, b.graph};
    const auto source = p.in(b.source);
    const auto scale = p.scratch<float>(nodes), normalised = p.scratch<float>(b.graph.to.size());
    placed<float> state[4];
    for (auto& s : state) s = p.scratch<float>(nodes * widest);
    const auto probability = p.scratch<float>(nodes * widest);
    send(lane);

    auto g = graph.on(lane);
    kernels_.degrees({g, lane.at(scale), nullptr}, lane.stream());
    kernels_.normalise({g, lane.at(scale), lane.at(normalised)}, lane.stream());
    g.weight = lane.at(normalised);
    for (std::size_t from = 0; from < sources;) {
      const auto width = width_for(sources - from);
      const auto together = std::min<std::size_t>(sources - from, width);
      float *const even = lane.at(state[0]), *const odd = lane.at(state[1]),
                   *const real = lane.at(state[2]), *const imaginary = lane.at(state[3]);
      compute(lane, [&] {
        kernels_.walk_start({lane.at(source) + from, nodes, together, width, even, odd, real,
                             imaginary, static_cast<float>(j[0])},
                            lane.stream());
        auto *here = even, *last = odd;
        for (std::size_t k = 1; k < j.size(); ++k) {
          const double sign = k % 4 == 1 || k % 4 == 2 ? -1 : 1;
          kernels_.walk({g, width, here, last, last, k % 2 ? imaginary : real, k == 1 ? 1.f : 2.f,
                         k == 1 ? 0.f : 1.f, static_cast<float>(sign * 2 * j[k])},
                        lane.stream());
          std::swap(here, last);
        }
        kernels_.walk_end({real, imaginary, nodes, together, width, lane.at(probability)},
                          lane.stream());
      });
      lane.download(b.probability.subspan(from * nodes, together * nodes),
                    static_cast<const float*>(lane.at(probability)));
      from += together;
    }
    lane.wait();
  });
}

outcome device_backend::run(const evolution_batch& b) noexcept {
  return guarded([&] {
    in_parts(b.amplitude.size(), 12, [&](parcel& p, std::size_t from, std::size_t rows) {
      const auto amplitude = p.in(b.amplitude.subspan(from, rows));
      const auto phase = p.in(b.phase.subspan(from, rows));
      const auto energy = p.in(b.energy.subspan(from, rows));
      const auto re = p.out(b.upper_re.subspan(from, rows));
      const auto im = p.out(b.upper_im.subspan(from, rows));
      const auto lower = p.out(b.lower.subspan(from, rows));
      return [=, this, &b](device_lane& lane) {
        kernels_.evolution({lane.at(amplitude), lane.at(phase), lane.at(energy), b.dt_s, rows,
                            lane.at(re), lane.at(im), lane.at(lower)},
                           lane.stream());
      };
    });
  });
}

outcome device_backend::run(const heat_batch& b) noexcept {
  return guarded([&] {
    const auto nodes = b.graph.nodes();
    if (nodes == 0) return;
    auto& lane = lanes_[0];
    auto& p = lane.open();
    const placed_graph graph{p, b.graph};
    const auto temperature = p.in(b.temperature);
    const auto after = p.out(b.after);
    const auto largest = p.scratch<std::uint64_t>(1);
    const placed<float> between[2] = {p.scratch<float>(nodes), p.scratch<float>(nodes)};
    send(lane);

    const auto g = graph.on(lane);
    std::uint64_t largest_bits = 0;
    lane.fill(lane.at(largest), 0, sizeof largest_bits);
    kernels_.degrees({g, nullptr, lane.at(largest)}, lane.stream());
    lane.download(std::span{&largest_bits, 1}, static_cast<const std::uint64_t*>(lane.at(largest)));
    const auto steps = physics::heat_steps(b.settings, std::bit_cast<double>(largest_bits));
    const auto share =
        static_cast<float>(b.settings.conductivity * b.settings.dt_s / static_cast<double>(steps));
    const auto left = static_cast<float>(physics::heat_left(b.settings));
    compute(lane, [&] {
      const float* here = lane.at(temperature);
      for (std::size_t s = 0; s < steps; ++s) {
        const bool last = s + 1 == steps;
        float* const next = lane.at(last ? after : between[s % 2]);
        kernels_.heat({g, here, next, share, last ? left : 1.f}, lane.stream());
        here = next;
      }
    });
    finish(lane);
  });
}

outcome device_backend::run(const horizon_batch& b) noexcept {
  return guarded([&] {
    const auto accesses = b.key_hash.size(), settings = b.settings.size();
    if (settings == 0) return;
    if (accesses >= (std::size_t{1} << 31) - 1) throw device_trouble{outcome::out_of_memory};
    const auto smallest = b.bytes.empty() ? 0 : *std::ranges::min_element(b.bytes);
    const auto residents_max = smallest == 0
                                   ? std::uint64_t{accesses}
                                   : std::min<std::uint64_t>(accesses, b.capacity / smallest + 1);
    double ghosts_max = 0;
    runs_.clear();
    for (const auto& s : b.settings) {
      const auto limits = physics::limits_of(s, b.capacity);
      runs_.push_back({b.capacity, limits.small, limits.main, limits.window,
                       limits.ghosts_a_resident, s.ghost_share, s.hits_to_stay, s.fill_every});
      ghosts_max = std::max(ghosts_max, s.ghost_share * static_cast<double>(residents_max));
    }
    if (ghosts_max > 0x1p40) throw device_trouble{outcome::out_of_memory};
    // All tables that a cache grows through: together less than twice the last one.
    const auto buckets = 2 * std::bit_ceil(static_cast<std::size_t>(ghosts_max) / 5 + 1);
    const auto bytes_a_run =
        std::max<std::size_t>(accesses * sizeof(std::uint64_t) + buckets * sizeof(ghost_bucket), 1);
    const auto together = std::clamp<std::size_t>(options_.scratch_max / bytes_a_run, 1, settings);
    const auto cells = std::bit_ceil(2 * accesses + 1);

    auto& lane = lanes_[0];
    auto& p = lane.open();
    const auto key_hash = p.in(b.key_hash);
    const auto bytes = p.in(b.bytes);
    const auto run = p.in(std::span<const horizon_run>{runs_});
    const auto missed = p.out(b.missed);
    const auto cell = p.scratch<std::uint32_t>(cells), key = p.scratch<std::uint32_t>(accesses);
    const auto node = p.scratch<std::uint64_t>(together * accesses);
    const auto ghosts = p.scratch<ghost_bucket>(together * buckets);
    send(lane);
    horizon_job job{lane.at(key_hash), lane.at(bytes), accesses, b.warm_up, lane.at(cell),
                    cells - 1,         lane.at(key),   nullptr,  0,         lane.at(node),
                    lane.at(ghosts),   buckets,        nullptr};
    compute(lane, [&] {
      lane.fill(job.cells, 0xff, cells * sizeof(std::uint32_t));
      kernels_.horizon_keys(job, lane.stream());
      for (std::size_t from = 0; from < settings; from += together) {
        job.run = lane.at(run) + from;
        job.runs = std::min(together, settings - from);
        job.missed = lane.at(missed) + from;
        lane.fill(job.node, 0, job.runs * accesses * sizeof(std::uint64_t));
        kernels_.horizon(job, lane.stream());
      }
    });
    finish(lane);
  });
}

outcome device_backend::run(const score_batch& b) noexcept {
  return guarded([&] {
    const auto features = b.shape.features, classes = b.shape.classes;
    if (classes == 0) return;
    in_parts(b.features.size() / features, (features + classes) * sizeof(float),
             [&](parcel& p, std::size_t from, std::size_t rows) {
               const auto weights = p.in(b.weights);
               const auto row = p.in(b.features.subspan(from * features, rows * features));
               const auto score = p.out(b.score.subspan(from * classes, rows * classes));
               return [=, this, &b](device_lane& lane) {
                 kernels_.score({b.shape, lane.at(weights), lane.at(row), rows, lane.at(score)},
                                lane.stream());
               };
             });
  });
}

outcome device_backend::run(const train_batch& b) noexcept {
  return guarded([&] {
    const auto rows = b.right.size(), weights = b.shape.weights();
    if (weights == 0) return;
    auto& lane = lanes_[0];
    auto& p = lane.open();
    const auto old = p.in(b.weights), features = p.in(b.features);
    const auto right = p.in(b.right);
    const auto trained = p.out(b.trained);
    const auto slope = p.scratch<float>(rows * b.shape.classes);
    const auto parts = p.scratch<double>(train_job::parts_of(rows) * weights);
    send(lane);
    compute(lane, [&] {
      kernels_.score({b.shape, lane.at(old), lane.at(features), rows, lane.at(slope)},
                     lane.stream());
      kernels_.train({b.shape, lane.at(old), lane.at(features), lane.at(right), rows,
                      lane.at(slope), lane.at(parts), b.step.rate, b.step.shrink, lane.at(trained)},
                     lane.stream());
    });
    finish(lane);
  });
}

outcome device_backend::run(const column_batch& b) noexcept {
  return guarded([&] {
    const auto n = b.value.size(), tiles = column_job::tiles(n);
    const auto named = std::min(b.top_at.size(), n);
    const bool sums = !b.sum.empty() || !b.mean.empty() || !b.dot.empty() || !b.passed.empty() ||
                      !b.passed_count.empty();
    const bool few = named <= team_lanes, indices = !b.passed.empty() && n > 0;
    double sum = 0, dot = 0;
    std::uint64_t passed_count = 0;

    auto& lane = lanes_[0];
    auto& p = lane.open();
    const auto value = p.in(b.value), other = p.in(b.other);
    const auto sum_out = p.out(std::span{&sum, 1}), dot_out = p.out(std::span{&dot, 1});
    const auto count_out = p.out(std::span{&passed_count, 1});
    const auto at = p.out(b.top_at.first(named));
    const auto at_value = p.out(b.top_value.first(named));
    const auto tile_sums = p.scratch<double>(tiles), tile_dots = p.scratch<double>(tiles);
    const auto here = p.scratch<std::uint32_t>(tiles), before = p.scratch<std::uint32_t>(tiles);
    const auto passed = p.scratch<std::uint32_t>(indices ? n : 0);
    const auto scan_room = indices ? kernels_.scan_room(tiles) : 0;
    const auto scan_scratch = p.scratch<std::byte>(scan_room);
    // The 32 greatest of each stripe, and of those; or all keys, and sorted.
    const auto kept = few ? top_job::stripes(n) * team_lanes : n;
    const auto keys = p.scratch<std::uint64_t>(named ? kept : 0);
    const auto kept_again = few ? top_job::stripes(kept) * team_lanes : n;
    const auto keys_again = p.scratch<std::uint64_t>(named ? kept_again : 0);
    const auto sort_room = few ? 0 : kernels_.sort_room(n);
    const auto sort_scratch = p.scratch<std::byte>(sort_room);
    send(lane);

    compute(lane, [&] {
      column_job job{lane.at(value),
                     b.dot.empty() ? nullptr : lane.at(other),
                     n,
                     b.low,
                     b.high,
                     lane.at(tile_sums),
                     lane.at(tile_dots),
                     lane.at(here),
                     lane.at(sum_out),
                     lane.at(dot_out),
                     lane.at(count_out),
                     lane.at(before),
                     lane.at(passed)};
      if (sums) kernels_.column(job, lane.stream());
      if (indices) {
        kernels_.scan(job.passed_here, lane.at(before), tiles, lane.at(scan_scratch), scan_room,
                      lane.stream());
        kernels_.compact(job, lane.stream());
      }
      if (named == 0) return;
      auto *to = lane.at(keys), *spare = lane.at(keys_again);
      top_job top{job.value, nullptr, n, to, to, nullptr, named, lane.at(at), lane.at(at_value)};
      if (few) {
        for (;;) {
          kernels_.top(top, lane.stream());
          top.sorted = top.greatest;
          if (top_job::stripes(top.count) == 1) break;
          top.count = top_job::stripes(top.count) * team_lanes;
          top.value = nullptr;
          top.keys = top.greatest;
          top.greatest = std::exchange(spare, top.greatest);
        }
        top.value = job.value;
      } else {
        kernels_.top_keys(top, lane.stream());
        kernels_.sort(to, spare, n, lane.at(sort_scratch), sort_room, lane.stream());
        top.sorted = spare;
      }
      kernels_.top_names(top, lane.stream());
    });
    finish(lane);
    if (indices)
      lane.download(b.passed.first(passed_count),
                    static_cast<const std::uint32_t*>(lane.at(passed)));
    lane.wait();

    if (!b.sum.empty()) b.sum[0] = sum;
    if (!b.mean.empty()) b.mean[0] = n == 0 ? 0 : sum / static_cast<double>(n);
    if (!b.dot.empty()) b.dot[0] = dot;
    if (!b.passed_count.empty()) b.passed_count[0] = passed_count;
    std::ranges::fill(b.top_at.subspan(named), column_batch::none_at);
    std::ranges::fill(b.top_value.subspan(named), 0.f);
  });
}

} // namespace warp::gpu
