#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace warp::cluster {

/// Counts of durations, ns, in buckets that grow with the value: exact below 128 ns, then 64 to a
/// power of two, so that what a quantile says is at most 1.6 % above the truth, from nanoseconds to
/// hours, in 19 KiB. A value; one thread at a time.
class log_linear_histogram {
public:
  void record(std::uint64_t ns, std::uint64_t times = 1) noexcept {
    counts_[bucket_of(ns)] += times;
    count_ += times;
    max_ = std::max(max_, ns);
  }
  void add(const log_linear_histogram& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  /// The longest, exactly; 0: none.
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
  /// The duration that so large a share of all did not exceed, `share` in (0, 1]: the upper end of
  /// its bucket, never above max(). 0: there are none.
  [[nodiscard]] std::uint64_t quantile(double share) const noexcept {
    const auto rank = std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(share * static_cast<double>(count_) + 0.999999));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= rank && seen != 0) return std::min(upper_end(i), max_);
    }
    return max_;
  }

private:
  static constexpr unsigned step_bits = 6; // 64 buckets to a power of two
  static constexpr unsigned value_bits = 44;
  static constexpr std::size_t buckets = (value_bits - step_bits + 1) << step_bits;

  static constexpr std::size_t bucket_of(std::uint64_t ns) noexcept {
    ns = std::min(ns, (std::uint64_t{1} << value_bits) - 1);
    if (ns < (2u << step_bits)) return static_cast<std::size_t>(ns);
    const auto shift = static_cast<unsigned>(std::bit_width(ns)) - step_bits - 1;
    return (std::size_t{shift} << step_bits) + static_cast<std::size_t>(ns >> shift);
  }
  static constexpr std::uint64_t upper_end(std::size_t bucket) noexcept {
    if (bucket < (2u << step_bits)) return bucket;
    const auto shift = static_cast<unsigned>(bucket >> step_bits) - 1;
    const auto base = (bucket & ((1u << step_bits) - 1)) + (1u << step_bits);
    return ((std::uint64_t{base} + 1) << shift) - 1;
  }

  std::array<std::uint64_t, buckets> counts_{};
  std::uint64_t count_ = 0, max_ = 0;
};

} // namespace warp::cluster
