#pragma once

#include "cluster/placement/placement_task.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <vector>

namespace warp::cluster::placement {

/// Things in the order of how much they need, the neediest first. Among equals a seed says who is
/// first: always the same ones would make groups of nodes that share all their shards, and the
/// loss of one would be made good by few.
class need_order {
public:
  explicit need_order(std::size_t count) : need_(count), place_(count) {}

  void set(index what, std::uint32_t need);
  [[nodiscard]] std::uint32_t need(index what) const { return need_[what]; }

  /// The first that needs something and that is accepted; none: nobody.
  template <class Accepts>
  [[nodiscard]] index first(std::uint64_t seed, Accepts&& accepts) const {
    for (const auto& [need, equals] : by_need_) {
      const auto begin = static_cast<std::size_t>(mixed(seed) % equals.size());
      for (std::size_t i = 0; i < equals.size(); ++i)
        if (const auto what = equals[(begin + i) % equals.size()]; accepts(what)) return what;
    }
    return none;
  }

private:
  static std::uint64_t mixed(std::uint64_t seed);

  std::vector<std::uint32_t> need_;
  std::vector<std::size_t> place_; ///< in its list below
  /// By need; without those that need nothing, and without empty lists.
  std::map<std::uint32_t, std::vector<index>, std::greater<>> by_need_;
};

} // namespace warp::cluster::placement
