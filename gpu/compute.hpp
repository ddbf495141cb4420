#pragma once

#include "gpu/batches.hpp"
#include "gpu/calibration.hpp"
#include "gpu/circuit_breaker.hpp"
#include "gpu/cpu_backend.hpp"
#include "gpu/find_devices.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace warp::gpu {

struct compute_options {
  cpu_options cpu;
  unsigned check_one_in = 100; ///< batches of a device that are computed on both; 0: none
  unsigned queue_max = 8;      ///< batches at one device, computed or waiting; more go to the CPU
  std::uint64_t calibrate_up_to = 1 << 20; ///< largest work that a crossover is looked for at
};

/// What became of a batch.
enum class answer : std::uint8_t {
  by_cpu,
  by_device,
  invalid,       ///< its sizes don't fit each other: nothing was computed
  out_of_memory, ///< on the CPU as well: the outputs hold anything, a smaller batch may pass
};

/// The only door to this library: a batch goes in, its outputs are filled when run() returns.
///
/// A batch whose work is beyond the measured crossover of its operation goes to the device with the
/// shortest queue, the others to the CPU. Whatever a device does (fails, runs out of memory,
/// vanishes in the middle, answers wrongly and is caught) the answer comes from the CPU then,
/// within the tolerances of answer_check.hpp, and is counted. Each device has a queue and a circuit
/// breaker of its own. One of check_one_in batches, and each probe of a half-open breaker, is
/// computed by the CPU as well; if they differ the breaker opens and the CPU's answer is the one
/// that counts.
///
/// Time comes in as an argument: seconds since any fixed moment, never back. run() may be called by
/// several threads: each device, and the CPU, computes one batch at a time, and callers wait for
/// their turn. Nothing throws but the constructor.
///
///     compute c{{.cpu = {.threads = 4}}};
///     c.calibrate(file_content, clock);       // only where there is a device
///     c.run(gravity_batch{...}, now_s);
class compute {
public:
  explicit compute(const compute_options& options = {}, device_list devices = find_devices());
  /// With another CPU backend than the reference.
  compute(const compute_options& options, device_list devices, std::unique_ptr<backend> cpu);

  // -- batches -----------------------------------------------------------------------------------

  answer run(const gravity_batch& b, double now_s) noexcept;
  answer run(const entropy_batch& b, double now_s) noexcept;
  answer run(const walk_batch& b, double now_s) noexcept;
  answer run(const evolution_batch& b, double now_s) noexcept;
  answer run(const heat_batch& b, double now_s) noexcept;
  answer run(const horizon_batch& b, double now_s) noexcept;
  answer run(const score_batch& b, double now_s) noexcept;
  answer run(const train_batch& b, double now_s) noexcept;
  answer run(const column_batch& b, double now_s) noexcept;

  // -- crossover ---------------------------------------------------------------------------------

  struct calibrated {
    bool measured = false;
    std::string said; ///< why it was measured, or that it was not
    std::string text; ///< for the file, calibration.hpp
  };
  /// Crossovers from the text of an earlier calibration, if it is whole and of these backends; else
  /// measured now (about a second), with `clock` in seconds. Without a device nothing is
  /// measured. Until this is called no batch goes to a device. Not while run() is called.
  calibrated calibrate(std::string_view text, const std::function<double()>& clock);
  [[nodiscard]] const calibration& crossovers() const noexcept { return calibration_; }

  /// What a sample of about so much work takes, transfers included: the best of three, < 0 where it
  /// could not be computed.
  struct timing {
    operation kind = operation::gravity;
    std::uint64_t work = 0;
    double cpu_s = -1, device_s = -1; ///< of the first device; < 0 also where there is none
  };
  /// For people: one a kind, whatever the crossovers and breakers say. Not while run() is called.
  /// Throws std::bad_alloc.
  [[nodiscard]] std::vector<timing> measure(std::uint64_t work,
                                            const std::function<double()>& clock);

  // -- what happened -----------------------------------------------------------------------------

  struct counters {
    std::array<std::uint64_t, operations> on_cpu{}, on_device{}; ///< answers that counted, by kind
    std::uint64_t invalid = 0;
    std::uint64_t fallbacks = 0;     ///< answers of the CPU after a device had failed
    std::uint64_t queues_full = 0;   ///< batches that went to the CPU because of it
    std::uint64_t breakers_open = 0; ///< the same, as no breaker let them through
    std::uint64_t checked = 0;       ///< computed on both
    std::uint64_t mismatched = 0;    ///< of them different
  };
  [[nodiscard]] counters counted() const;

  struct device_state {
    std::string name;
    circuit_breaker::state breaker = circuit_breaker::state::closed;
    std::uint64_t openings = 0, batches = 0, failed = 0, out_of_memory = 0, lost = 0;
    unsigned waiting = 0;
    std::string last_trouble; ///< empty: none so far
  };
  [[nodiscard]] std::vector<device_state> devices() const;

  /// What computes, and why nothing else does: a line each.
  [[nodiscard]] std::string status() const;

private:
  struct device {
    std::unique_ptr<backend> driver;
    std::mutex turn; ///< its queue: who holds it computes
    // Under state_:
    circuit_breaker breaker;
    device_state seen;
  };
  struct ticket {
    device* to = nullptr; ///< null: the CPU
    bool checked = false;
  };

  template <class Batch>
  answer run_any(const Batch& b, double now_s) noexcept;
  template <class Batch>
  bool run_on_device(const Batch& b, const ticket& t, double now_s) noexcept;
  /// Computed by the CPU too: the same?
  template <class Batch>
  bool check(const Batch& b, device& d, double now_s) noexcept;
  ticket choose(operation kind, std::uint64_t work, double now_s) noexcept;
  void trouble(device& d, outcome what, double now_s) noexcept;
  std::uint64_t measured_crossover(operation kind, const std::function<double()>& clock);
  [[nodiscard]] std::string device_names() const;

  const compute_options options_;
  const std::string said_;
  std::unique_ptr<backend> cpu_;
  std::mutex cpu_turn_;
  std::vector<std::unique_ptr<device>> devices_;
  calibration calibration_;
  mutable std::mutex state_;
  counters counted_;             // under state_
  std::uint64_t on_devices_ = 0; // under state_; to choose those that are checked
};

} // namespace warp::gpu
