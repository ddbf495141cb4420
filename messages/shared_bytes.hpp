#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace warp {

/// Bytes that never change once they are made, so that whoever logs, sends or applies them shares
/// them: a copy is a reference. Any thread may hold one. Making one may throw std::bad_alloc.
class shared_bytes {
public:
  shared_bytes() = default;
  shared_bytes(std::string_view bytes) // NOLINT: bytes are bytes
      : shared_bytes(made(bytes.size(), [&](char* to) { std::ranges::copy(bytes, to); })) {}
  shared_bytes(const std::string& bytes) : shared_bytes(std::string_view{bytes}) {} // NOLINT
  shared_bytes(const char* text) : shared_bytes(std::string_view{text}) {}          // NOLINT

  /// `fill` writes all of them.
  template <class Fill>
  [[nodiscard]] static shared_bytes made(std::size_t size, Fill&& fill) {
    shared_bytes all;
    if (size == 0) return all;
    auto bytes = std::make_shared_for_overwrite<char[]>(size);
    fill(bytes.get());
    all.bytes_ = std::move(bytes);
    all.size_ = size;
    return all;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.get(), size_}; }
  operator std::string_view() const noexcept { return view(); } // NOLINT

  friend bool operator==(const shared_bytes& a, const shared_bytes& b) noexcept {
    return a.bytes_ == b.bytes_ || a.view() == b.view();
  }

private:
  std::shared_ptr<const char[]> bytes_;
  std::size_t size_ = 0;
};

} // namespace warp
