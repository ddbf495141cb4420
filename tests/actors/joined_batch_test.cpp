#include "actors/joined_batch.hpp"

#include "gpu/answer_check.hpp"
#include "gpu/judge_backend.hpp"
#include "gpu/sample_batch.hpp"

#include <catch2/catch_test_macros.hpp>

#include <variant>
#include <vector>

using namespace warp::gpu;
using warp::actors::bytes_of;
using warp::actors::can_join;
using warp::actors::joined_batch;

namespace {

/// Rows from .. to of a batch, as a batch of their own whose outputs lie in the whole's.
gravity_batch rows(const gravity_batch& b, std::size_t from, std::size_t n) {
  const auto places = b.capacity.size();
  auto out = b;
  out.mass = b.mass.subspan(from, n);
  out.weight_of_all = b.weight_of_all.subspan(from, n);
  out.weight_to_place = b.weight_to_place.subspan(from * places, n * places);
  out.place = b.place.subspan(from * b.top, n * b.top);
  out.score = b.score.subspan(from * b.top, n * b.top);
  return out;
}
walk_batch rows(const walk_batch& b, std::size_t from, std::size_t n) {
  auto out = b;
  out.source = b.source.subspan(from, n);
  out.probability = b.probability.subspan(from * b.graph.nodes(), n * b.graph.nodes());
  return out;
}
evolution_batch rows(const evolution_batch& b, std::size_t from, std::size_t n) {
  auto out = b;
  out.amplitude = b.amplitude.subspan(from, n);
  out.phase = b.phase.subspan(from, n);
  out.energy = b.energy.subspan(from, n);
  out.upper_re = b.upper_re.subspan(from, n);
  out.upper_im = b.upper_im.subspan(from, n);
  out.lower = b.lower.subspan(from, n);
  return out;
}
score_batch rows(const score_batch& b, std::size_t from, std::size_t n) {
  auto out = b;
  out.features = b.features.subspan(from * b.shape.features, n * b.shape.features);
  out.score = b.score.subspan(from * b.shape.classes, n * b.shape.classes);
  return out;
}

std::size_t rows_of(const gravity_batch& b) {
  return b.mass.size();
}
std::size_t rows_of(const walk_batch& b) {
  return b.source.size();
}
std::size_t rows_of(const evolution_batch& b) {
  return b.amplitude.size();
}
std::size_t rows_of(const score_batch& b) {
  return b.features.size() / b.shape.features;
}

/// Parts of no, one and more rows are joined: the same answer as the judge's to the whole.
template <class Batch>
void check_joined(operation kind) {
  const sample_batch sample{kind, 20'000, 7};
  const auto& whole = std::get<Batch>(sample.batch());
  const auto n = rows_of(whole);
  REQUIRE(n >= 4);
  std::vector<Batch> parts{rows(whole, 0, 0), rows(whole, 0, 1), rows(whole, 1, n / 2),
                           rows(whole, 1 + n / 2, n - 1 - n / 2)};
  for (const auto& p : parts) REQUIRE(can_join(parts.front(), p));
  judge_backend judge;
  joined_batch<Batch> joined{parts};
  REQUIRE(valid(joined.batch()));
  REQUIRE(judge.run(joined.batch()) == outcome::done);
  joined.hand_out();
  const sample_batch again{kind, 20'000, 7};
  REQUIRE(judge.run(std::get<Batch>(again.batch())) == outcome::done);
  const auto difference = differs(whole, std::get<Batch>(again.batch()));
  INFO(difference.value_or("the same"));
  CHECK(!difference);
}

} // namespace

TEST_CASE("batches with common tables are computed as one, each with its own answer",
          "[actors][gpu]") {
  check_joined<gravity_batch>(operation::gravity);
  check_joined<walk_batch>(operation::walk);
  check_joined<evolution_batch>(operation::evolution);
  check_joined<score_batch>(operation::score);
}

TEST_CASE("histograms of several entropy batches stand behind each other", "[actors][gpu]") {
  const std::vector<std::uint64_t> first{0, 3, 3, 5}, other{0, 2}, none{};
  const std::vector<float> load{1, 2, 3, 4, 4}, more{1, 0}, capacity(5, 1.0f);
  std::vector<double> out(3 * 4, -1);
  const auto at = [&](std::size_t from, std::size_t n) { return std::span{out}.subspan(from, n); };
  const auto whole_capacity = std::span{capacity};
  const std::vector<entropy_batch> parts{
      {first, load, capacity, at(0, 3), at(4, 3), at(8, 3)},
      {none, {}, {}, {}, {}, {}},
      {other, more, whole_capacity.first(2), at(3, 1), at(7, 1), at(11, 1)}};
  joined_batch<entropy_batch> joined{parts};
  REQUIRE(joined.batch().segments() == 4);
  judge_backend judge;
  REQUIRE(valid(joined.batch()));
  REQUIRE(judge.run(joined.batch()) == outcome::done);
  joined.hand_out();
  CHECK(out[2] == 1); // two equal buckets
  CHECK(out[3] == 0); // all on one
  CHECK(out[6] == 1);
  std::vector<double> alone(3);
  REQUIRE(judge.run(entropy_batch{first, load, capacity, at(0, 3), alone, at(8, 3)}) ==
          outcome::done);
  CHECK(out[4] == alone[0]);
}

TEST_CASE("batches with other tables or other questions are not joined", "[actors][gpu]") {
  const sample_batch a{operation::gravity, 1'000, 1}, b{operation::gravity, 1'000, 1};
  const auto &one = std::get<gravity_batch>(a.batch()), &two = std::get<gravity_batch>(b.batch());
  CHECK(can_join(one, one));
  CHECK_FALSE(can_join(one, two));
  auto softer = one;
  softer.softening *= 2;
  CHECK_FALSE(can_join(one, softer));
  const evolution_batch now{.dt_s = 1}, later{.dt_s = 2};
  CHECK_FALSE(can_join(now, later));
  const column_batch column{};
  CHECK_FALSE(can_join(column, column));
  CHECK(bytes_of(one) >= one.weight_to_place.size_bytes() + one.place.size_bytes());
}
