#include "gpu/cuda/device_lane.hpp"

#include <algorithm>
#include <cstdint>

namespace warp::gpu {

namespace {

constexpr std::size_t too_much = SIZE_MAX / 4;

std::size_t rounded_up(std::size_t bytes) noexcept {
  return (bytes + parcel::alignment - 1) / parcel::alignment * parcel::alignment;
}

} // namespace

// -- parcel ---------------------------------------------------------------------------------------

std::size_t parcel::add(region to, void* at, std::size_t count, std::size_t size) {
  const auto offset = bytes_[to];
  const auto bytes = count > too_much / size ? too_much : count * size;
  if (to != scratches && bytes != 0)
    pieces_[to].push_back({static_cast<std::byte*>(at), offset, bytes});
  bytes_[to] = std::min(offset + rounded_up(bytes), too_much);
  return offset;
}

void parcel::clear() noexcept {
  for (auto& p : pieces_) p.clear();
  for (auto& b : bytes_) b = 0;
}

std::size_t parcel::begin(unsigned of) const noexcept {
  std::size_t at = 0;
  for (unsigned r = 0; r < of; ++r) at += bytes_[r];
  return at;
}

std::size_t parcel::bytes() const noexcept {
  const auto all = begin(regions);
  return all >= too_much ? SIZE_MAX : all;
}

template <class Copy>
void parcel::for_each_within(region of, std::size_t begin, std::size_t count,
                             Copy&& copy) const noexcept {
  for (const auto& p : pieces_[of]) {
    const auto from = std::max(begin, p.offset), end = std::min(begin + count, p.offset + p.bytes);
    if (from < end) copy(p.at + (from - p.offset), from - begin, end - from);
  }
}

void parcel::pack(std::byte* to, std::size_t begin, std::size_t count) const noexcept {
  for_each_within(inputs, begin, count, [&](const std::byte* at, std::size_t to_at, std::size_t n) {
    std::memcpy(to + to_at, at, n);
  });
}

void parcel::unpack(const std::byte* from, std::size_t begin, std::size_t count) const noexcept {
  for_each_within(outputs, begin, count, [&](std::byte* at, std::size_t from_at, std::size_t n) {
    std::memcpy(at, from + from_at, n);
  });
}

// -- lane -----------------------------------------------------------------------------------------

device_lane::~device_lane() {
  if (memory_) runtime_.release(memory_);
  for (auto* const p : pinned_)
    if (p) runtime_.release_pinned(p);
}

parcel& device_lane::open() noexcept {
  parcel_.clear();
  return parcel_;
}

std::byte* device_lane::allocate(std::size_t bytes) {
  void* memory = nullptr;
  const auto what = runtime_.allocate(memory, bytes);
  if (what == outcome::lost) throw device_trouble{what};
  return static_cast<std::byte*>(memory);
}

// A quarter more than is needed, so that batches that grow slowly do not allocate each time.
void device_lane::make_room(std::size_t bytes) {
  if (bytes == SIZE_MAX) throw device_trouble{outcome::out_of_memory};
  for (auto& p : pinned_) {
    if (p) continue;
    void* memory = nullptr;
    must(runtime_.allocate_pinned(memory, 2 * slot_bytes_));
    p = static_cast<std::byte*>(memory);
  }
  if (bytes <= room_ && memory_) return;
  if (memory_) {
    runtime_.release(memory_);
    memory_ = nullptr;
    room_ = 0;
  }
  const auto ample = std::max<std::size_t>(bytes + bytes / 4, 1 << 20);
  room_ = ample;
  memory_ = allocate(ample);
  if (!memory_) {
    room_ = bytes;
    memory_ = allocate(bytes);
  }
  if (memory_) return;
  room_ = 0;
  throw device_trouble{outcome::out_of_memory};
}

void device_lane::send() {
  make_room(parcel_.bytes());
  const auto bytes = parcel_.bytes(parcel::inputs);
  for (std::size_t sent = 0; sent < bytes; ++ups_) {
    const auto count = std::min(slot_bytes_, bytes - sent);
    must(runtime_.wait_for(mark_of(up, ups_))); // its copy before this one
    parcel_.pack(slot(up, ups_), sent, count);
    must(runtime_.copy_up(number_, memory_ + sent, slot(up, ups_), count));
    must(runtime_.mark(mark_of(up, ups_), number_));
    sent += count;
  }
}

void device_lane::begin_down(const std::byte* from, std::size_t bytes, std::size_t slot_number) {
  const auto begin = slot_number * slot_bytes_;
  if (begin >= bytes) return;
  must(runtime_.copy_down(number_, slot(down, slot_number), from + begin,
                          std::min(slot_bytes_, bytes - begin)));
  must(runtime_.mark(mark_of(down, slot_number), number_));
}

void device_lane::fetch() {
  const auto* const from = memory_ + parcel_.begin(parcel::outputs);
  for (std::size_t s = 0; s < 2; ++s) begin_down(from, parcel_.bytes(parcel::outputs), s);
}

void device_lane::collect() {
  const auto* const from = memory_ + parcel_.begin(parcel::outputs);
  const auto bytes = parcel_.bytes(parcel::outputs);
  for (std::size_t s = 0; s * slot_bytes_ < bytes; ++s) {
    must(runtime_.wait_for(mark_of(down, s)));
    const auto begin = s * slot_bytes_;
    parcel_.unpack(slot(down, s), begin, std::min(slot_bytes_, bytes - begin));
    begin_down(from, bytes, s + 2);
  }
  wait();
}

void device_lane::download_bytes(std::byte* to, const void* from, std::size_t bytes) {
  const auto* const begin = static_cast<const std::byte*>(from);
  for (std::size_t s = 0; s < 2; ++s) begin_down(begin, bytes, s);
  for (std::size_t s = 0; s * slot_bytes_ < bytes; ++s) {
    must(runtime_.wait_for(mark_of(down, s)));
    const auto at = s * slot_bytes_;
    std::memcpy(to + at, slot(down, s), std::min(slot_bytes_, bytes - at));
    begin_down(begin, bytes, s + 2);
  }
}

void device_lane::fill(void* at, unsigned char byte, std::size_t bytes) {
  if (bytes != 0) must(runtime_.fill(number_, at, byte, bytes));
}

void device_lane::wait() {
  must(runtime_.wait(number_));
}

void device_lane::forget() noexcept {
  memory_ = nullptr;
  room_ = 0;
  for (auto& p : pinned_) p = nullptr;
}

} // namespace warp::gpu
