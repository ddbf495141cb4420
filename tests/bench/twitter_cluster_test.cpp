#include "tests/bench/twitter_cluster.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

using namespace warp::bench;

TEST_CASE("requests have the shares, sizes and misses of their cluster", "[bench][twitter]") {
  constexpr int draws = 400'000;
  for (const auto& c : twitter_clusters()) {
    CAPTURE(c.number);
    const auto objects = std::min<std::uint64_t>(c.objects(), 100'000);
    const auto list = twitter_requests::popular_keys(c, objects, 100'000);
    twitter_requests requests{c, objects, list, 1};
    std::map<twitter_requests::kind, double> share;
    std::map<std::uint32_t, double> ttl;
    double reads = 0, misses = 0, writes = 0, bytes = 0;
    for (int i = 0; i < draws; ++i) {
      const auto r = requests.next();
      share[r.what] += 1.0 / draws;
      const bool read =
          r.what == twitter_requests::kind::get || r.what == twitter_requests::kind::gets;
      if (read) {
        ++reads;
        misses += r.key >= objects;
      } else {
        REQUIRE(r.key < objects);
        ++writes;
        bytes += r.value_bytes;
        ttl[r.ttl_seconds] += 1;
      }
    }
    const auto near = [](double seen, double wanted) { return std::abs(seen - wanted) < 0.005; };
    const double rest = 1 - c.get - c.gets - c.set - c.add - c.cas; // not in the table: gets
    REQUIRE(near(share[twitter_requests::kind::get], c.get + rest));
    REQUIRE(near(share[twitter_requests::kind::gets], c.gets));
    REQUIRE(near(share[twitter_requests::kind::set], c.set));
    REQUIRE(near(share[twitter_requests::kind::add], c.add));
    REQUIRE(near(share[twitter_requests::kind::cas], c.cas));
    REQUIRE(near(misses / reads, c.miss_ratio));
    const auto mean = static_cast<double>(c.value_bytes);
    REQUIRE(std::abs(bytes / writes - mean) < 0.03 * mean);
    double sum = 0;
    for (const auto& t : c.ttl) sum += t.share;
    for (const auto& t : c.ttl)
      if (t.share > 0) REQUIRE(std::abs(ttl[t.seconds] / writes - t.share / sum) < 0.03);
  }
}

TEST_CASE("keys of a cluster are as long as its mean and differ", "[bench][twitter]") {
  for (const auto& c : twitter_clusters()) {
    CAPTURE(c.number);
    std::set<std::string> keys;
    for (std::uint32_t i = 0; i < 5'000; ++i) {
      std::string key(c.key_bytes, ' ');
      twitter_requests::write_key(c, i * 997, key.data());
      keys.insert(key);
    }
    REQUIRE(keys.size() == 5'000);
  }
}
