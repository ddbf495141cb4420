#pragma once

#include "gpu/cuda/device_runtime.hpp"
#include "gpu/cuda/jobs.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <set>

namespace warp::gpu {

/// All kernels of gpu/cuda, compiled for the CPU: a fiber a thread (fiber_machine.cpp).
[[nodiscard]] const device_kernels& emulated_kernels();

/// What the test keeps of an emulated device, and changes.
struct emulation {
  std::size_t memory_bytes = std::size_t{1} << 32; ///< of the device
  int fails_at = -1;                               ///< the n-th call from now on: see `fails_with`
  outcome fails_with = outcome::failed;            ///< lost: all after it fail, too
  bool lost = false;
  std::uint64_t calls = 0, allocations = 0, give_ups = 0;
  std::size_t used_bytes = 0; ///< now
};

/// A device whose memory is this process's: each array of it is allocated alone, poisoned, and
/// every address that is copied from or to is looked up. Copies are done at once, but only where a
/// stream would have come to them: those up when they are queued, those down when they are waited
/// for, so that what is read too early is poison.
class emulated_runtime final : public device_runtime {
public:
  explicit emulated_runtime(std::shared_ptr<emulation> script) : script_(std::move(script)) {}
  ~emulated_runtime() override;

  [[nodiscard]] std::string name() const override { return "emulated"; }
  outcome start() noexcept override;
  void give_up() noexcept override;
  [[nodiscard]] device_stream stream(unsigned) const noexcept override { return nullptr; }
  outcome allocate(void*& memory, std::size_t bytes) noexcept override;
  void release(void* memory) noexcept override;
  outcome allocate_pinned(void*& memory, std::size_t bytes) noexcept override;
  void release_pinned(void* memory) noexcept override;
  outcome copy_up(unsigned lane, void* to, const void* pinned, std::size_t bytes) noexcept override;
  outcome copy_down(unsigned lane, void* pinned, const void* from,
                    std::size_t bytes) noexcept override;
  outcome fill(unsigned lane, void* at, unsigned char byte, std::size_t bytes) noexcept override;
  outcome mark(unsigned number, unsigned lane) noexcept override;
  outcome wait_for(unsigned number) noexcept override;
  outcome wait(unsigned lane) noexcept override;
  [[nodiscard]] double seconds_between(unsigned, unsigned) noexcept override { return 1; }

private:
  struct copy {
    void* to;
    const void* from;
    std::size_t bytes;
  };
  outcome step() noexcept;
  outcome allocate(std::map<char*, std::size_t>& in, void*& memory, std::size_t bytes);
  static bool within(const std::map<char*, std::size_t>& in, const void* at, std::size_t bytes);
  void release_all(std::map<char*, std::size_t>& in);

  std::shared_ptr<emulation> script_;
  std::map<char*, std::size_t> device_, pinned_;
  std::vector<copy> waiting_[lanes];                           // copies down
  std::map<unsigned, std::pair<unsigned, std::size_t>> marks_; // lane, and copies before it
  std::size_t done_[lanes] = {};
};

} // namespace warp::gpu
