#include "cluster/replication/ack_set.hpp"

#include "cluster/replication/planted.hpp"

#include <algorithm>

namespace warp::cluster::replication {

namespace {

const std::vector<member>& united(const std::vector<member>& a, const std::vector<member>& b,
                                  std::vector<member>& all) {
  all = a;
  all.insert(all.end(), b.begin(), b.end());
  std::ranges::sort(all);
  const auto repeated = std::ranges::unique(all);
  all.erase(repeated.begin(), repeated.end());
  return all;
}

} // namespace

const std::vector<member>& ack_set(const authority& confirmed,
                                   const std::optional<authority_change>& change,
                                   std::vector<member>& room) {
  if (!change || planted(mistake::ack_set_confirmed_only)) return confirmed.isr;
  if (planted(mistake::ack_set_proposed_only)) return change->value.isr;
  return united(confirmed.isr, change->value.isr, room);
}

const std::vector<member>& lease_set(const authority& confirmed,
                                     const std::optional<authority_change>& change,
                                     std::vector<member>& room) {
  if (!change || planted(mistake::lease_confirmed_only)) return confirmed.isr;
  return united(confirmed.isr, change->value.isr, room);
}

} // namespace warp::cluster::replication
