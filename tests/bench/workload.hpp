#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace warp::bench {

/// xorshift64*: a nanosecond a number, the same for the same seed.
class fast_random {
public:
  explicit fast_random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t operator()() noexcept {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  double unit() noexcept { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

private:
  std::uint64_t state_;
};

/// "key:" and twelve digits: 16 bytes.
struct key_text {
  char bytes[17];
  explicit key_text(std::uint64_t number = 0) { set(number); }
  void set(std::uint64_t number) noexcept {
    std::memcpy(bytes, "key:", 4);
    for (int i = 15; i >= 4; --i, number /= 10) bytes[i] = static_cast<char>('0' + number % 10);
    bytes[16] = 0;
  }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes, 16}; }
};

/// Ranks 0 .. n-1 with probability proportional to 1 / (rank + 1)^theta, scattered over the key
/// space. Gray et al., "Quickly generating billion-record synthetic databases" (1994), the formula
/// YCSB uses.
class zipf {
public:
  zipf(std::uint64_t n, double theta) : n_(n), theta_(theta) {
    for (std::uint64_t i = 1; i <= n; ++i) zeta_ += 1 / std::pow(static_cast<double>(i), theta);
    const double zeta2 = 1 + std::pow(0.5, theta);
    alpha_ = 1 / (1 - theta);
    eta_ = (1 - std::pow(2.0 / static_cast<double>(n), 1 - theta)) / (1 - zeta2 / zeta_);
  }
  std::uint64_t operator()(fast_random& random) const noexcept {
    const double u = random.unit(), uz = u * zeta_;
    std::uint64_t rank = 0;
    if (uz >= 1)
      rank = uz < 1 + std::pow(0.5, theta_)
                 ? 1
                 : static_cast<std::uint64_t>(static_cast<double>(n_) *
                                              std::pow(eta_ * u - eta_ + 1, alpha_));
    return (rank * 0x9e3779b97f4a7c15u) % n_;
  }

private:
  std::uint64_t n_;
  double theta_, zeta_ = 0, alpha_ = 0, eta_ = 0;
};

} // namespace warp::bench
