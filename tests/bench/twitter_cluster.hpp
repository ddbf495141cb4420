#pragma once

#include "tests/bench/workload.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace warp::bench {

/// What is public about one of Twitter's in-memory cache clusters.
///
/// Source: Yang, Yue and Rashmi, "A large scale analysis of hundreds of in-memory cache clusters at
/// Twitter" (OSDI 2020); the figures are those of the table stat/2020Mar.md that was published with
/// the traces (github.com/twitter/cache-trace, CC-BY 4.0): means over one week of March 2020. Kinds
/// of operations below half a percent are not in the table; they count as gets here.
struct twitter_cluster {
  struct share_of_ttl {
    double share; ///< of all writes; the shares are normalised
    std::uint32_t seconds;
  };
  int number = 0;
  std::size_t key_bytes = 0, value_bytes = 0;          ///< means
  double get = 0, gets = 0, set = 0, add = 0, cas = 0; ///< shares of the operations
  double zipf_theta = 0;                               ///< "Zipf alpha" of the popularity
  double miss_ratio = 0;                               ///< production miss ratio
  double working_set_mb = 0;                           ///< with expiry considered
  std::array<share_of_ttl, 4> ttl{};                   ///< common TTLs; unused ones have share 0

  /// Objects that are alive at a time: the working set by the size of an object.
  [[nodiscard]] std::uint64_t objects() const noexcept {
    return static_cast<std::uint64_t>(working_set_mb * 1e6 /
                                      static_cast<double>(key_bytes + value_bytes));
  }
};

/// Clusters 12, 18, 29, 37, 44 and 52.
std::span<const twitter_cluster> twitter_clusters() noexcept;

/// Requests of one client of a cluster, fitted to its figures:
///
/// - keys are as long as the mean, and one of `objects` of them is drawn by the cluster's zipf law;
///   a get draws, with the production miss ratio, a key that does not exist;
/// - values are spread evenly between half and one and a half times the mean (the table gives means
///   only), anew with each write, so that records change their size;
/// - kinds and TTLs are independent draws with the shares of the table.
///
/// What it leaves out: the drift of the key space over days (one-hit wonders), bursts, and that
/// TTLs go with kinds of keys. Not thread-safe; the same seed gives the same requests.
class twitter_requests {
public:
  enum class kind : std::uint8_t { get, gets, set, add, cas };
  struct request {
    kind what = kind::get;
    std::uint32_t key = 0;                          ///< objects and above: does not exist
    std::uint32_t value_bytes = 0, ttl_seconds = 0; ///< of writes
  };

  /// `list`: keys by popularity, made by popular_keys(); borrowed.
  twitter_requests(const twitter_cluster& c, std::uint64_t objects,
                   const std::vector<std::uint32_t>& list, std::uint64_t seed);
  request next() noexcept;
  /// A value size and a TTL as a write of this cluster has them.
  std::uint32_t draw_value_bytes() noexcept;
  std::uint32_t draw_ttl_seconds() noexcept;

  static std::vector<std::uint32_t> popular_keys(const twitter_cluster& c, std::uint64_t objects,
                                                 std::size_t count) {
    return zipf_list(objects, c.zipf_theta, count);
  }
  /// The key's bytes: its number in the last 16, letters of the cluster before; `to` has key_bytes.
  static void write_key(const twitter_cluster& c, std::uint32_t key, char* to) noexcept;

private:
  const twitter_cluster& cluster_;
  std::uint64_t objects_;
  key_stream keys_;
  fast_random random_;
  std::array<kind, 1'024> kinds_{}; // drawn by number: the shares, in steps of a thousandth
  std::array<std::uint32_t, 1'024> ttls_{};
};

} // namespace warp::bench
