#include "physics/coaccess_graph.hpp"

#include <cassert>
#include <numeric>

namespace warp::physics {

coaccess_graph::coaccess_graph(std::size_t groups, std::span<const pair> pairs)
    : first_(groups + 1, 0) {
  const auto counts = [](const pair& p) { return p.a != p.b && p.weight > 0; };
  for (const auto& p : pairs) {
    assert(p.a < groups && p.b < groups);
    if (!counts(p)) continue;
    ++first_[p.a + 1];
    ++first_[p.b + 1];
  }
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
  links_.resize(first_.back());
  auto next = first_;
  for (const auto& p : pairs)
    if (counts(p)) {
      links_[next[p.a]++] = {p.b, p.weight};
      links_[next[p.b]++] = {p.a, p.weight};
    }

  // Repeated pairs become one link, and the links close up.
  std::vector<std::size_t> place_of(groups, SIZE_MAX); // where this group's link to another stands
  std::size_t end = 0;
  for (std::size_t group = 0; group < groups; ++group) {
    const std::size_t from = first_[group], to = next[group], begin = end;
    first_[group] = begin;
    for (std::size_t i = from; i < to; ++i) {
      const link l = links_[i];
      auto& at = place_of[l.to];
      if (at != SIZE_MAX && at >= begin && at < end && links_[at].to == l.to) {
        links_[at].weight += l.weight;
      } else {
        at = end;
        links_[end++] = l;
      }
    }
  }
  first_[groups] = end;
  links_.resize(end);
}

double coaccess_graph::weight_of(std::size_t group) const noexcept {
  double sum = 0;
  for (const auto& l : of(group)) sum += l.weight;
  return sum;
}

coaccess_graph coaccess_graph::contracted(std::span<const std::uint32_t> cluster_of,
                                          std::size_t clusters) const {
  assert(cluster_of.size() == groups());
  std::vector<std::size_t> begin_of(clusters + 1, 0);
  for (const auto c : cluster_of) ++begin_of[c + 1];
  std::partial_sum(begin_of.begin(), begin_of.end(), begin_of.begin());
  std::vector<std::uint32_t> members(groups());
  auto next = begin_of;
  for (std::uint32_t g = 0; g < groups(); ++g) members[next[cluster_of[g]]++] = g;

  coaccess_graph out;
  out.first_.resize(clusters + 1);
  out.links_.reserve(links_.size() / 2);
  std::vector<std::size_t> place_of(clusters, SIZE_MAX);
  for (std::size_t c = 0; c < clusters; ++c) {
    const auto begin = out.first_[c] = out.links_.size();
    for (std::size_t m = begin_of[c]; m < begin_of[c + 1]; ++m)
      for (const auto& l : of(members[m])) {
        const auto other = cluster_of[l.to];
        if (other == c) continue;
        auto& at = place_of[other];
        if (at != SIZE_MAX && at >= begin) {
          out.links_[at].weight += l.weight;
        } else {
          at = out.links_.size();
          out.links_.push_back({other, l.weight});
        }
      }
  }
  out.first_[clusters] = out.links_.size();
  return out;
}

double coaccess_graph::cut(std::span<const std::uint32_t> label) const noexcept {
  assert(label.size() == groups());
  double sum = 0;
  for (std::uint32_t g = 0; g < groups(); ++g)
    for (const auto& l : of(g))
      if (l.to > g && label[l.to] != label[g]) sum += l.weight;
  return sum;
}

} // namespace warp::physics
