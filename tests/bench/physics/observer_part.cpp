// The observer: what it costs an access to be watched, and what it costs to learn from samples.

#include "physics/mixing.hpp"
#include "physics/observer.hpp"
#include "physics/physics_state.hpp"
#include "tests/bench/physics/part.hpp"
#include "tests/bench/process_usage.hpp"
#include "tests/bench/zipf.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace warp::bench::physics {

namespace {

using namespace warp::physics;

constexpr std::size_t keys = 1 << 16;
constexpr std::uint64_t accesses_per_s = 5'000'000;

struct stream {
  std::vector<std::string> names;
  std::vector<std::uint64_t> hashes;
  std::vector<std::uint32_t> accesses;

  explicit stream(std::size_t length) {
    for (std::size_t k = 0; k < keys; ++k) {
      names.push_back(fmt::format("user:{:011}", k));
      hashes.push_back(key_id(names.back()));
    }
    fast_random random{1};
    const zipf popular{keys, 0.8};
    for (std::size_t i = 0; i < length; ++i)
      accesses.push_back(static_cast<std::uint32_t>(popular(random)));
  }
};

struct way {
  const char* name;
  std::size_t request; ///< accesses in one; 0: a connection
  std::uint32_t budget;
};

struct cost {
  double ns_an_access = 0;
  std::size_t samples = 0;
};

/// What a table does with an access at least, its hash is looked at; with an observer as well where
/// there is one, and a state that learns from it every 10 ms. 5 M accesses a second, of a clock of
/// its own.
template <bool Watched>
cost access_all(const stream& s, const way& how, bool learning) {
  observer watching{{.samples_per_s_max = how.budget, .capacity = 1 << 13}};
  physics_state state;
  std::vector<access_sample> batch;
  cost out;
  std::uint64_t sum = 0, now_ms = 0;
  std::size_t in_request = 0, in_ms = 0;
  const double begin = process_usage::of_thread().cpu_seconds;
  for (const auto k : s.accesses) {
    if (++in_ms == accesses_per_s / 1000) {
      in_ms = 0;
      ++now_ms;
      if (Watched && now_ms % 10 == 0) {
        batch.clear();
        const auto done = watching.drain([&](std::span<const access_sample> piece) {
          if (learning) batch.insert(batch.end(), piece.begin(), piece.end());
        });
        out.samples += done.samples;
        if (learning) state.learn(batch, done.accesses);
      }
    }
    if (how.request > 0 && in_request-- == 0) {
      if (Watched) watching.begin_request(how.request, now_ms);
      in_request = how.request - 1;
    }
    sum += s.hashes[k] ^ s.names[k].size();
    asm volatile("" : "+r"(sum));
    if (!Watched) continue;
    if (how.request > 0) {
      if (watching.wants(s.hashes[k]))
        watching.take(s.hashes[k], s.names[k], static_cast<std::uint32_t>(s.hashes[k] >> 58), 100,
                      access_kind::read, now_ms);
    } else {
      watching.observe(s.hashes[k], s.names[k], static_cast<std::uint32_t>(s.hashes[k] >> 58), 100,
                       access_kind::read, now_ms);
    }
  }
  out.ns_an_access = (process_usage::of_thread().cpu_seconds - begin) * 1e9 /
                     static_cast<double>(s.accesses.size());
  return out;
}

void run(report& out, const part_options&) {
  out.begin("the observer: what it costs to be watched", 60);
  out.section("observer, 64 k keys of 16 B, 5 M accesses a second");
  if (!out.wanted_section()) return;
  const stream s{out.quick() ? std::size_t{1'000'000} : std::size_t{20'000'000}};
  const int repeats = out.quick() ? 1 : 5;
  const auto budget = observer_options{}.samples_per_s_max;
  for (const auto& how :
       {way{"a connection's accesses", 0, budget}, way{"requests of 16 accesses", 16, budget},
        way{"requests of 256 accesses", 256, budget},
        way{"a connection's accesses, no budget", 0, 1'000'000'000}}) {
    std::vector<double> taking, learning, both;
    std::size_t samples = 0;
    for (int r = 0; r < repeats; ++r) {
      const double bare = access_all<false>(s, how, false).ns_an_access;
      const double watched = access_all<true>(s, how, false).ns_an_access;
      const auto taught = access_all<true>(s, how, true);
      samples = taught.samples;
      taking.push_back(watched - bare);
      both.push_back(taught.ns_an_access - bare);
      learning.push_back((taught.ns_an_access - watched) * static_cast<double>(s.accesses.size()) /
                         static_cast<double>(std::max<std::size_t>(samples, 1)));
    }
    out.note(
        fmt::format("{}: {:.2f} % of the accesses are sampled", how.name,
                    100.0 * static_cast<double>(samples) / static_cast<double>(s.accesses.size())));
    const double bar = how.budget == budget ? 4 : 0; // 2 % of a get of 200 ns
    out.add({.name = "to be watched",
             .unit = "ns CPU an access",
             .runs = taking,
             .bar = bar,
             .at_most = true});
    out.add({.name = "to be watched and learned from",
             .unit = "ns CPU an access",
             .runs = both,
             .bar = bar,
             .at_most = true});
    out.add({.name = "to learn from a sample", .unit = "ns CPU", .runs = learning});
  }
}

} // namespace

const part observer_part{"observer", "what it costs an access to be watched and learned from", run};

} // namespace warp::bench::physics
