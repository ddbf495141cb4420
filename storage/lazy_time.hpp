#pragma once

#include "storage/clock.hpp"

#include <cstdint>

namespace warp::storage {

/// Wall-clock time of a batch, read only if somebody asks: few records expire.
class lazy_time {
public:
  explicit lazy_time(const clock& time) : time_(time) {} ///< borrowed
  std::uint64_t ms() {
    if (ms_ == 0) ms_ = time_.now_ms();
    return ms_;
  }

private:
  const clock& time_;
  std::uint64_t ms_ = 0;
};

} // namespace warp::storage
