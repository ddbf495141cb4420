#include "gpu/cpu_backend.hpp"

#include "gpu/answer_check.hpp"
#include "gpu/judge_backend.hpp"
#include "tests/gpu/random_batch.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

using namespace warp::gpu;
using Catch::Approx;
using warp::physics::mixed_sequence;

namespace {

constexpr std::array sizes{0u,  1u,  2u,  3u,  5u,  7u,   8u,   13u,
                           16u, 17u, 31u, 61u, 64u, 127u, 257u, 1009u};
constexpr std::array levels{cpu_level::one_lane, cpu_level::portable, cpu_level::avx2,
                            cpu_level::avx512};

/// Every level, with one thread and several.
std::vector<std::unique_ptr<cpu_backend>> all_backends() {
  std::vector<std::unique_ptr<cpu_backend>> out;
  for (const auto level : levels)
    for (const unsigned threads : {1u, 3u})
      out.push_back(std::make_unique<cpu_backend>(cpu_options{threads, level}));
  return out;
}

void judge_all(operation kind, int rounds) {
  judge_backend judge;
  const auto backends = all_backends();
  mixed_sequence random{Catch::getSeed() + static_cast<std::uint64_t>(kind)};
  for (int round = 0; round < rounds; ++round)
    for (const auto size : sizes) {
      const random_batch original{kind, size, random};
      std::visit(
          [&](const auto& b) {
            CAPTURE(to_string(kind), round, size);
            REQUIRE(valid(b));
            REQUIRE(judge.run(b) == outcome::done);
            for (const auto& backend : backends) {
              const poisoned own{b};
              REQUIRE(backend->run(own.batch) == outcome::done);
              const auto difference = differs(b, own.batch);
              INFO(backend->name() << ": " << difference.value_or("the same"));
              REQUIRE(!difference);
            }
          },
          original.batch());
    }
}

std::string bits_of(const any_batch& batch) {
  std::string bits;
  auto copy = batch;
  std::visit(
      [&](auto& b) {
        for_each_output(b, [&](auto& out) {
          bits.append(reinterpret_cast<const char*>(out.data()), out.size_bytes());
        });
      },
      copy);
  return bits;
}

} // namespace

TEST_CASE("gravity is what the formula says, at every width and size", "[gpu][gravity]") {
  judge_all(operation::gravity, 6);
}
TEST_CASE("entropy is what the formula says, at every width and size", "[gpu][entropy]") {
  judge_all(operation::entropy, 6);
}
TEST_CASE("walks are what the formula says, at every width and size", "[gpu][walk]") {
  judge_all(operation::walk, 1);
}
TEST_CASE("evolution is what the formula says, for denormal and huge phases", "[gpu][evolution]") {
  judge_all(operation::evolution, 6);
}
TEST_CASE("heat is what the formula says and is kept, at every width and size", "[gpu][heat]") {
  judge_all(operation::heat, 3);
}
TEST_CASE("a cache policy fit counts the misses of the horizon itself", "[gpu][horizon]") {
  judge_all(operation::horizon, 2);
}
TEST_CASE("scores are what the model says, at every width and size", "[gpu][placement]") {
  judge_all(operation::score, 4);
}
TEST_CASE("a training step is what the model says, at every width and size", "[gpu][placement]") {
  judge_all(operation::train, 2);
}
TEST_CASE("column aggregates are exact in places and counts, at every width and size",
          "[gpu][column]") {
  judge_all(operation::column, 6);
}

TEST_CASE("the number of threads changes no bit of an answer", "[gpu]") {
  mixed_sequence random{Catch::getSeed()};
  cpu_backend one{{.threads = 1}}, four{{.threads = 4}};
  for (std::size_t k = 0; k < operations; ++k) {
    const auto kind = static_cast<operation>(k);
    CAPTURE(to_string(kind));
    // Large enough to be cut into several parts.
    const sample_batch sample{kind, kind == operation::walk ? 40'000'000u : 500'000u, random()};
    const auto answer = [&](backend& on) {
      REQUIRE(std::visit([&](const auto& b) { return on.run(b); }, sample.batch()) ==
              outcome::done);
      return bits_of(sample.batch());
    };
    const auto alone = answer(one);
    REQUIRE(answer(four) == alone);
  }
}

TEST_CASE("of places that pull alike the first is named", "[gpu][gravity]") {
  for (const auto& backend : all_backends()) {
    const std::vector<float> ones(40, 1), zeros(40, 0);
    std::vector<std::uint32_t> place(3);
    std::vector<float> score(3);
    gravity_batch b;
    b.mass = std::span{ones}.first(1);
    b.weight_of_all = std::span{zeros}.first(1);
    b.weight_to_place = zeros;
    b.capacity = ones;
    b.load = zeros;
    b.top = 1;
    b.place = std::span{place}.first(1);
    b.score = std::span{score}.first(1);
    REQUIRE(backend->run(b) == outcome::done);
    CHECK(place[0] == 0);
    b.top = 3;
    b.place = place;
    b.score = score;
    REQUIRE(backend->run(b) == outcome::done);
    CHECK(place == std::vector<std::uint32_t>{0, 1, 2});
  }
}

TEST_CASE("without places no place is named, and without groups nothing is", "[gpu][gravity]") {
  for (const auto& backend : all_backends()) {
    const std::vector<float> mass{5};
    std::vector<std::uint32_t> place{1};
    std::vector<float> score{1};
    gravity_batch b;
    b.mass = mass;
    b.weight_of_all = mass;
    b.place = place;
    b.score = score;
    REQUIRE(valid(b));
    REQUIRE(backend->run(b) == outcome::done);
    CHECK(place[0] == warp::physics::no_place);
    CHECK(score[0] == 0);
  }
}

TEST_CASE("an even load has full entropy, a lone one none, and nothing is even", "[gpu][entropy]") {
  for (const auto& backend : all_backends()) {
    // 64 alike; one of four; one place; none; four without load.
    const std::vector<std::uint64_t> first{0, 64, 68, 69, 69, 73};
    std::vector<float> load(73, 3), capacity(73, 1);
    load[65] = load[66] = load[67] = 0;
    for (int i = 69; i < 73; ++i) load[static_cast<std::size_t>(i)] = 0;
    std::vector<double> bits(5, -1), even(5, -1), apart(5, -1);
    entropy_batch b{first, load, capacity, bits, even, apart};
    REQUIRE(backend->run(b) == outcome::done);
    CHECK(bits[0] == Approx(6).margin(1e-5));
    CHECK(even[0] == Approx(1).margin(1e-6));
    CHECK(apart[0] == Approx(0).margin(1e-5));
    CHECK(bits[1] == Approx(0).margin(1e-5));
    CHECK(apart[1] == Approx(2).margin(1e-5));
    CHECK((bits[2] == 0 && even[2] == 1 && apart[2] == Approx(0).margin(1e-6)));
    CHECK((bits[3] == 0 && even[3] == 1 && apart[3] == 0));
    CHECK((bits[4] == 2 && even[4] == 1 && apart[4] == 0));
  }
}

TEST_CASE("a walk between two nodes swings like a pendulum", "[gpu][walk]") {
  for (const auto& backend : all_backends())
    for (const std::size_t sources : {1u, 2u, 7u, 16u, 19u}) {
      const std::vector<std::uint64_t> first{0, 1, 2};
      const std::vector<std::uint32_t> to{1, 0}, source(sources, 1);
      const std::vector<float> weight{5, 5};
      std::vector<float> p(2 * sources, -1);
      for (double t = 0; t < 60; t += 7.3) {
        walk_batch b{{first, to, weight}, source, t, p};
        REQUIRE(backend->run(b) == outcome::done);
        for (std::size_t s = 0; s < sources; ++s) {
          CHECK(p[2 * s] == Approx(std::sin(t) * std::sin(t)).margin(1e-5));
          CHECK(p[2 * s + 1] == Approx(std::cos(t) * std::cos(t)).margin(1e-5));
        }
      }
    }
}

TEST_CASE("a phase of any size is turned to the right angle, up to 1e77 radians",
          "[gpu][evolution]") {
  // Energy x time is exact in float64; its cosine and sine were computed with 400 digits of pi.
  struct known {
    float energy, dt_s;
    double cosine, sine;
  };
  const known cases[] = {
      {0x1.0f0cf00p+73f, 0x1.0000000p+0f, 0.67906133709505101, -0.73408153529610154},
      {0x1.ff933c0p+127f, 0x1.ff933c0p+127f, 0.39355583051082266, 0.91930071699685767},
      {-0x1.ff933c0p+126f, 0x1.f8def80p+100f, 0.50902624610607261, -0.86075099812614797},
      {0x1.e848000p+19f, 0x1.fae1480p-1f, -0.79084305931863863, 0.61201899931908665},
      {0x1.e848000p+19f, 0x1.028f5c0p+0f, -0.99840332323697234, 0.056487203412540224},
      {0x1.81cd6c0p+13f, 0x1.c9c3800p+24f, -0.63729805764718495, 0.77061740553865332},
      {-0x1.fffffe0p+23f, 0x1.fffffa0p+23f, 0.91204583072544887, -0.41008828641687139},
      {0x1.16c2000p-133f, 0x1.16c2000p-133f, 1, 0},
      {0x1.921fb60p+0f, 0x1.0000000p+0f, -4.3711390001862412e-08, 0.999999999999999},
      {0x1.921fb60p+1f, 0x1.3880000p+13f, 0.99999961786290115, 0.00087422768867895402},
      {-0x1.921fb60p-1f, 0x1.0000000p+0f, 0.70710676573223719, -0.70710679664085752},
      {0x1.2d97c80p+1f, 0x1.0000000p+0f, -0.70710678540262939, 0.70710677697046564},
  };
  for (const auto& backend : all_backends())
    for (const auto& k : cases)
      for (const std::size_t n : {1u, 37u}) {
        const std::vector<float> amplitude(n, 1), phase(n, 0), energy(n, k.energy);
        std::vector<float> re(n, 9), im(n, 9), lower(n, 9);
        evolution_batch b{amplitude, phase, energy, k.dt_s, re, im, lower};
        REQUIRE(backend->run(b) == outcome::done);
        for (std::size_t i = 0; i < n; ++i) {
          CHECK(re[i] == Approx(k.cosine).margin(2e-7));
          CHECK(im[i] == Approx(-k.sine).margin(2e-7));
          CHECK(lower[i] == 0);
        }
      }
}

TEST_CASE("heat flows from warm to cold, no node overshoots, and a lone one keeps its own",
          "[gpu][heat]") {
  for (const auto& backend : all_backends()) {
    const std::vector<std::uint64_t> first{0, 1, 2, 2};
    const std::vector<std::uint32_t> to{1, 0};
    const std::vector<float> weight{1000, 1000}, before{8, 0, 5};
    std::vector<float> after(3, -1);
    heat_batch b{
        {first, to, weight}, before, {.conductivity = 1, .decay_per_s = 0, .dt_s = 1}, after};
    REQUIRE(backend->run(b) == outcome::done);
    CHECK(after[0] == Approx(4));
    CHECK(after[1] == Approx(4));
    CHECK(after[2] == 5);
    b.settings = {.conductivity = 0, .decay_per_s = std::log(2.0), .dt_s = 3};
    REQUIRE(backend->run(b) == outcome::done);
    CHECK(after[2] == Approx(0.625));
    b.settings = {.conductivity = 1e9, .decay_per_s = 0, .dt_s = 1e9};
    CHECK_FALSE(valid(b));
  }
}

TEST_CASE("batches whose sizes or indices do not fit are told apart", "[gpu]") {
  const std::vector<float> two(2, 1), three(3, 1);
  std::vector<float> out(4);
  std::vector<std::uint32_t> places(4);
  gravity_batch g;
  g.mass = g.weight_of_all = two;
  g.capacity = g.load = two;
  g.weight_to_place = three; // not 2 x 2
  g.place = std::span{places}.first(2);
  g.score = std::span{out}.first(2);
  CHECK_FALSE(valid(g));
  g.weight_to_place = out;
  CHECK(valid(g));
  g.softening = 0;
  CHECK_FALSE(valid(g));

  const std::vector<std::uint64_t> falls{0, 3, 2}, rises{0, 1, 2}, beyond{0, 1, 9};
  const std::vector<std::uint32_t> to{1, 0}, outside{1, 2};
  CHECK(valid(heat_batch{{rises, to, two}, two, {}, std::span{out}.first(2)}));
  CHECK_FALSE(valid(heat_batch{{falls, to, two}, two, {}, std::span{out}.first(2)}));
  CHECK_FALSE(valid(heat_batch{{beyond, to, two}, two, {}, std::span{out}.first(2)}));
  CHECK_FALSE(valid(heat_batch{{rises, outside, two}, two, {}, std::span{out}.first(2)}));
  CHECK_FALSE(valid(walk_batch{{rises, to, two}, outside, 1, out}));
  CHECK_FALSE(valid(walk_batch{{rises, to, two}, to, -1, out}));

  train_batch t;
  t.shape = {.features = 1, .classes = 1};
  t.weights = two;
  t.trained = std::span{out}.first(2);
  t.features = std::span{two}.first(1);
  t.right = std::span{places}.first(1);
  CHECK(valid(t));
  places[0] = 1; // there is no class 1
  CHECK_FALSE(valid(t));
}

TEST_CASE("a level that the processor lacks is the best one below it", "[gpu]") {
  for (const auto level : levels) {
    const auto& inner = kernels_for(level);
    CHECK(&inner == &kernels_for(std::min(level, best_level())));
  }
  CHECK(kernels_for(cpu_level::one_lane).sources == 1);
  CHECK(kernels_for(cpu_level::portable).sources == 4);
}
