#pragma once

#include "gpu/batches.hpp"

#include <cstdint>
#include <string>

namespace warp::gpu {

/// What became of a batch on a backend. After anything but done its outputs hold anything.
enum class outcome : std::uint8_t {
  done,
  failed,        ///< the device refused or the computation failed: it may work the next time
  out_of_memory, ///< there was no room for the batch
  lost,          ///< the device has gone, in the middle of the batch or before it
};

/// Who can compute batches: the processor's three (judge_backend.hpp, cpu_backend.hpp) and devices.
///
/// A backend gets valid batches only (batch_rules.hpp) and never throws. It is called by one thread
/// at a time; it may use threads of its own. What a device needs (context, streams, pools) is made
/// when the backend is, or with the first batch, and kept: no allocation per batch.
class backend {
public:
  virtual ~backend() = default;

  /// For people: "CPU, AVX-512, 2 threads".
  [[nodiscard]] virtual std::string name() const = 0;

  virtual outcome run(const gravity_batch& b) noexcept = 0;
  virtual outcome run(const entropy_batch& b) noexcept = 0;
  virtual outcome run(const walk_batch& b) noexcept = 0;
  virtual outcome run(const evolution_batch& b) noexcept = 0;
  virtual outcome run(const heat_batch& b) noexcept = 0;
  virtual outcome run(const horizon_batch& b) noexcept = 0;
  virtual outcome run(const score_batch& b) noexcept = 0;
  virtual outcome run(const train_batch& b) noexcept = 0;
  virtual outcome run(const column_batch& b) noexcept = 0;
};

} // namespace warp::gpu
