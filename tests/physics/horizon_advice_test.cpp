#include "physics/horizon_advice.hpp"

#include "physics/mixing.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <list>
#include <unordered_map>
#include <vector>

using namespace warp::physics;

namespace {

constexpr std::uint32_t entry_bytes = 100;

/// Keys that are asked for the less the higher their number: 1 / (number + 1) ^ 0.9.
class skewed {
public:
  explicit skewed(std::size_t keys) {
    double sum = 0;
    for (std::size_t i = 0; i < keys; ++i)
      sums_.push_back(sum += std::pow(static_cast<double>(i + 1), -0.9));
  }
  std::size_t operator()(mixed_sequence& random) const {
    return static_cast<std::size_t>(std::ranges::upper_bound(sums_, random.unit() * sums_.back()) -
                                    sums_.begin());
  }

private:
  std::vector<double> sums_;
};

/// All keys of a store behind a memory for some: exact.
class least_recently_used {
public:
  explicit least_recently_used(std::size_t room) : room_(room) {}
  bool access(std::size_t key) {
    if (const auto at = where_.find(key); at != where_.end()) {
      order_.splice(order_.begin(), order_, at->second);
      return true;
    }
    if (order_.size() == room_) {
      where_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(key);
    where_[key] = order_.begin();
    return false;
  }

private:
  std::size_t room_;
  std::list<std::size_t> order_;
  std::unordered_map<std::size_t, std::list<std::size_t>::iterator> where_;
};

bool is_watched(std::uint64_t hash, std::uint32_t one_in) {
  return hash < std::numeric_limits<std::uint64_t>::max() / one_in;
}

} // namespace

TEST_CASE("the curve of one key in ten falls with size and lies near that of all of them",
          "[physics][horizon]") {
  constexpr std::size_t keys = 30'000, reads = 600'000;
  constexpr std::uint32_t one_in = 10;
  horizon_advice advice;
  advice.set_store(keys * entry_bytes);
  advice.begin(one_in);
  const std::vector<double> shares = advice_options{}.shares;
  std::vector<miniature_horizon> horizons;
  std::vector<least_recently_used> recent;
  for (const auto share : shares) {
    const auto room = static_cast<std::size_t>(share * keys);
    horizons.emplace_back(room * entry_bytes, horizon_settings{});
    recent.emplace_back(room);
  }
  std::vector<std::size_t> missed(shares.size()), missed_recent(shares.size());
  std::vector<bool> seen(keys);
  const skewed popular{keys};
  mixed_sequence random{7};
  std::size_t telling = 0;
  for (std::size_t i = 0; i < reads; ++i) {
    const auto key = popular(random);
    const auto hash = mix(key);
    const bool tells = seen[key];
    seen[key] = true;
    telling += tells;
    for (std::size_t s = 0; s < shares.size(); ++s) {
      const bool hit = horizons[s].access(hash, entry_bytes), hit_recent = recent[s].access(key);
      missed[s] += tells && !hit;
      missed_recent[s] += tells && !hit_recent;
    }
    if (is_watched(hash, one_in)) advice.read(hash, entry_bytes);
  }
  advice.count_reads(reads, 1, 0);
  const auto curve = advice.curve();
  REQUIRE(curve.size() == shares.size());
  for (std::size_t s = 0; s < shares.size(); ++s) {
    const auto part = [&](std::size_t n) {
      return static_cast<double>(n) / static_cast<double>(telling);
    };
    CAPTURE(shares[s], curve[s].miss_ratio, part(missed[s]), part(missed_recent[s]));
    CHECK(curve[s].share == shares[s]);
    CHECK(curve[s].bytes == static_cast<std::uint64_t>(shares[s] * keys * entry_bytes));
    CHECK(std::abs(curve[s].miss_ratio - part(missed[s])) < 0.04);
    // A horizon is no LRU, but no stranger to it either.
    CHECK(std::abs(curve[s].miss_ratio - part(missed_recent[s])) < 0.12);
    if (s > 0) CHECK(curve[s].miss_ratio < curve[s - 1].miss_ratio);
  }
  CHECK(curve.front().miss_ratio > 0.4);
  CHECK(curve.back().miss_ratio < 0.15);
}

TEST_CASE("advice knows no more keys than it has room for, however many come",
          "[physics][horizon]") {
  advice_options options;
  options.keys_max = 1'000;
  horizon_advice advice{options};
  advice.set_store(2'000 * entry_bytes);
  for (std::uint64_t key = 0; key < 100'000; ++key) advice.write(mix(key), entry_bytes);
  CHECK(advice.keys() <= 2'500); // a store of 2,000 entries, and a quarter more
  CHECK(advice.is_full());
  advice.begin(4);
  CHECK(advice.keys() == 0);
  for (std::uint64_t key = 0; key < 100'000; ++key) advice.write(mix(key), entry_bytes);
  CHECK(advice.keys() <= 625);
  CHECK_FALSE(advice.is_full());
  CHECK(advice.fitter().residents() < 5 * 100);
}

TEST_CASE("what says nothing is not counted: first reads, writes, and what was deleted",
          "[physics][horizon]") {
  horizon_advice advice;
  constexpr std::uint64_t keys = 1'000;
  advice.set_store(keys * entry_bytes);
  for (std::uint64_t key = 0; key < keys; ++key) advice.read(mix(key), entry_bytes);
  advice.count_reads(keys, 1, 0);
  CHECK(advice.curve().empty());
  CHECK(advice.reads() == 0);
  for (int round = 0; round < 3; ++round)
    for (std::uint64_t key = 0; key < keys; ++key) advice.write(mix(key), entry_bytes);
  advice.count_reads(0, 1, 0);
  CHECK(advice.curve().empty());
  // Round and round: what is not in memory is what a loop comes to next.
  for (std::uint64_t key = 0; key < keys; ++key) advice.read(mix(key), entry_bytes);
  advice.count_reads(keys, 1, 0);
  REQUIRE(advice.curve().size() == 5);
  CHECK(advice.reads() == keys);
  CHECK(advice.curve().front().miss_ratio > 0.98);
  CHECK(advice.curve().back().miss_ratio < 0.9);
  for (std::uint64_t key = 0; key < keys; ++key) advice.remove(mix(key));
  CHECK(advice.keys() == 0);
  for (const auto& p : advice.curve()) CHECK(p.keys == 0);
}

TEST_CASE("what was counted long ago weighs little", "[physics][horizon]") {
  horizon_advice advice;
  constexpr std::uint64_t keys = 1'000;
  advice.set_store(keys * entry_bytes);
  const auto rounds = [&](int n, std::uint64_t of) {
    for (int r = 0; r < n; ++r)
      for (std::uint64_t key = 0; key < of; ++key) advice.read(mix(key), entry_bytes);
  };
  rounds(4, keys);
  advice.count_reads(4 * keys, 1, 0);
  const auto before = advice.curve()[2].miss_ratio;
  rounds(400, 10); // all that is used by now fits into a tenth
  advice.count_reads(4 * keys, 1, 3'000);
  CHECK(before > 0.5);
  CHECK(advice.curve()[2].miss_ratio < 0.02);
}

TEST_CASE("a fit shows that it beats the defaults on accesses it was not chosen by",
          "[physics][horizon]") {
  advice_options options;
  options.fit.tried = {{0.6, 0.9}, {0.03, 0.9}};
  horizon_advice advice{options};
  constexpr std::uint64_t keys = 10'000;
  advice.set_store(keys * entry_bytes);
  // Each key twice, with 400 others in between, of which no key ever comes again for long: only a
  // small queue of more than 40 % of a tenth of the store has hits.
  for (std::uint64_t i = 0; i < 400'000; ++i) {
    advice.read(mix(i % keys), entry_bytes);
    if (i >= 400) advice.read(mix((i - 400) % keys), entry_bytes);
  }
  advice.count_reads(800'000, 1, 0);
  const auto& fitter = advice.fitter();
  CHECK(fitter.settings().small_share == 0.6);
  CHECK(fitter.seen().applied == 1);
  const auto proof = fitter.since_applied();
  CHECK(proof.accesses > 100'000);
  CHECK(proof.misses < proof.misses_of_start);
}
