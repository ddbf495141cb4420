#include "cluster/replication/replica_log.hpp"

#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <string>
#include <vector>

using namespace warp;
using namespace warp::cluster::replication;

namespace {

/// The same, a record at a time.
struct model_log {
  struct entry {
    log_record record;
    std::uint64_t hash, position;
  };
  log_position base;
  std::vector<entry> entries;

  [[nodiscard]] log_position last() const {
    return entries.empty() ? base : position_of(entries.back());
  }
  static log_position position_of(const entry& e) { return {e.record.lsn, e.record.epoch, e.hash}; }
  [[nodiscard]] log_position at_or_below(lsn_t lsn) const {
    auto found = base;
    for (const auto& e : entries)
      if (e.record.lsn <= lsn) found = position_of(e);
    return found;
  }
  [[nodiscard]] lsn_t durable(std::uint64_t synced) const {
    auto found = base.lsn;
    for (const auto& e : entries) {
      if (e.position > synced) break;
      found = e.record.lsn;
    }
    return found;
  }
  [[nodiscard]] std::vector<log_record> behind(lsn_t lsn, std::size_t count,
                                               std::size_t bytes) const {
    std::vector<log_record> some;
    std::size_t sum = 0;
    for (const auto& e : entries) {
      if (e.record.lsn <= lsn) continue;
      sum += e.record.body.size();
      if (some.size() == count || (sum > bytes && !some.empty())) break;
      some.push_back(e.record);
    }
    return some;
  }
};

} // namespace

TEST_CASE("a log in runs is what a log of records is, appended, cut and trimmed anywhere",
          "[replication]") {
  const auto seed = Catch::getSeed(); // --rng-seed
  CAPTURE(seed);
  std::mt19937 random{seed};
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  replica_log log{{5, 1, 77}};
  model_log model{{5, 1, 77}, {}};
  std::uint64_t position = 0;
  epoch_t epoch = 1;
  for (int step = 0; step < 3'000; ++step) {
    const auto first = model.base.lsn, end = model.last().lsn;
    const auto any = first + below(end - first + 3);
    switch (below(8)) {
    case 0:
      if (any > first) {
        log.truncate_from(any);
        std::erase_if(model.entries, [&](const auto& e) { return e.record.lsn >= any; });
      }
      break;
    case 1:
      if (below(4) == 0) {
        log.trim(any);
        model.base = model.at_or_below(any);
        std::erase_if(model.entries, [&](const auto& e) { return e.record.lsn <= any; });
      }
      break;
    case 2:
      ++epoch;
      [[fallthrough]];
    default: {
      std::vector<log_record> run;
      ++position;
      auto lsn = end;
      for (auto n = 1 + below(below(5) == 0 ? 90 : 6); n > 0; --n) {
        lsn += below(5) == 0 ? 1 + below(3) : 1;
        run.push_back({lsn, epoch, false, std::string(below(30), 'b')});
        model.entries.push_back({run.back(), hash_on(model.last().hash, run.back()), position});
      }
      // A part of a run is a run.
      const auto before = below(3), after = below(3);
      run.insert(run.begin(), before, {});
      run.insert(run.end(), after, {});
      log.append(log_run{run}.part(before, run.size() - before - after), position);
    }
    }
    std::size_t bytes = 0;
    for (const auto& e : model.entries) bytes += e.record.body.size();
    REQUIRE(log.base() == model.base);
    REQUIRE(log.last() == model.last());
    REQUIRE(log.size() == model.entries.size());
    REQUIRE(log.body_bytes() == bytes);
    const auto at = model.base.lsn + below(model.last().lsn - model.base.lsn + 2);
    REQUIRE(log.at_or_below(at) == model.at_or_below(at));
    REQUIRE(log.at_or_below_unhashed(at).lsn == model.at_or_below(at).lsn);
    REQUIRE(log.at_or_below_unhashed(at).epoch == model.at_or_below(at).epoch);
    REQUIRE(log.matches(at, epoch) ==
            (model.at_or_below(at).lsn == at && model.at_or_below(at).epoch == epoch));
    const auto synced = below(position + 2);
    REQUIRE(log.durable(synced) == model.durable(synced));
    const auto count = below(12), most = below(3) == 0 ? below(60) : 1'000'000;
    REQUIRE(log.behind(at, count, most) == log_run{model.behind(at, count, most)});
    const auto up_to = at + below(80);
    std::vector<log_record> each;
    auto hash = model.at_or_below(at).hash;
    log.each_part_behind(at, up_to, [&](const log_run& part, const log_position& end) {
      REQUIRE(part.size() <= replica_log::part_max);
      for (const auto& r : part) {
        each.push_back(r);
        hash = hash_on(hash, r);
      }
      REQUIRE(end == log_position{each.back().lsn, each.back().epoch, hash});
      return true;
    });
    auto wanted = model.behind(at, 1'000, 1'000'000);
    std::erase_if(wanted, [&](const log_record& r) { return r.lsn > up_to; });
    REQUIRE(log_run{each} == log_run{wanted});
  }
}
