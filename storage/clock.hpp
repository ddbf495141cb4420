#pragma once

#include <chrono>
#include <cstdint>

namespace warp::storage {

/// Wall-clock time for expiry and log timestamps. Whoever needs it receives one, so tests can hand
/// in their own. Thread-safe.
class clock {
public:
  virtual ~clock() = default;
  /// Microseconds since 1970 (UTC).
  [[nodiscard]] virtual std::uint64_t now_us() const noexcept = 0;
  [[nodiscard]] std::uint64_t now_ms() const noexcept { return now_us() / 1'000; }
};

class system_clock final : public clock {
public:
  [[nodiscard]] std::uint64_t now_us() const noexcept override {
    using namespace std::chrono;
    return static_cast<std::uint64_t>(
        duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
  }
};

} // namespace warp::storage
