#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace warp::bench {

/// The options that all benchmarks understand; a benchmark uses those that mean something to it.
///
///     --quick --json FILE --keys N --value N --threads 1,2,4 --only PATTERN --seconds S
struct arguments {
  bool quick = false;            ///< smaller and shorter: does it run at all?
  std::string json;              ///< file to write; empty: none
  std::uint64_t keys = 0;        ///< 0: the benchmark's own
  std::size_t value_bytes = 0;   ///< 0: the benchmark's own
  std::vector<unsigned> threads; ///< empty: the benchmark's own
  std::string only;              ///< regular expression over "section: name"; empty: all
  double seconds = 0;            ///< of one run of one figure; 0: the benchmark's own

  /// With a `usage` text, --help prints it and an option that is not among those above ends the
  /// process with code 2; without one, the benchmark has options of its own and unknown ones are
  /// left to it. Ends the process with code 2 when a value is missing or no number.
  static arguments parse(int argc, char** argv, std::string_view usage);
};

} // namespace warp::bench
