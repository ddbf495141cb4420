#pragma once

#include "gpu/batches.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace warp::gpu {

/// From how much work on (batch_rules.hpp, work_of) a device beats the CPU, by operation: measured
/// on the machine itself, as both sides differ from one to the next.
struct calibration {
  static constexpr std::uint64_t never = UINT64_MAX;

  std::string cpu, device; ///< names of the backends that were measured
  std::array<std::uint64_t, operations> crossover{};

  [[nodiscard]] std::uint64_t of(operation kind) const noexcept {
    return crossover[static_cast<std::size_t>(kind)];
  }
  friend bool operator==(const calibration&, const calibration&) = default;
};

/// A calibration as a small file, a line each, the last one a check of all bytes before it:
///
///     warp gpu calibration 1
///     cpu CPU, AVX-512, 2 threads
///     device NAME
///     gravity 65536
///     ...
///     check 1f0c33a2b4d5e6f7
///
/// Whoever uses the library keeps it where it keeps its files.
[[nodiscard]] std::string to_text(const calibration& c);
/// What such a text says, or a sentence why it can't be believed: it was measured anew, then.
[[nodiscard]] std::variant<calibration, std::string> calibration_from(std::string_view text);

} // namespace warp::gpu
