#include "physics/miniature_set.hpp"

#include "physics/mixing.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <bit>
#include <map>
#include <random>
#include <vector>

using namespace warp::physics;

namespace {

/// One event horizon with a plain map: what a set should be for each of its settings.
class plain_cache {
public:
  plain_cache(std::uint64_t capacity, const horizon_settings& settings)
      : horizon_(capacity, settings) {}

  bool access(std::uint64_t key, std::uint32_t bytes) {
    if (const auto found = resident_.find(key); found != resident_.end()) {
      horizon_.hit(found->second);
      return true;
    }
    const auto id = horizon_.admit(key, bytes, horizon_.is_ghost(stamps_[key]));
    forget_gone();
    if (id != event_horizon::none) resident_[key] = id;
    stamps_.erase(key);
    return false;
  }
  void remove(std::uint64_t key) {
    const auto found = resident_.find(key);
    if (found == resident_.end()) return;
    horizon_.remove(found->second);
    resident_.erase(found);
  }
  void set_capacity(std::uint64_t capacity) {
    horizon_.set_capacity(capacity);
    forget_gone();
  }
  [[nodiscard]] std::size_t residents() const { return resident_.size(); }

private:
  void forget_gone() {
    for (const auto& gone : horizon_.gone()) {
      resident_.erase(gone.owner);
      stamps_[gone.owner] = gone.stamp;
    }
  }

  event_horizon horizon_;
  std::map<std::uint64_t, resident_id> resident_;
  std::map<std::uint64_t, ghost_stamp> stamps_;
};

std::vector<horizon_settings> some_settings() {
  std::vector<horizon_settings> out(4);
  out[1].small_share = 0.03;
  out[2].ghost_share = 0;
  out[3] = {.small_share = 0.5, .ghost_share = 3, .window_share = 0, .hits_to_stay = 2};
  return out;
}

} // namespace

TEST_CASE("each miniature of a set decides as if it were alone", "[physics][horizon]") {
  const auto seed = std::random_device{}();
  // Keys of one size in a memory of one size, or all that may change meanwhile: then ghosts that
  // the set has forgotten may come to be in reach again, and it has not the room for these.
  const bool lively = GENERATE(false, true);
  CAPTURE(seed, lively);
  mixed_sequence random{seed};
  const auto settings = some_settings();
  miniature_set set{400, settings};
  std::vector<plain_cache> alone;
  for (const auto& s : settings) alone.emplace_back(400, s);
  int accesses = 0, same = 0;
  for (int i = 0; i < 60'000; ++i) {
    const auto key = mix(random.below(random.below(2) == 0 ? 300 : 5'000));
    if (lively && random.below(50) == 0) {
      set.remove(key);
      for (auto& a : alone) a.remove(key);
      continue;
    }
    if (lively && random.below(5'000) == 0) {
      const auto capacity = 1'000 + random.below(6'000);
      set.set_capacity(capacity);
      for (auto& a : alone) a.set_capacity(capacity);
    }
    // One in a thousand is larger than any memory here.
    const auto bytes = static_cast<std::uint32_t>(!lively            ? 1
                                                  : key % 1'000 == 0 ? 10'000
                                                                     : 1 + key % 20);
    std::uint32_t expected = 0;
    for (std::size_t s = 0; s < alone.size(); ++s)
      expected |= std::uint32_t{alone[s].access(key, bytes)} << s;
    same += static_cast<int>(alone.size()) - std::popcount(set.access(key, bytes) ^ expected);
    accesses += static_cast<int>(alone.size());
  }
  std::size_t residents = 0;
  for (const auto& a : alone) residents += a.residents();
  if (lively) {
    CHECK(same > accesses * 95LL / 100);
  } else {
    CHECK(same == accesses);
    CHECK(set.residents() == residents);
  }
}

TEST_CASE("a set forgets keys that none of its miniatures knows", "[physics][horizon]") {
  mixed_sequence random{7};
  miniature_set set{200, some_settings()};
  std::size_t most = 0, known = 0;
  for (const auto& s : some_settings())
    known += static_cast<std::size_t>(200 * (1 + s.ghost_share)); // as many, if none knew another's
  for (int i = 0; i < 200'000; ++i) {
    set.access(random(), 1); // never one twice
    most = std::max(most, set.keys());
  }
  CHECK(most > 200);
  CHECK(most <= 2 * known);
}
