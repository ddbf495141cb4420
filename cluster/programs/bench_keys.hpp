#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

namespace warp::programs {

/// xorshift64*: a nanosecond a number, the same for the same seed.
class fast_random {
public:
  explicit fast_random(std::uint64_t seed) noexcept : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t operator()() noexcept {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  /// [0, 1)
  double unit() noexcept { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

private:
  std::uint64_t state_;
};

/// Which of so many keys is next: each as often as the others (skew 0), or the n-th most popular
/// one with probability proportional to 1 / n^skew, popular ones scattered over the key space.
/// (Gray et al., "Quickly generating billion-record synthetic databases", 1994.) A value.
class key_chooser {
public:
  /// `skew` in [0, 1). Takes time in proportion to `keys` when it is not 0.
  key_chooser(std::uint64_t keys, double skew) : keys_(keys), skew_(skew) {
    if (skew == 0) return;
    for (std::uint64_t i = 1; i <= keys; ++i) zeta_ += std::pow(static_cast<double>(i), -skew);
    second_ = 1 + std::pow(0.5, skew);
    alpha_ = 1 / (1 - skew);
    eta_ = (1 - std::pow(2.0 / static_cast<double>(keys), 1 - skew)) / (1 - second_ / zeta_);
  }

  std::uint64_t operator()(fast_random& random) const noexcept {
    if (skew_ == 0) return random() % keys_;
    const double u = random.unit(), uz = u * zeta_;
    std::uint64_t rank = 0;
    if (uz >= second_)
      rank = static_cast<std::uint64_t>(static_cast<double>(keys_) *
                                        std::pow(eta_ * u - eta_ + 1, alpha_));
    else if (uz >= 1)
      rank = 1;
    return rank * 0x9e3779b97f4a7c15u % keys_;
  }

private:
  std::uint64_t keys_;
  double skew_, zeta_ = 0, second_ = 0, alpha_ = 0, eta_ = 0;
};

/// The n-th key of a benchmark: a prefix that nobody else should use, and twelve digits.
class bench_key {
public:
  static constexpr std::string_view prefix = "warp-bench:";
  explicit bench_key(std::uint64_t number) noexcept {
    prefix.copy(bytes_, prefix.size());
    for (auto i = sizeof bytes_; i-- > prefix.size(); number /= 10)
      bytes_[i] = static_cast<char>('0' + number % 10);
  }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_, sizeof bytes_}; }
  static constexpr std::size_t size = prefix.size() + 12;

private:
  char bytes_[size];
};

} // namespace warp::programs
