#include "actors/horizon_search.hpp"

#include "gpu/judge_backend.hpp"
#include "physics/mixing.hpp"
#include "tests/actors/compute_fixture.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

using namespace warp;
using namespace warp::testing;
using actors::horizon_search;

namespace {

constexpr std::uint64_t capacity = 20'000;

/// Accesses of which few keys have many, the rest one by one.
struct trace {
  explicit trace(std::size_t n) {
    physics::mixed_sequence random{5};
    for (std::size_t i = 0; i < n; ++i) {
      const auto hot = random.unit() < 0.6;
      hashes.push_back(physics::mix(hot ? random.below(300) : 1'000 + random.below(20'000)));
      bytes.push_back(static_cast<std::uint32_t>(20 + random.below(100)));
    }
  }
  void show(horizon_search& to) const {
    for (std::size_t i = 0; i < hashes.size(); ++i) to.see(hashes[i], bytes[i]);
  }
  /// What the settings miss of accesses warm_up .. n, by the judge.
  std::vector<std::uint64_t> missed(const std::vector<physics::horizon_settings>& settings,
                                    std::size_t warm_up, std::size_t n) const {
    const auto skip = hashes.size() - std::min(hashes.size(), horizon_search::accesses_max);
    std::vector<std::uint64_t> out(settings.size());
    gpu::judge_backend judge;
    const gpu::horizon_batch b{.key_hash = std::span{hashes}.subspan(skip, n),
                               .bytes = std::span{bytes}.subspan(skip, n),
                               .settings = settings,
                               .capacity = capacity,
                               .warm_up = warm_up,
                               .missed = out};
    REQUIRE(gpu::valid(b));
    REQUIRE(judge.run(b) == gpu::outcome::done);
    return out;
  }

  std::vector<std::uint64_t> hashes;
  std::vector<std::uint32_t> bytes;
};

/// Lets a search come to its end: two jobs.
void finish(compute_fixture& f, horizon_search& search, double now_s) {
  for (int i = 0; i < 2; ++i) {
    f.pass(1);
    f.turn();
    search.turn(capacity, now_s);
  }
}

} // namespace

TEST_CASE("a search names what misses least, and is judged by accesses that had no say",
          "[actors][physics][gpu]") {
  const trace t{horizon_search::accesses_max + 1'234}; // the oldest ones are forgotten
  const auto third = horizon_search::accesses_max / 3;
  const auto tried = horizon_search::tried();
  const auto misses = t.missed(tried, third, 2 * third);
  const auto best =
      tried[static_cast<std::size_t>(std::ranges::min_element(misses) - misses.begin())];
  const auto proof = t.missed({tried[0], best}, 2 * third, horizon_search::accesses_max);
  const auto counted = horizon_search::accesses_max - 2 * third;
  for (const std::size_t devices : {0, 1}) {
    compute_fixture f{devices};
    horizon_search search{f.manager.get()};
    t.show(search);
    CHECK(search.turn(capacity, 0));
    finish(f, search, 0);
    const auto& r = search.report();
    CHECK(r.trouble.empty());
    REQUIRE(r.searches == 1);
    CHECK(r.settings == tried.size());
    CHECK(r.by_device == (devices == 1));
    CHECK(r.small_share == best.small_share);
    CHECK(r.ghost_share == best.ghost_share);
    CHECK(r.hits_to_stay == best.hits_to_stay);
    CHECK(r.accesses == counted);
    CHECK(r.miss_ratio == static_cast<double>(proof[1]) / static_cast<double>(counted));
    CHECK(r.miss_ratio_default == static_cast<double>(proof[0]) / static_cast<double>(counted));
  }
}

TEST_CASE("a search waits for new accesses and for its time", "[actors][physics][gpu]") {
  compute_fixture f;
  horizon_search search{f.manager.get()};
  const trace few{horizon_search::new_accesses_min - 1}, one{1};
  few.show(search);
  CHECK_FALSE(search.turn(capacity, 0));
  one.show(search);
  CHECK(search.turn(capacity, 0));
  CHECK_FALSE(search.turn(capacity, 0)); // under way
  finish(f, search, 0);
  REQUIRE(search.report().searches == 1);
  few.show(search);
  one.show(search);
  CHECK_FALSE(search.turn(capacity, horizon_search::every_s - 1));
  CHECK(search.turn(capacity, horizon_search::every_s));
  search.forget(); // what is under way has its own
  finish(f, search, horizon_search::every_s);
  CHECK(search.report().searches == 2);
  CHECK_FALSE(search.turn(capacity, 2 * horizon_search::every_s));
}

TEST_CASE("a search that is refused leaves the last result and tries again when it is due",
          "[actors][physics][gpu]") {
  compute_fixture f{0, {.queue_max = 1}};
  horizon_search search{f.manager.get()};
  const trace t{horizon_search::new_accesses_min};
  auto other = f.manager->submit(job_of(gpu::operation::heat));
  t.show(search);
  search.turn(capacity, 0);
  CHECK(search.turn(capacity, 0));
  CHECK(search.report().trouble.find("overloaded") == 0);
  CHECK(search.report().searches == 0);
  f.turn();
  t.show(search);
  search.turn(capacity, horizon_search::every_s);
  finish(f, search, horizon_search::every_s);
  CHECK(search.report().searches == 1);
  CHECK(search.report().trouble.empty());
  horizon_search idle{nullptr};
  t.show(idle);
  CHECK_FALSE(idle.turn(capacity, 0));
}
