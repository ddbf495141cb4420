#pragma once

#include "gpu/cuda/device_runtime.hpp"

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace warp::gpu {

/// An array of a parcel, by its place in there.
template <class T>
struct placed {
  unsigned region;
  std::size_t offset;
};

/// What a batch, or a part of it, has on the device: inputs side by side, so that small ones travel
/// in one copy, then outputs likewise, then scratch. Each array begins at a multiple of 256 bytes.
/// Spans must live until the parcel is cleared. Sizes beyond all memory are kept as such.
class parcel {
public:
  static constexpr std::size_t alignment = 256;
  enum region : unsigned { inputs, outputs, scratches, regions };

  template <class T>
  placed<const T> in(std::span<const T> from) {
    return {inputs, add(inputs, const_cast<T*>(from.data()), from.size(), sizeof(T))};
  }
  template <class T>
  placed<T> out(std::span<T> to) {
    return {outputs, add(outputs, to.data(), to.size(), sizeof(T))};
  }
  template <class T>
  placed<T> scratch(std::size_t count) {
    return {scratches, add(scratches, nullptr, count, sizeof(T))};
  }
  void clear() noexcept;

  [[nodiscard]] std::size_t bytes(region of) const noexcept { return bytes_[of]; }
  [[nodiscard]] std::size_t begin(unsigned of) const noexcept;
  /// SIZE_MAX: more than there can be.
  [[nodiscard]] std::size_t bytes() const noexcept;
  /// Copies bytes begin .. begin + count of a region from or to where its spans are.
  void pack(std::byte* to, std::size_t begin, std::size_t count) const noexcept;
  void unpack(const std::byte* from, std::size_t begin, std::size_t count) const noexcept;

private:
  struct piece {
    std::byte* at;
    std::size_t offset, bytes;
  };
  std::size_t add(region to, void* at, std::size_t count, std::size_t size);
  template <class Copy>
  void for_each_within(region of, std::size_t begin, std::size_t count, Copy&& copy) const noexcept;

  std::vector<piece> pieces_[2]; // inputs and outputs
  std::size_t bytes_[regions] = {};
};

/// One stream with its memory on both sides, kept from batch to batch: device memory as much as the
/// largest parcel took, and two slots of pinned memory each way, so that filling one overlaps with
/// the copy from the other. What goes wrong is thrown as device_trouble.
class device_lane {
public:
  device_lane(device_runtime& runtime, unsigned number, std::size_t slot_bytes) noexcept
      : runtime_(runtime), number_(number), slot_bytes_(slot_bytes) {}
  ~device_lane();
  device_lane(const device_lane&) = delete;
  device_lane& operator=(const device_lane&) = delete;

  /// An empty parcel for the next batch or part: the same one each time.
  parcel& open() noexcept;
  /// Makes room for it on the device and sends its inputs: from now on at() is known.
  void send();
  template <class T>
  [[nodiscard]] T* at(placed<T> array) const noexcept {
    return reinterpret_cast<T*>(memory_ + parcel_.begin(array.region) + array.offset);
  }
  /// Sends the outputs back, begun by fetch() and finished, with all that the stream had to do, by
  /// collect().
  void fetch();
  void collect();
  /// Copies an array back now.
  template <class T>
  void download(std::span<T> to, const T* from) {
    download_bytes(reinterpret_cast<std::byte*>(to.data()), from, to.size_bytes());
  }
  void fill(void* at, unsigned char byte, std::size_t bytes);
  void wait();
  /// After the device was lost: the memory is no more.
  void forget() noexcept;

  [[nodiscard]] device_stream stream() const noexcept { return runtime_.stream(number_); }
  [[nodiscard]] unsigned number() const noexcept { return number_; }

private:
  enum way : unsigned { up, down, ways };
  [[nodiscard]] unsigned mark_of(way w, std::size_t slot) const noexcept {
    return number_ * 4 + w * 2 + static_cast<unsigned>(slot % 2);
  }
  [[nodiscard]] std::byte* slot(way w, std::size_t number) noexcept {
    return pinned_[w] + number % 2 * slot_bytes_;
  }
  void make_room(std::size_t bytes);
  std::byte* allocate(std::size_t bytes);
  void begin_down(const std::byte* from, std::size_t bytes, std::size_t slot_number);
  void download_bytes(std::byte* to, const void* from, std::size_t bytes);

  device_runtime& runtime_;
  const unsigned number_;
  const std::size_t slot_bytes_;
  parcel parcel_;
  std::byte* memory_ = nullptr;
  std::size_t room_ = 0;
  std::byte* pinned_[ways] = {};
  std::size_t ups_ = 0; // slots sent so far
};

/// Thrown within this folder, and caught there.
struct device_trouble {
  outcome what;
};
inline void must(outcome what) {
  if (what != outcome::done) throw device_trouble{what};
}

} // namespace warp::gpu
