#include "gpu/cuda/cuda_devices.hpp"

#include "gpu/cuda/compiled_kernels.hpp"
#include "gpu/cuda/sorting.cuh"

#include <cuda_runtime.h>

#include <utility>

namespace warp::gpu {

namespace {

constexpr device_kernels kernels_of_build{
    compiled::gravity,   compiled::entropy,
    compiled::degrees,   compiled::normalise,
    compiled::heat,      compiled::walk_start,
    compiled::walk,      compiled::walk_end,
    compiled::evolution, compiled::horizon_keys,
    compiled::horizon,   compiled::score,
    compiled::train,     compiled::column,
    compiled::compact,   compiled::top,
    compiled::top_keys,  compiled::top_names,
    sort_room,           sort_keys,
    scan_room,           scan_values,
};

constexpr int oldest_capability = 75;

/// CUDA's codes become ours here. What breaks a context breaks all that comes after it.
outcome outcome_of(cudaError_t error) noexcept {
  switch (error) {
  case cudaSuccess:
    return outcome::done;
  case cudaErrorMemoryAllocation:
    return outcome::out_of_memory;
  case cudaErrorIllegalAddress:
  case cudaErrorIllegalInstruction:
  case cudaErrorMisalignedAddress:
  case cudaErrorInvalidAddressSpace:
  case cudaErrorInvalidPc:
  case cudaErrorHardwareStackError:
  case cudaErrorLaunchFailure:
  case cudaErrorLaunchTimeout:
  case cudaErrorAssert:
  case cudaErrorECCUncorrectable:
  case cudaErrorNvlinkUncorrectable:
  case cudaErrorContextIsDestroyed:
  case cudaErrorDevicesUnavailable:
  case cudaErrorNoDevice:
  case cudaErrorInvalidDevice:
  case cudaErrorSystemNotReady:
  case cudaErrorCudartUnloading:
  case cudaErrorUnknown:
    return outcome::lost;
  default:
    return outcome::failed;
  }
}

class cuda_runtime final : public device_runtime {
public:
  cuda_runtime(int number, std::string name) : number_(number), name_(std::move(name)) {}
  ~cuda_runtime() override {
    if (!started_ || cudaSetDevice(number_) != cudaSuccess) return;
    for (auto& e : events_) cudaEventDestroy(e);
    for (auto& s : streams_) cudaStreamDestroy(s);
  }

  [[nodiscard]] std::string name() const override { return name_; }

  outcome start() noexcept override {
    if (const auto what = outcome_of(cudaSetDevice(number_)); what != outcome::done) return what;
    if (started_) return outcome::done;
    for (auto& s : streams_)
      if (const auto what = outcome_of(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
          what != outcome::done)
        return what;
    for (auto& e : events_)
      if (const auto what = outcome_of(cudaEventCreate(&e)); what != outcome::done) return what;
    started_ = true;
    return outcome::done;
  }
  // A context that an error has broken is no use to anyone in the process: the next one is whole.
  void give_up() noexcept override {
    started_ = false;
    static_cast<void>(cudaSetDevice(number_));
    static_cast<void>(cudaDeviceReset());
    static_cast<void>(cudaGetLastError());
  }
  [[nodiscard]] device_stream stream(unsigned lane) const noexcept override {
    return streams_[lane];
  }

  outcome allocate(void*& memory, std::size_t bytes) noexcept override {
    return allocated(cudaMalloc(&memory, bytes), memory);
  }
  void release(void* memory) noexcept override { static_cast<void>(cudaFree(memory)); }
  outcome allocate_pinned(void*& memory, std::size_t bytes) noexcept override {
    return allocated(cudaMallocHost(&memory, bytes), memory);
  }
  void release_pinned(void* memory) noexcept override { static_cast<void>(cudaFreeHost(memory)); }

  outcome copy_up(unsigned lane, void* to, const void* pinned,
                  std::size_t bytes) noexcept override {
    return outcome_of(cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice, streams_[lane]));
  }
  outcome copy_down(unsigned lane, void* pinned, const void* from,
                    std::size_t bytes) noexcept override {
    return outcome_of(cudaMemcpyAsync(pinned, from, bytes, cudaMemcpyDeviceToHost, streams_[lane]));
  }
  outcome fill(unsigned lane, void* at, unsigned char byte, std::size_t bytes) noexcept override {
    return outcome_of(cudaMemsetAsync(at, byte, bytes, streams_[lane]));
  }

  outcome mark(unsigned number, unsigned lane) noexcept override {
    return outcome_of(cudaEventRecord(events_[number], streams_[lane]));
  }
  outcome wait_for(unsigned number) noexcept override {
    return outcome_of(cudaEventSynchronize(events_[number]));
  }
  // A kernel that could not be started is no error of the stream.
  outcome wait(unsigned lane) noexcept override {
    const auto started = cudaGetLastError();
    const auto done = cudaStreamSynchronize(streams_[lane]);
    return outcome_of(done != cudaSuccess ? done : started);
  }
  [[nodiscard]] double seconds_between(unsigned from, unsigned to) noexcept override {
    float ms = 0;
    return cudaEventElapsedTime(&ms, events_[from], events_[to]) == cudaSuccess
               ? static_cast<double>(ms) / 1e3
               : 0;
  }

private:
  /// The error of an allocation is not to be taken for one of a kernel.
  static outcome allocated(cudaError_t error, void*& memory) noexcept {
    if (error == cudaSuccess) return outcome::done;
    memory = nullptr;
    static_cast<void>(cudaGetLastError());
    return outcome_of(error);
  }

  const int number_;
  const std::string name_;
  bool started_ = false;
  cudaStream_t streams_[lanes] = {};
  cudaEvent_t events_[marks] = {};
};

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

/// Why there is none.
std::string said_of(cudaError_t error) {
  int driver = 0, built_with = 0;
  static_cast<void>(cudaDriverGetVersion(&driver));
  static_cast<void>(cudaRuntimeGetVersion(&built_with));
  if (error == cudaErrorInsufficientDriver && driver == 0)
    return "no device: no NVIDIA driver is installed";
  if (error == cudaErrorInsufficientDriver)
    return "no device: the NVIDIA driver is too old, it knows CUDA " + version_text(driver) +
           " and this build needs " + version_text(built_with);
  if (error == cudaErrorNoDevice) return "no device: the NVIDIA driver finds none";
  return std::string{"no device: "} + cudaGetErrorString(error);
}

} // namespace

measurable_devices measurable_cuda_devices() {
  measurable_devices out;
  int count = 0;
  if (const auto error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    out.said = said_of(error);
    return out;
  }
  if (count == 0) out.said = said_of(cudaErrorNoDevice);
  for (int number = 0; number < count; ++number) {
    cudaDeviceProp properties{};
    if (const auto error = cudaGetDeviceProperties(&properties, number); error != cudaSuccess) {
      out.said += (out.said.empty() ? "" : "; ") + ("device " + std::to_string(number)) +
                  " is left out: " + cudaGetErrorString(error);
      continue;
    }
    const auto capability =
        std::to_string(properties.major) + "." + std::to_string(properties.minor);
    if (properties.major * 10 + properties.minor < oldest_capability) {
      out.said += (out.said.empty() ? "" : "; ") + std::string{properties.name} +
                  " is left out: its compute capability is " + capability +
                  ", this build needs 7.5";
      continue;
    }
    auto name = std::string{properties.name} + ", CUDA device " + std::to_string(number) + ", " +
                std::to_string(properties.multiProcessorCount) + " multiprocessors";
    out.found.push_back(std::make_unique<device_backend>(
        std::make_unique<cuda_runtime>(number, std::move(name)), kernels_of_build));
  }
  return out;
}

device_list cuda_devices() {
  auto measurable = measurable_cuda_devices();
  device_list out;
  out.said = std::move(measurable.said);
  for (auto& d : measurable.found) out.found.push_back(std::move(d));
  return out;
}

} // namespace warp::gpu
