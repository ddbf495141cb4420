#pragma once

#include "storage/universe_id.hpp"

#include <cstdint>
#include <string>

namespace warp::fuzzing {

// Each puts right what a fuzzer cannot guess: magic words, format numbers and checksums. So what it
// changes meets the code behind them. Bytes that are too short for any of it stay as they are.

/// What a segment belongs to.
struct segment_home {
  storage::universe_id universe;
  std::uint64_t generation = 0;
  std::uint64_t starts = 1; ///< numbers of starts are 1 to this
  std::uint32_t streams = 1;
};
/// A segment of the log: its header, and the frames that follow each other.
void seal_segment(std::string& bytes, const segment_home& home);

/// A checkpoint: header, blocks as far as they follow each other, footer with their number,
/// trailer.
void seal_checkpoint(std::string& bytes);

/// An object of a backup: header, chunks as the index has them, index, trailer.
void seal_backup_object(std::string& bytes);

} // namespace warp::fuzzing
