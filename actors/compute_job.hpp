#pragma once

#include "gpu/sample_batch.hpp"
#include "messages/status.hpp"

#include <cstdint>
#include <memory>

namespace warp::actors {

/// Which jobs come first.
enum class compute_rank : std::uint8_t {
  interactive, ///< somebody waits: taken as soon as a worker is free
  background,  ///< waits for others like it, and for those above; after 1 s it is their equal
};
inline constexpr std::size_t compute_ranks = 2;

/// "interactive", "background".
[[nodiscard]] constexpr const char* to_string(compute_rank rank) noexcept {
  return rank == compute_rank::interactive ? "interactive" : "background";
}

/// A batch of gpu/batches.hpp that somebody wants computed.
struct compute_job {
  gpu::any_batch batch;
  /// What its spans point into: held until the answer is there. Nobody else writes it meanwhile.
  std::shared_ptr<void> memory;
  compute_rank rank = compute_rank::background;
};

/// What became of a job. After anything but ok its outputs hold anything. Codes:
///   overloaded        the queue is full: nothing was done, later it may be taken
///   not_supported     gpu.mode is off
///   invalid_argument  its sizes do not fit each other
///   no_space          no memory for it, on the CPU as well
///   unavailable       its worker ended in the middle: nothing is known to be wrong with the job
///   shutting_down
struct compute_answer {
  op_status status;
  bool by_device = false; ///< a device gave the answer, not the CPU
};

} // namespace warp::actors
