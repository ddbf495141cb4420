#pragma once

#include "tests/bench/report.hpp"

#include <filesystem>
#include <string_view>
#include <vector>

namespace warp::bench::physics {

/// What the parts of physics_bench are run with.
struct part_options {
  /// Traces to use instead of those that belong to the part (trace.hpp); empty: the part's own.
  std::vector<std::filesystem::path> traces;
};

/// One of the ideas that physics_bench judges: ours and its baselines, on the named data, in one
/// run. A part fixes its own time budget, asks report::wanted() and prints what it was measured
/// with.
///
/// To add one: a .cpp file in this folder that defines a part, its declaration below, a line in
/// the list of physics_bench.cpp and the file in tests/bench/CMakeLists.txt.
struct part {
  std::string_view name;    ///< as on the command line
  std::string_view summary; ///< one line for --help
  void (*run)(report& out, const part_options& options);
};

extern const part demon_part;        ///< demon_part.cpp
extern const part entanglement_part; ///< entanglement_part.cpp
extern const part gravity_part;      ///< gravity_part.cpp
extern const part horizon_part;      ///< horizon_part.cpp
extern const part observer_part;     ///< observer_part.cpp
extern const part placement_part;    ///< placement_part.cpp
extern const part routes_part;       ///< routes_part.cpp
extern const part tiers_part;        ///< tiers_part.cpp

} // namespace warp::bench::physics
