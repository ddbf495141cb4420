#pragma once

#include "tests/bench/random.hpp"
#include "tests/bench/zipf.hpp"

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace warp::bench {

/// "key:" and twelve digits: 16 bytes, made within a few nanoseconds, without a division or a
/// table.
struct key_text {
  char bytes[16];
  explicit key_text(std::uint64_t number = 0) noexcept { set(number); }
  /// number below 10^12.
  void set(std::uint64_t number) noexcept {
    std::uint32_t first = 0x3030'3030;
    auto rest = number;
    if (number >= 100'000'000) { // never or always in a measured loop: foreseen
      const auto high = number / 100'000'000;
      rest = number - high * 100'000'000;
      first = static_cast<std::uint32_t>(eight_digits(high) >> 32);
    }
    rest = eight_digits(rest);
    std::memcpy(bytes, "key:", 4);
    std::memcpy(bytes + 4, &first, 4);
    std::memcpy(bytes + 8, &rest, 8);
  }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes, 16}; }

private:
  /// The decimal digits of a number below 10^8, the first in the lowest byte: the number is split
  /// into halves, quarters and digits that share one register.
  static std::uint64_t eight_digits(std::uint64_t n) noexcept {
    const auto halves = n / 10'000 | (n % 10'000) << 32;
    const auto hundreds = (halves * 10'486 >> 20) & 0x0000'007f'0000'007f;
    const auto pairs = hundreds | (halves - hundreds * 100) << 16;
    const auto tens = (pairs * 103 >> 10) & 0x000f'000f'000f'000f;
    return 0x3030'3030'3030'3030 + (tens | (pairs - tens * 10) << 8);
  }
};

/// Numbers of keys, one after the other, for a measured loop: drawn uniformly on the spot (a
/// nanosecond), or read from a list that was made before (zipf), which streams through the cache. A
/// list is borrowed and may be shared by threads that start at different places.
class key_stream {
public:
  key_stream(std::uint64_t keys, std::uint64_t seed) noexcept : random_(seed), keys_(keys) {}
  key_stream(const std::vector<std::uint32_t>& list, std::uint64_t seed) noexcept
      : random_(seed), list_(&list), at_(random_.below(list.size())) {}

  std::uint32_t next() noexcept {
    if (!list_) return random_.below(keys_);
    if (at_ == list_->size()) at_ = 0;
    return (*list_)[at_++];
  }
  /// One of 2^32 values, for choices.
  std::uint32_t choice() noexcept { return static_cast<std::uint32_t>(random_() >> 32); }

private:
  fast_random random_;
  std::uint64_t keys_ = 0;
  const std::vector<std::uint32_t>* list_ = nullptr;
  std::size_t at_ = 0;
};

/// `count` numbers of keys below `keys` by a zipf law, scattered over the key space.
inline std::vector<std::uint32_t> zipf_list(std::uint64_t keys, double theta, std::size_t count,
                                            std::uint64_t seed = 1) {
  const zipf ranks{keys, theta};
  const scatter place{keys};
  fast_random random{seed};
  std::vector<std::uint32_t> list(count);
  for (auto& number : list) number = static_cast<std::uint32_t>(place(ranks(random)));
  return list;
}

} // namespace warp::bench
