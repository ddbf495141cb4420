#include "cluster/etcd/endpoint_ring.hpp"

#include <algorithm>

namespace warp::cluster::etcd {

endpoint_ring::endpoint_ring(std::size_t count, std::chrono::milliseconds backoff_min,
                             std::chrono::milliseconds backoff_max, std::uint64_t seed)
    : endpoints_(count), backoff_min_(backoff_min), backoff_max_(backoff_max), random_(seed) {
  current_ = random_() % count; // clients of one cluster spread over its endpoints
}

endpoint_ring::choice endpoint_ring::choose(clock::time_point now) const {
  std::size_t best = current_;
  for (std::size_t step = 0; step < endpoints_.size(); ++step) {
    const auto at = (current_ + step) % endpoints_.size();
    if (endpoints_[at].not_before <= now) return {at, endpoints_[at].not_before};
    if (endpoints_[at].not_before < endpoints_[best].not_before) best = at;
  }
  return {best, endpoints_[best].not_before};
}

void endpoint_ring::succeeded(std::size_t endpoint) {
  endpoints_[endpoint] = {};
  current_ = endpoint;
}

void endpoint_ring::failed(std::size_t endpoint, clock::time_point now) {
  auto& e = endpoints_[endpoint];
  if (e.not_before > now) return; // several requests on their way failed at once: one failure
  const auto doubled = backoff_min_ * (std::int64_t{1} << std::min(e.failures, 20u));
  ++e.failures;
  const auto bound_us =
      std::chrono::duration_cast<std::chrono::microseconds>(std::min(doubled, backoff_max_));
  // Between a half and the whole of it.
  const auto half = std::max<std::int64_t>(bound_us.count() / 2, 1);
  e.not_before =
      now + std::chrono::microseconds{half + static_cast<std::int64_t>(random_() % half)};
  if (endpoint == current_) current_ = (current_ + 1) % endpoints_.size();
}

} // namespace warp::cluster::etcd
