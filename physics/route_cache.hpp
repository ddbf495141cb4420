#pragma once

#include "physics/route_graph.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace warp::physics {

/// Routes that have been found, by their ends and the version of the topology: an entry of another
/// version is none. A table of fixed size in which a pair has one place; who comes later takes it.
/// 32 bytes an entry. One thread, or one cache a thread.
///
///     route r;
///     if (const auto* known = cache.find(graph.version(), from, to)) r = *known;
///     else cache.keep(graph.version(), from, to, r = finder.find(graph, from, to));
class route_cache {
public:
  /// `entries` is rounded up to a power of two.
  explicit route_cache(std::size_t entries = 65'536)
      : table_(std::bit_ceil(std::max<std::size_t>(entries, 1))) {}

  /// Null when it is not known. Valid until the next keep().
  [[nodiscard]] const route* find(std::uint64_t version, node_index from,
                                  node_index to) const noexcept {
    const auto& e = table_[place(from, to)];
    return e.version == version && e.from == from && e.to == to ? &e.known : nullptr;
  }
  /// Also a route that does not exist is worth knowing.
  void keep(std::uint64_t version, node_index from, node_index to, const route& found) noexcept {
    table_[place(from, to)] = {version, found, from, to};
  }

private:
  struct entry {
    std::uint64_t version = UINT64_MAX; ///< of no topology
    route known;
    node_index from = 0, to = 0;
  };
  static_assert(sizeof(entry) == 32);

  /// All targets of a source lie side by side: a node asks for its own routes.
  [[nodiscard]] std::size_t place(node_index from, node_index to) const noexcept {
    return (from * std::size_t{0x9e3779b97f4a7c15u} / 64 + to) & (table_.size() - 1);
  }
  std::vector<entry> table_;
};

} // namespace warp::physics
