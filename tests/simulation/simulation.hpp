#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace warp::testing {

/// Kinds of trouble; a run has those that are not left out.
enum class trouble : std::uint8_t {
  crashes,      ///< processes are killed, also all at once, and start again
  clean_stops,  ///< processes are stopped and started
  pauses,       ///< processes stand still
  cuts,         ///< links break in one or both directions, one by one and in any order
  bad_network,  ///< messages are lost, doubled, late
  etcd_outages, ///< nobody, or not everybody, reaches etcd
  bad_etcd,     ///< requests and answers are lost, doubled, late; watches too; leases are revoked
  bad_disks,    ///< syncs are slow or fail
  damage,       ///< a copy has to be replaced by a checkpoint
  checkpoints,  ///< copies forget the beginning of their log
  moves,        ///< the primary is asked to hand over
};
inline constexpr unsigned troubles = 11;

struct simulation_options {
  std::uint64_t seed = 1;
  std::uint32_t without = 0; ///< bits of the troubles that are left out
  bool trace = false;
  std::int64_t trouble_us = 7'000'000; ///< how long there is trouble
};

struct simulation_result {
  std::string violation; ///< empty: none
  std::string setting;   ///< nodes, level, ... in words
  std::vector<std::string> trace;
  std::uint64_t fingerprint = 0; ///< the same for the same run
  std::uint64_t events = 0, commits = 0, answers = 0, reigns = 0, epochs = 0, checkpoints = 0,
                moves = 0;
  bool undecided = false; ///< the search for an order of some key's history was given up
};

/// One cluster of up to five nodes with one shard, its clients, and everything that goes wrong, in
/// one thread and from one seed. Asserts I1 to I10, I13, I14, I16 and I17 of the rules that the
/// machines of cluster/replication implement, as far as they concern one shard.
[[nodiscard]] simulation_result simulate(const simulation_options& options);

/// A failing run once more, with as few kinds of trouble and as little time as still fail; the end
/// of its trace, in lines.
[[nodiscard]] std::string shortened(const simulation_options& options);

} // namespace warp::testing
