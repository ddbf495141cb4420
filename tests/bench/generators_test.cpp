#include "tests/bench/workload.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <vector>

using namespace warp::bench;

namespace {

std::string printed(std::uint32_t number) {
  std::string text = "key:0000";
  for (int shift = 28; shift >= 0; shift -= 4)
    text += static_cast<char>('a' + (number >> shift & 15));
  return text;
}

} // namespace

TEST_CASE("a key text is the printed number", "[bench][generators]") {
  CHECK(key_text{0}.view() == "key:0000aaaaaaaa");
  CHECK(key_text{0xffff'ffff}.view() == "key:0000pppppppp");
  CHECK(key_text{0x0123'89ab}.view() == "key:0000abcdijkl");
  fast_random random{7};
  for (int i = 0; i < 200'000; ++i) {
    const auto n = static_cast<std::uint32_t>(random());
    REQUIRE(std::string{key_text{n}.view()} == printed(n));
  }
}

TEST_CASE("key texts of different numbers differ", "[bench][generators]") {
  std::set<std::string> all;
  for (std::uint64_t i = 0; i < 30'000; ++i) all.emplace(key_text{i}.view());
  REQUIRE(all.size() == 30'000);
}

TEST_CASE("scattering is a permutation", "[bench][generators]") {
  for (const std::uint64_t n : {1u, 2u, 3u, 10u, 64u, 1'000u, 99'991u, 1'000'000u}) {
    const scatter place{n};
    std::vector<bool> met(n);
    for (std::uint64_t i = 0; i < n; ++i) {
      const auto at = place(i);
      REQUIRE(at < n);
      REQUIRE_FALSE(met[at]);
      met[at] = true;
    }
  }
}

TEST_CASE("zipf ranks come as often as their law says", "[bench][generators]") {
  constexpr std::uint64_t n = 10'000, draws = 2'000'000;
  for (const double theta : {0.0, 0.3048, 0.99, 1.0, 1.2323, 2.0994}) {
    CAPTURE(theta);
    double sum = 0;
    for (std::uint64_t r = 1; r <= n; ++r) sum += std::pow(static_cast<double>(r), -theta);
    const zipf ranks{n, theta};
    fast_random random{3};
    std::vector<std::uint64_t> count(n);
    for (std::uint64_t i = 0; i < draws; ++i) {
      ++count.at(ranks(random));
    }
    // Groups of ranks, each against its expected share; five standard deviations of a binomial.
    for (std::uint64_t begin = 0, length = 1; begin < n; begin += length, length *= 2) {
      const auto end = std::min(n, begin + length);
      double share = 0;
      for (auto r = begin; r < end; ++r)
        share += std::pow(static_cast<double>(r + 1), -theta) / sum;
      const auto seen = static_cast<double>(
          std::accumulate(count.begin() + static_cast<std::ptrdiff_t>(begin),
                          count.begin() + static_cast<std::ptrdiff_t>(end), std::uint64_t{0}));
      const auto expected = share * static_cast<double>(draws);
      CAPTURE(begin, end, expected, seen);
      REQUIRE(std::abs(seen - expected) <= 5 * std::sqrt(expected * (1 - share)) + 1);
    }
  }
}

TEST_CASE("a uniform key stream reaches every key about equally often", "[bench][generators]") {
  constexpr std::uint64_t keys = 1'000;
  key_stream stream{keys, 5};
  std::vector<int> count(keys);
  for (int i = 0; i < 1'000'000; ++i) ++count[stream.next()];
  double chi_square = 0;
  for (const auto c : count) chi_square += (c - 1e3) * (c - 1e3) / 1e3;
  REQUIRE(chi_square < 1'250); // 999 degrees of freedom: mean 999, deviation 45
  REQUIRE(chi_square > 750);
}

TEST_CASE("a key stream from a list repeats the list", "[bench][generators]") {
  const std::vector<std::uint32_t> list{4, 8, 15, 16, 23, 42};
  key_stream stream{list, 9};
  std::vector<std::uint32_t> seen;
  for (int i = 0; i < 12; ++i) seen.push_back(stream.next());
  std::multiset<std::uint32_t> twice(list.begin(), list.end());
  twice.insert(list.begin(), list.end());
  REQUIRE(std::multiset<std::uint32_t>(seen.begin(), seen.end()) == twice);
}
