#include "tests/bench/twitter_cluster.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace warp::bench {

namespace {

constexpr std::uint32_t minute = 60, hour = 3'600, day = 86'400;

constexpr std::array<twitter_cluster, 6> clusters{{
    {.number = 12,
     .key_bytes = 44,
     .value_bytes = 1'030,
     .get = 0.20,
     .set = 0.80,
     .zipf_theta = 0.3048,
     .miss_ratio = 0.0058,
     .working_set_mb = 986,
     .ttl = {{{0.98, 300}, {0.02, 299}}}},
    {.number = 18,
     .key_bytes = 18,
     .value_bytes = 37,
     .get = 0.96,
     .gets = 0.01,
     .add = 0.01,
     .cas = 0.01,
     .zipf_theta = 2.0994,
     .miss_ratio = 0.002,
     .working_set_mb = 41,
     .ttl = {{{1, 12 * hour}}}},
    {.number = 29,
     .key_bytes = 36,
     .value_bytes = 799,
     .get = 0.86,
     .set = 0.13,
     .zipf_theta = 1.2323,
     .miss_ratio = 0.2242,
     .working_set_mb = 891,
     .ttl = {{{0.67, hour}, {0.33, 2 * hour}}}},
    {.number = 37,
     .key_bytes = 72,
     .value_bytes = 20'134,
     .get = 0.63,
     .set = 0.37,
     .zipf_theta = 0.4251,
     .miss_ratio = 0.5938,
     .working_set_mb = 551,
     .ttl = {{{0.91, 20}, {0.06, 5 * minute}, {0.02, 2 * hour}, {0.01, 10 * minute}}}},
    {.number = 44,
     .key_bytes = 25,
     .value_bytes = 22,
     .get = 0.98,
     .add = 0.01,
     .zipf_theta = 1.4084,
     .miss_ratio = 0.0083,
     .working_set_mb = 536,
     .ttl = {{{1, 30 * day}}}},
    {.number = 52,
     .key_bytes = 20,
     .value_bytes = 273,
     .get = 0.91,
     .gets = 0.02,
     .add = 0.04,
     .cas = 0.02,
     .zipf_theta = 1.2117,
     .miss_ratio = 0.0189,
     .working_set_mb = 12'583,
     .ttl = {{{0.65, day}, {0.27, 14 * day}, {0.07, 12 * hour}}}},
}};

/// Gives value(i) the share weight(i) of the places of a table, the first what is left over.
template <class Table, class Weights>
void share_out(Table& table, const Weights& weights, double sum) {
  std::size_t at = 0;
  for (const auto& [weight, value] : weights) {
    const auto places =
        static_cast<std::size_t>(std::lround(weight / sum * static_cast<double>(table.size())));
    for (std::size_t i = 0; i < places && at < table.size(); ++i) table[at++] = value;
  }
  std::fill(table.begin() + static_cast<std::ptrdiff_t>(at), table.end(), weights[0].second);
}

} // namespace

std::span<const twitter_cluster> twitter_clusters() noexcept {
  return clusters;
}

twitter_requests::twitter_requests(const twitter_cluster& c, std::uint64_t objects,
                                   const std::vector<std::uint32_t>& list, std::uint64_t seed)
    : cluster_(c), objects_(objects), keys_(list, seed), random_(seed + 1'000) {
  share_out(kinds_,
            std::array{std::pair{c.get, kind::get}, std::pair{c.gets, kind::gets},
                       std::pair{c.set, kind::set}, std::pair{c.add, kind::add},
                       std::pair{c.cas, kind::cas}},
            1);
  double sum = 0;
  std::array<std::pair<double, std::uint32_t>, 4> ttls;
  for (std::size_t i = 0; i < ttls.size(); ++i) {
    ttls[i] = {c.ttl[i].share, c.ttl[i].seconds};
    sum += c.ttl[i].share;
  }
  share_out(ttls_, ttls, sum);
}

std::uint32_t twitter_requests::draw_value_bytes() noexcept {
  const auto mean = static_cast<std::uint32_t>(cluster_.value_bytes);
  return mean - mean / 2 + random_.below(mean / 2 * 2 + 1);
}

std::uint32_t twitter_requests::draw_ttl_seconds() noexcept {
  return ttls_[random_.below(ttls_.size())];
}

twitter_requests::request twitter_requests::next() noexcept {
  request r{.what = kinds_[random_.below(kinds_.size())], .key = keys_.next()};
  switch (r.what) {
  case kind::get:
  case kind::gets:
    if (random_.unit() < cluster_.miss_ratio) r.key += static_cast<std::uint32_t>(objects_);
    break;
  case kind::set:
  case kind::add:
  case kind::cas:
    r.value_bytes = draw_value_bytes();
    r.ttl_seconds = draw_ttl_seconds();
    break;
  }
  return r;
}

void twitter_requests::write_key(const twitter_cluster& c, std::uint32_t key, char* to) noexcept {
  const key_text text{key};
  std::memset(to, 'a' + c.number % 26, c.key_bytes - sizeof text.bytes);
  std::memcpy(to + c.key_bytes - sizeof text.bytes, text.bytes, sizeof text.bytes);
}

} // namespace warp::bench
