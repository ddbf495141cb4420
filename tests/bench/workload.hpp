#pragma once

#include "tests/bench/random.hpp"
#include "tests/bench/zipf.hpp"

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace warp::bench {

/// "key:0000" and a number below 2^32 in eight letters, 'a' for 0 to 'p' for 15: 16 bytes, made
/// with a dozen instructions. In a measured loop what makes the keys stands in the processor's
/// window beside what is measured: the longer it is, the fewer calls overlap.
struct key_text {
  char bytes[16];
  explicit key_text(std::uint64_t number = 0) noexcept { set(number); }
  /// One store of all 16 bytes: a load that spans two stores just made would wait until both have
  /// left the processor's store buffer, and the calls of a loop would not overlap at all.
  void set(std::uint64_t number) noexcept {
    using two_words [[gnu::vector_size(16)]] = std::uint64_t;
    const two_words both{0x3030'3030'3a79'656b, eight_letters(number)};
    std::memcpy(bytes, &both, sizeof bytes);
  }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes, 16}; }

private:
  /// The letters of a number, the first in the lowest byte: halves, quarters and digits are moved
  /// apart in one register.
  static std::uint64_t eight_letters(std::uint64_t n) noexcept {
    n = (n | n << 16) & 0x0000'ffff'0000'ffff;
    n = (n | n << 8) & 0x00ff'00ff'00ff'00ff;
    n = (n | n << 4) & 0x0f0f'0f0f'0f0f'0f0f;
    return __builtin_bswap64(n + 0x6161'6161'6161'6161);
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
