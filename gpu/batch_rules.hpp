#pragma once

#include "gpu/batches.hpp"

#include <cstdint>
#include <string_view>

namespace warp::gpu {

/// Stable lower-case name of an operation: "gravity".
[[nodiscard]] std::string_view to_string(operation kind) noexcept;

/// Do all sizes fit each other, and do offsets, links, sources and labels stay within them? Reads
/// offsets and indices once; never the numbers.
[[nodiscard]] bool valid(const gravity_batch& b) noexcept;
[[nodiscard]] bool valid(const entropy_batch& b) noexcept;
[[nodiscard]] bool valid(const walk_batch& b) noexcept;
[[nodiscard]] bool valid(const evolution_batch& b) noexcept;
[[nodiscard]] bool valid(const heat_batch& b) noexcept;
[[nodiscard]] bool valid(const horizon_batch& b) noexcept;
[[nodiscard]] bool valid(const score_batch& b) noexcept;
[[nodiscard]] bool valid(const train_batch& b) noexcept;
[[nodiscard]] bool valid(const column_batch& b) noexcept;

/// How much there is to do, in the operation's own unit: pairs, buckets, links x sources x time,
/// states, links, accesses x settings, weights x rows, values. The dispatcher compares it with the
/// measured crossover. O(1).
[[nodiscard]] std::uint64_t work_of(const gravity_batch& b) noexcept;
[[nodiscard]] std::uint64_t work_of(const entropy_batch& b) noexcept;
[[nodiscard]] std::uint64_t work_of(const walk_batch& b) noexcept;
[[nodiscard]] std::uint64_t work_of(const evolution_batch& b) noexcept;
[[nodiscard]] std::uint64_t work_of(const heat_batch& b) noexcept;
[[nodiscard]] std::uint64_t work_of(const horizon_batch& b) noexcept;
[[nodiscard]] std::uint64_t work_of(const score_batch& b) noexcept;
[[nodiscard]] std::uint64_t work_of(const train_batch& b) noexcept;
[[nodiscard]] std::uint64_t work_of(const column_batch& b) noexcept;

/// Calls f(span&) for each output of a batch, in the order in which they are declared.
template <class Use>
void for_each_output(gravity_batch& b, Use&& f) {
  f(b.place), f(b.score), f(b.field);
}
template <class Use>
void for_each_output(entropy_batch& b, Use&& f) {
  f(b.entropy_bits), f(b.evenness), f(b.divergence_bits);
}
template <class Use>
void for_each_output(walk_batch& b, Use&& f) {
  f(b.probability);
}
template <class Use>
void for_each_output(evolution_batch& b, Use&& f) {
  f(b.upper_re), f(b.upper_im), f(b.lower);
}
template <class Use>
void for_each_output(heat_batch& b, Use&& f) {
  f(b.after);
}
template <class Use>
void for_each_output(horizon_batch& b, Use&& f) {
  f(b.missed);
}
template <class Use>
void for_each_output(score_batch& b, Use&& f) {
  f(b.score);
}
template <class Use>
void for_each_output(train_batch& b, Use&& f) {
  f(b.trained);
}
template <class Use>
void for_each_output(column_batch& b, Use&& f) {
  f(b.sum), f(b.mean), f(b.dot), f(b.top_at), f(b.top_value), f(b.passed), f(b.passed_count);
}

} // namespace warp::gpu
