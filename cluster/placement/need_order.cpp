#include "cluster/placement/need_order.hpp"

namespace warp::cluster::placement {

void need_order::set(index what, std::uint32_t need) {
  if (need_[what] == need) return;
  if (need_[what] != 0) {
    const auto at = by_need_.find(need_[what]);
    auto& equals = at->second;
    equals[place_[what]] = equals.back();
    place_[equals.back()] = place_[what];
    equals.pop_back();
    if (equals.empty()) by_need_.erase(at);
  }
  need_[what] = need;
  if (need == 0) return;
  auto& equals = by_need_[need];
  place_[what] = equals.size();
  equals.push_back(what);
}

// The finalizer of splitmix64.
std::uint64_t need_order::mixed(std::uint64_t seed) {
  auto z = seed + 0x9e37'79b9'7f4a'7c15u;
  z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9u;
  z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11ebu;
  return z ^ (z >> 31);
}

} // namespace warp::cluster::placement
