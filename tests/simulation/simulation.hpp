#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warp::testing {

/// Kinds of trouble, each of which can be left out.
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
  plots,        ///< what the scenario is about
};
inline constexpr unsigned troubles = 12;

/// What a run is about. All but the first know what they want to see, and strike when a node asks
/// etcd for a change.
enum class scenario : std::uint8_t {
  mixed,      ///< every trouble, at random moments
  usurpers,   ///< a primary is cut off until others want its place, comes back, and goes again
  hand_overs, ///< planned moves whose outcome the old primary hears late
  losses,     ///< all members are lost, for ever or for long, and an operator accepts it
  placements, ///< who is to hold a copy changes: more copies, fewer, other nodes
  rebuilds,   ///< damaged copies take checkpoints while others are made
  laggards,   ///< copies stay behind under a flood of writes, of what others have forgotten
};
inline constexpr unsigned scenarios = 7;
[[nodiscard]] std::string_view to_string(scenario s);

struct simulation_options {
  std::uint64_t seed = 1;
  std::uint32_t without = 0; ///< bits of the troubles that are left out
  bool trace = false;
  std::int64_t trouble_us = 7'000'000; ///< how long there is trouble
  std::optional<scenario> about = {};  ///< else the seed says
  std::optional<bool> skewed = {};     ///< clocks that differ by more than rho; else the seed says
  /// Each clock is the slowest or faster by so much, instead of all there is between.
  std::optional<double> clock_ratio = {};
};

struct simulation_result {
  std::string violation; ///< empty: none
  std::string setting;   ///< nodes, level, ... in words
  std::vector<std::string> trace;
  std::uint64_t fingerprint = 0; ///< the same for the same run
  std::uint64_t shards = 0, events = 0, commits = 0, answers = 0, reigns = 0, epochs = 0,
                checkpoints = 0, chunks = 0, chunks_resumed = 0, outdated = 0, moves = 0,
                losses = 0, lost_requests = 0, packets = 0, messages = 0, syncs = 0,
                syncs_wanted = 0, read_backs = 0, records_read_back = 0, refused_full = 0,
                held_max = 0;
  std::uint64_t stale = 0;     ///< keys whose reads were stale, with clocks beyond rho (I16)
  std::uint64_t undecided = 0; ///< keys for whose history the search for an order was given up
};

/// One cluster of up to five nodes with one to four shards, its clients, and everything that goes
/// wrong, in one thread and from one seed. Asserts I1 to I11, I13, I14, I16 and I17 of the rules
/// that the machines of cluster/replication implement; I12 of what their windows and pins bound:
/// records in flight, the undo list, the log in memory. I15 is none of theirs: they know one tier,
/// and the versions they order are those of the log.
[[nodiscard]] simulation_result simulate(const simulation_options& options);

/// A failing run once more, with as few kinds of trouble and as little time as still fail; the end
/// of its trace, in lines.
[[nodiscard]] std::string shortened(const simulation_options& options);

} // namespace warp::testing
