#pragma once

#include "gpu/batches.hpp"

#include <optional>
#include <string>

namespace warp::gpu {

// Two answers to one batch, from different backends: the same within the operation's tolerance?
// `a` and `b` are the batch with the outputs of each. Both answers are also looked at for what must
// hold whoever computed them. Nothing: the same. Else a sentence that names the first difference.
//
// Tolerances. They follow from float32 (2^-24 = 6e-8) and what an operation does with it:
//   gravity    scores 1e-5 of the larger one (a softened distance amplifies rounding by at most
//              1 / softening: 5e-7 / softening where that is more). Another place is as good if its
//              own attraction, by the formula, is the score within that.
//   entropy    2e-5 bits + 1e-6 of the value, float64 sums of float32 terms
//   walk       1e-5 absolute; each row sums to 1 within 1e-5 (at t <= 100; 1e-7 x t beyond)
//   evolution  1e-6 absolute; re^2 + im^2 + lower^2 is 1 within 1e-6
//   heat       1e-5 of the hottest; the sum is kept within 1e-5 of itself
//   horizon    none: whole numbers
//   score      1e-5 of the largest sum of |weight x feature| + |bias| of its row
//   train      1e-5 of the largest weight, old or new, and at least 1e-6
//   column     sums 1e-6 of the sum of the absolute terms; indices, values and counts exactly

using difference = std::optional<std::string>;

[[nodiscard]] difference differs(const gravity_batch& a, const gravity_batch& b);
[[nodiscard]] difference differs(const entropy_batch& a, const entropy_batch& b);
[[nodiscard]] difference differs(const walk_batch& a, const walk_batch& b);
[[nodiscard]] difference differs(const evolution_batch& a, const evolution_batch& b);
[[nodiscard]] difference differs(const heat_batch& a, const heat_batch& b);
[[nodiscard]] difference differs(const horizon_batch& a, const horizon_batch& b);
[[nodiscard]] difference differs(const score_batch& a, const score_batch& b);
[[nodiscard]] difference differs(const train_batch& a, const train_batch& b);
[[nodiscard]] difference differs(const column_batch& a, const column_batch& b);

} // namespace warp::gpu
