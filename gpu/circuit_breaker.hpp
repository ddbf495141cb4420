#pragma once

#include <cstdint>
#include <string_view>

namespace warp::gpu {

/// When a device is left alone. Time comes in as an argument, in seconds since any fixed moment.
///
///     closed --5 failures in a row, or trip()--> open --30 s--> half open --failure--> open
///        ^                                                          |
///        +---------------------------- success ---------------------+
///
/// A half-open breaker lets one batch through, the probe; the others go elsewhere until it is back.
/// Not thread-safe.
class circuit_breaker {
public:
  static constexpr unsigned failures_max = 5; ///< in a row
  static constexpr double rest_s = 30;
  enum class state : std::uint8_t { closed, open, half_open };

  /// May a batch be tried now? True of a breaker that was open: it is the probe, and success(),
  /// failure() or trip() must follow.
  [[nodiscard]] bool allows(double now_s) noexcept;
  void success() noexcept;
  void failure(double now_s) noexcept;
  /// Opens at once: the device has gone, or answers wrongly.
  void trip(double now_s) noexcept;

  [[nodiscard]] state now() const noexcept { return state_; }
  /// Times that it opened.
  [[nodiscard]] std::uint64_t openings() const noexcept { return openings_; }

private:
  state state_ = state::closed;
  unsigned failures_ = 0;
  double opened_s_ = 0;
  std::uint64_t openings_ = 0;
};

/// "closed", "open", "half open".
[[nodiscard]] std::string_view to_string(circuit_breaker::state state) noexcept;

} // namespace warp::gpu
