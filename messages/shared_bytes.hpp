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

  /// A part of what somebody owns, all of which stays as long as the part.
  shared_bytes(std::shared_ptr<const char[]> owner, std::string_view part)
      : bytes_(std::move(owner), part.data()), size_(part.size()) {}

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

  /// Who keeps the bytes, or nullptr for borrowed ones.
  [[nodiscard]] const std::shared_ptr<const char[]>& owner() const noexcept { return bytes_; }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.get(), size_}; }
  operator std::string_view() const noexcept { return view(); } // NOLINT

  friend bool operator==(const shared_bytes& a, const shared_bytes& b) noexcept {
    return a.view() == b.view();
  }

private:
  std::shared_ptr<const char[]> bytes_;
  std::size_t size_ = 0;
};

/// Makes many small shared_bytes side by side in few pieces of memory: cheaper to make, and to read
/// one after the other. A piece stays until the last of its bytes is gone, so they should go about
/// as they came. One thread at a time; what it makes is anybody's.
class shared_bytes_maker {
public:
  static constexpr std::size_t piece_bytes = 16u << 10;

  template <class Fill>
  [[nodiscard]] shared_bytes made(std::size_t size, Fill&& fill) {
    if (size > piece_bytes / 4) return shared_bytes::made(size, std::forward<Fill>(fill));
    if (size == 0) return {};
    if (size > left_) {
      piece_ = std::make_shared_for_overwrite<char[]>(piece_bytes);
      left_ = piece_bytes;
    }
    char* const at = piece_.get() + (piece_bytes - left_);
    fill(at);
    left_ -= size;
    return {piece_, {at, size}};
  }

private:
  std::shared_ptr<char[]> piece_;
  std::size_t left_ = 0;
};

} // namespace warp
