#pragma once

#include <cstdint>

namespace warp::bench {

/// Counts the instructions that this process executes outside the kernel: by the thread that makes
/// it and all threads begun after that. What other users of the machine do doesn't show in it.
class instruction_counter {
public:
  instruction_counter() noexcept;
  ~instruction_counter();
  instruction_counter(const instruction_counter&) = delete;
  instruction_counter& operator=(const instruction_counter&) = delete;

  /// False: the machine, or its kernel.perf_event_paranoid, has no such counter for us.
  [[nodiscard]] bool works() const noexcept { return file_ >= 0; }
  [[nodiscard]] std::uint64_t now() const noexcept;

private:
  int file_;
};

} // namespace warp::bench
