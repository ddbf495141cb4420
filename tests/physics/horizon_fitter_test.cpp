#include "physics/horizon_fitter.hpp"

#include "physics/mixing.hpp"

#include <catch2/catch_test_macros.hpp>

#include <random>
#include <vector>

using namespace warp::physics;

namespace {

/// Every key twice, the second time after `gap` others, and never again: only a small queue that is
/// longer than the gap has hits.
std::vector<std::uint64_t> returning_after(std::size_t gap, std::size_t keys) {
  std::vector<std::uint64_t> out;
  for (std::size_t i = 0; i < keys; ++i) {
    out.push_back(mix(i));
    if (i >= gap) out.push_back(mix(i - gap));
  }
  return out;
}

} // namespace

TEST_CASE("a fitter watches one key in a hundred, always the same", "[physics][horizon]") {
  horizon_fitter fitter{100'000};
  int watched = 0;
  for (std::uint64_t key = 0; key < 1'000'000; ++key) watched += fitter.is_watched(mix(key));
  CHECK(watched > 9'500);
  CHECK(watched < 10'500);
  fit_options other;
  other.seed = 1;
  const horizon_fitter another{100'000, {}, other};
  int both = 0;
  for (std::uint64_t key = 0; key < 1'000'000; ++key)
    both += fitter.is_watched(mix(key)) && another.is_watched(mix(key));
  CHECK(both < 300);
}

TEST_CASE("a fitter finds that a longer small queue has the hits", "[physics][horizon]") {
  fit_options options;
  options.one_in = 10;
  // 2,000 places; 400 keys come between the two uses: beyond 10 % of the places, within 30 %.
  horizon_settings start;
  start.ghost_share = 0; // or the ghosts would have them
  options.tried = {{0.03, 0}, {0.3, 0}};
  horizon_fitter fitter{2'000, start, options};
  bool changed = false;
  for (const auto key : returning_after(400, 200'000)) changed |= fitter.observe(key, 1);
  CHECK(changed);
  CHECK(fitter.settings().small_share == 0.3);
  CHECK(fitter.seen().applied == 1);
}

TEST_CASE("a stream that shows no difference changes nothing", "[physics][horizon]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  mixed_sequence random{seed};
  horizon_fitter fitter{5'000};
  for (int i = 0; i < 2'000'000; ++i) REQUIRE_FALSE(fitter.observe(random(), 1)); // never a hit
  CHECK(fitter.seen().watched > 10'000);
  CHECK(fitter.settings() == horizon_settings{});
}

TEST_CASE("a sample that is too small decides nothing", "[physics][horizon]") {
  fit_options options;
  options.one_in = 10;
  horizon_settings start;
  start.ghost_share = 0;
  options.tried = {{0.3, 0}};
  options.least_residents = 201; // a tenth of 2,000, and one
  horizon_fitter fitter{2'000, start, options};
  for (const auto key : returning_after(400, 200'000)) REQUIRE_FALSE(fitter.observe(key, 1));
}

TEST_CASE("a fit depends on nothing that comes after it", "[physics][horizon]") {
  // Two streams that part after a while: up to there, whatever is decided is the same.
  fit_options options;
  options.one_in = 10;
  horizon_settings start;
  start.ghost_share = 0;
  options.tried = {{0.03, 0}, {0.3, 0}};
  horizon_fitter one{2'000, start, options}, other{2'000, start, options};
  const auto stream = returning_after(400, 100'000);
  mixed_sequence random{9};
  std::vector<std::size_t> changes, other_changes;
  for (std::size_t i = 0; i < stream.size(); ++i)
    if (one.observe(stream[i], 1)) changes.push_back(i);
  REQUIRE_FALSE(changes.empty());
  const auto parting = changes.front() + 1;
  for (std::size_t i = 0; i < stream.size(); ++i)
    if (other.observe(i < parting ? stream[i] : random(), 1)) other_changes.push_back(i);
  REQUIRE_FALSE(other_changes.empty());
  CHECK(other_changes.front() == changes.front());
}

TEST_CASE("miniatures hold one in a hundred of what the whole holds", "[physics][horizon]") {
  mixed_sequence random{4};
  horizon_fitter fitter{50'000};
  for (int i = 0; i < 2'000'000; ++i) fitter.observe(mix(random.below(300'000)), 1);
  const auto settings = 1 + fit_options{}.tried.size();
  CHECK(fitter.residents() <= settings * 500);
  CHECK(fitter.residents() > settings * 400);
}

TEST_CASE("a fitter follows the capacity", "[physics][horizon]") {
  mixed_sequence random{4};
  horizon_fitter fitter{50'000};
  for (int i = 0; i < 1'000'000; ++i) fitter.observe(mix(random.below(300'000)), 1);
  fitter.set_capacity(10'000);
  CHECK(fitter.residents() <= (1 + fit_options{}.tried.size()) * 100);
}
