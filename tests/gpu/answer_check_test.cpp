#include "gpu/answer_check.hpp"

#include "gpu/judge_backend.hpp"
#include "tests/gpu/random_batch.hpp"

#include <catch2/catch_test_macros.hpp>

#include <limits>
#include <type_traits>

using namespace warp::gpu;
using warp::physics::mixed_sequence;

TEST_CASE("an answer with one wrong number is told from the right one, whichever number it is",
          "[gpu][check]") {
  judge_backend judge;
  mixed_sequence random{17};
  for (std::size_t k = 0; k < operations; ++k)
    for (const bool not_a_number : {false, true}) {
      const sample_batch sample{static_cast<operation>(k), 3000, random()};
      std::visit(
          [&](const auto& b) {
            CAPTURE(to_string(kind_of(b)), not_a_number);
            REQUIRE(judge.run(b) == outcome::done);
            poisoned same{b};
            REQUIRE(judge.run(same.batch) == outcome::done);
            REQUIRE(!differs(b, same.batch));
            for_each_output(same.batch, [&](auto& out) {
              using value = typename std::remove_reference_t<decltype(out)>::value_type;
              // What lies behind the indices that passed means nothing.
              const auto meant = [&] {
                if constexpr (std::is_same_v<std::decay_t<decltype(b)>, column_batch>)
                  if (static_cast<const void*>(out.data()) == same.batch.passed.data())
                    return static_cast<std::size_t>(same.batch.passed_count[0]);
                return out.size();
              }();
              for (int i = 0; i < (meant > 0 ? 20 : 0); ++i) {
                auto& x = out[random.below(meant)];
                const auto right = x;
                if constexpr (std::is_floating_point_v<value>)
                  x = not_a_number ? std::numeric_limits<value>::quiet_NaN()
                                   : right * 1.01f + 0.01f;
                else
                  x = right + 1;
                REQUIRE(differs(b, same.batch));
                x = right;
              }
            });
          },
          sample.batch());
    }
}

TEST_CASE("another place is as good an answer only if it pulls as hard", "[gpu][check]") {
  const std::vector<float> mass{2}, all{3}, to_place{1, 1, 2}, capacity{1, 1, 1}, load{0, 0, 0};
  std::vector<std::uint32_t> place{2};
  std::vector<float> score(1);
  gravity_batch b;
  b.mass = mass;
  b.weight_of_all = all;
  b.weight_to_place = to_place;
  b.capacity = capacity;
  b.load = load;
  b.place = place;
  b.score = score;
  judge_backend judge;
  REQUIRE(judge.run(b) == outcome::done);
  CHECK(place[0] == 2);
  poisoned other{b};
  other.batch.score[0] = score[0];
  other.batch.place[0] = 1;
  CHECK(differs(b, other.batch));
  const std::vector<float> alike{1, 2, 2};
  b.weight_to_place = other.batch.weight_to_place = alike;
  place[0] = 1;
  other.batch.place[0] = 2;
  CHECK(!differs(b, other.batch));
}
