#include "tests/gpu/emulated_device.hpp"

#include "gpu/cuda/column.cuh"
#include "gpu/cuda/entropy.cuh"
#include "gpu/cuda/evolution.cuh"
#include "gpu/cuda/gravity.cuh"
#include "gpu/cuda/heat.cuh"
#include "gpu/cuda/horizon.cuh"
#include "gpu/cuda/score.cuh"
#include "gpu/cuda/train.cuh"
#include "gpu/cuda/walk.cuh"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>

namespace warp::gpu {

const device_kernels& emulated_kernels() {
  static const device_kernels kernels{
      .gravity = &gravity_kernels::run,
      .entropy = &entropy_kernels::run,
      .degrees = &walk_kernels::degrees,
      .normalise = &walk_kernels::normalise,
      .heat = &heat_kernels::run,
      .walk_start = &walk_kernels::start,
      .walk = &walk_kernels::step,
      .walk_end = &walk_kernels::end,
      .evolution = &evolution_kernels::run,
      .horizon_keys = &horizon_kernels::number,
      .horizon = &horizon_kernels::run,
      .score = &score_kernels::run,
      .train = &train_kernels::run,
      .column = &column_kernels::run,
      .compact = &column_kernels::compact,
      .top = &column_kernels::top,
      .top_keys = &column_kernels::top_keys,
      .top_names = &column_kernels::top_names,
      .sort_room = [](std::size_t) { return std::size_t{1}; },
      .sort =
          [](const std::uint64_t* keys, std::uint64_t* sorted, std::size_t count, void*,
             std::size_t, device_stream) {
            std::partial_sort_copy(keys, keys + count, sorted, sorted + count, std::greater<>{});
          },
      .scan_room = [](std::size_t) { return std::size_t{1}; },
      .scan =
          [](const std::uint32_t* values, std::uint32_t* before, std::size_t count, void*,
             std::size_t, device_stream) {
            std::uint32_t sum = 0;
            for (std::size_t i = 0; i < count; ++i) {
              before[i] = sum;
              sum += values[i];
            }
          },
  };
  return kernels;
}

emulated_runtime::~emulated_runtime() {
  release_all(device_);
  release_all(pinned_);
}

outcome emulated_runtime::step() noexcept {
  ++script_->calls;
  if (script_->lost) return outcome::lost;
  if (script_->fails_at < 0 || script_->fails_at-- > 0) return outcome::done;
  script_->lost = script_->fails_with == outcome::lost;
  return script_->fails_with;
}

outcome emulated_runtime::start() noexcept {
  return step();
}

void emulated_runtime::give_up() noexcept {
  ++script_->give_ups;
  release_all(device_);
  release_all(pinned_);
  marks_.clear();
  for (unsigned l = 0; l < lanes; ++l) {
    waiting_[l].clear();
    done_[l] = 0;
  }
}

outcome emulated_runtime::allocate(std::map<char*, std::size_t>& in, void*& memory,
                                   std::size_t bytes) {
  memory = nullptr;
  if (const auto what = step(); what != outcome::done) return what;
  if (bytes > script_->memory_bytes - std::min(script_->memory_bytes, script_->used_bytes))
    return outcome::out_of_memory;
  auto* const at = static_cast<char*>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
  if (!at) return outcome::out_of_memory;
  std::memset(at, 0xff, bytes);
  in[at] = bytes;
  script_->used_bytes += bytes;
  ++script_->allocations;
  memory = at;
  return outcome::done;
}

void emulated_runtime::release_all(std::map<char*, std::size_t>& in) {
  for (const auto& [at, bytes] : in) {
    script_->used_bytes -= bytes;
    std::free(at);
  }
  in.clear();
}

bool emulated_runtime::within(const std::map<char*, std::size_t>& in, const void* at,
                              std::size_t bytes) {
  auto* const begin = static_cast<char*>(const_cast<void*>(at));
  const auto behind = in.upper_bound(begin);
  if (behind == in.begin()) return false;
  const auto& [from, size] = *std::prev(behind);
  return begin + bytes <= from + size;
}

outcome emulated_runtime::allocate(void*& memory, std::size_t bytes) noexcept {
  return allocate(device_, memory, bytes);
}
outcome emulated_runtime::allocate_pinned(void*& memory, std::size_t bytes) noexcept {
  return allocate(pinned_, memory, bytes);
}
void emulated_runtime::release(void* memory) noexcept {
  const auto at = device_.find(static_cast<char*>(memory));
  if (at == device_.end()) std::abort();
  script_->used_bytes -= at->second;
  std::free(at->first);
  device_.erase(at);
}
void emulated_runtime::release_pinned(void* memory) noexcept {
  const auto at = pinned_.find(static_cast<char*>(memory));
  if (at == pinned_.end()) std::abort();
  script_->used_bytes -= at->second;
  std::free(at->first);
  pinned_.erase(at);
}

outcome emulated_runtime::copy_up(unsigned, void* to, const void* pinned,
                                  std::size_t bytes) noexcept {
  if (!within(device_, to, bytes) || !within(pinned_, pinned, bytes)) std::abort();
  if (const auto what = step(); what != outcome::done) return what;
  std::memcpy(to, pinned, bytes);
  return outcome::done;
}

outcome emulated_runtime::copy_down(unsigned lane, void* pinned, const void* from,
                                    std::size_t bytes) noexcept {
  if (!within(device_, from, bytes) || !within(pinned_, pinned, bytes)) std::abort();
  if (const auto what = step(); what != outcome::done) return what;
  waiting_[lane].push_back({pinned, from, bytes});
  return outcome::done;
}

outcome emulated_runtime::fill(unsigned, void* at, unsigned char byte, std::size_t bytes) noexcept {
  if (!within(device_, at, bytes)) std::abort();
  if (const auto what = step(); what != outcome::done) return what;
  std::memset(at, byte, bytes);
  return outcome::done;
}

outcome emulated_runtime::mark(unsigned number, unsigned lane) noexcept {
  if (number >= marks) std::abort();
  if (const auto what = step(); what != outcome::done) return what;
  marks_[number] = {lane, waiting_[lane].size()};
  return outcome::done;
}

outcome emulated_runtime::wait_for(unsigned number) noexcept {
  if (const auto what = step(); what != outcome::done) return what;
  const auto mark = marks_.find(number);
  if (mark == marks_.end()) return outcome::done;
  const auto [lane, end] = mark->second;
  for (; done_[lane] < end; ++done_[lane]) {
    const auto& c = waiting_[lane][done_[lane]];
    std::memcpy(c.to, c.from, c.bytes);
  }
  return outcome::done;
}

outcome emulated_runtime::wait(unsigned lane) noexcept {
  if (const auto what = step(); what != outcome::done) return what;
  for (; done_[lane] < waiting_[lane].size(); ++done_[lane]) {
    const auto& c = waiting_[lane][done_[lane]];
    std::memcpy(c.to, c.from, c.bytes);
  }
  return outcome::done;
}

} // namespace warp::gpu
