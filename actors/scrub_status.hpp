#pragma once

#include "storage/verify.hpp"

#include <cstdint>
#include <string>

namespace warp::actors {

/// What scrubbing has done since the start; a copy.
struct scrub_status {
  std::uint64_t begun = 0, finished = 0; ///< runs: begun, or asked for and about to; ended
  std::uint64_t files = 0, bytes = 0;    ///< checked, of all runs and the one under way
  std::uint64_t finished_at_ms = 0;      ///< when the last run ended; 0: none has
  storage::verify_report last;           ///< of the last run that ended
  std::string failure;                   ///< why that one could not check everything; empty: it did
};

} // namespace warp::actors
