#pragma once

#include "gpu/backend.hpp"
#include "gpu/cuda/simt.cuh"

#include <cstddef>
#include <string>

namespace warp::gpu {

/// What a device can be asked for besides kernels: memory, copies, order and time. One thread at a
/// time. Nothing waits but wait(), wait_for() and seconds_between(); an error of anything that was
/// queued may be reported by any later call. outcome::lost: nothing on the device can be used any
/// more, until give_up() and start().
class device_runtime {
public:
  static constexpr unsigned lanes = 2;  ///< streams: one is filled while the other computes
  static constexpr unsigned marks = 16; ///< points in a stream that can be waited for

  virtual ~device_runtime() = default;
  /// For people, the same for as long as it is there: "NVIDIA L4, CUDA".
  [[nodiscard]] virtual std::string name() const = 0;

  /// Before each batch, by the thread that computes it. The first time it makes the streams.
  virtual outcome start() noexcept = 0;
  /// After it was lost: takes back all of its memory, on both sides, and streams.
  virtual void give_up() noexcept = 0;
  [[nodiscard]] virtual device_stream stream(unsigned lane) const noexcept = 0;

  /// Memory on the device; null unless done.
  virtual outcome allocate(void*& memory, std::size_t bytes) noexcept = 0;
  virtual void release(void* memory) noexcept = 0;
  /// Memory on this side that copies can run beside.
  virtual outcome allocate_pinned(void*& memory, std::size_t bytes) noexcept = 0;
  virtual void release_pinned(void* memory) noexcept = 0;

  virtual outcome copy_up(unsigned lane, void* to, const void* pinned,
                          std::size_t bytes) noexcept = 0;
  virtual outcome copy_down(unsigned lane, void* pinned, const void* from,
                            std::size_t bytes) noexcept = 0;
  /// Sets every byte.
  virtual outcome fill(unsigned lane, void* at, unsigned char byte, std::size_t bytes) noexcept = 0;

  /// Marks what was queued in a lane so far; the last time counts.
  virtual outcome mark(unsigned number, unsigned lane) noexcept = 0;
  /// Until what a mark stands for is done; a mark never set is.
  virtual outcome wait_for(unsigned number) noexcept = 0;
  virtual outcome wait(unsigned lane) noexcept = 0;
  /// Seconds of the device's clock between two marks that were waited for.
  [[nodiscard]] virtual double seconds_between(unsigned from, unsigned to) noexcept = 0;
};

} // namespace warp::gpu
