#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace warp::physics {

/// Writes numbers and texts one after the other into bytes, little-endian whatever the machine. A
/// value.
class byte_writer {
public:
  void u8(std::uint8_t v) { bytes_.push_back(static_cast<char>(v)); }
  void u32(std::uint32_t v) { number(v, 4); }
  void u64(std::uint64_t v) { number(v, 8); }
  void f64(double v) { u64(std::bit_cast<std::uint64_t>(v)); }
  /// Its length and its bytes; below 4 GiB.
  void text(std::string_view v) {
    u32(static_cast<std::uint32_t>(v.size()));
    bytes_.append(v);
  }
  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }

private:
  void number(std::uint64_t v, int width) {
    for (int i = 0; i < width; ++i) u8(static_cast<std::uint8_t>(v >> 8 * i));
  }
  std::string bytes_;
};

/// Reads them back, in the same order. What lies beyond the end is 0 or empty, and good() says so
/// from then on. The bytes outlive the reader and the texts it gives.
class byte_reader {
public:
  explicit byte_reader(std::string_view bytes) noexcept : rest_(bytes) {}

  std::uint8_t u8() noexcept { return static_cast<std::uint8_t>(number(1)); }
  std::uint32_t u32() noexcept { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() noexcept { return number(8); }
  double f64() noexcept { return std::bit_cast<double>(u64()); }
  std::string_view text() noexcept { return take(u32()); }

  /// Has everything been there so far?
  [[nodiscard]] bool good() const noexcept { return good_; }
  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

private:
  std::string_view take(std::size_t count) noexcept {
    if (!good_ || count > rest_.size()) {
      good_ = false;
      return {};
    }
    const auto out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
  }
  std::uint64_t number(std::size_t width) noexcept {
    std::uint64_t v = 0;
    const auto bytes = take(width);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      v |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << 8 * i;
    return v;
  }

  std::string_view rest_;
  bool good_ = true;
};

} // namespace warp::physics
