#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace warp::cluster::replication {

/// A moment of a node's own clock, in microseconds. It goes on while the machine sleeps
/// (CLOCK_BOOTTIME) and is never compared with another node's.
using moment = std::int64_t;
inline constexpr moment milliseconds = 1'000;
inline constexpr moment seconds = 1'000'000;

/// R7, the side that gives: until when this copy has promised not to take over. One value per
/// shard, raised before each Ack, never lowered, whatever the epoch.
class lease_promise {
public:
  /// At a process start everything is promised that an earlier life may have promised.
  lease_promise(moment start, moment length) : until_(start + length) {}

  void raise(moment received, moment length) { until_ = std::max(until_, received + length); }
  [[nodiscard]] moment until() const { return until_; }
  [[nodiscard]] bool has_passed(moment now) const { return now >= until_; }

private:
  moment until_;
};

/// R7, the side that takes: what one member has granted, counted from when the message was *sent*
/// that the member acknowledged.
class lease_grant {
public:
  void take(moment sent_at) {
    if (!from_ || *from_ < sent_at) from_ = sent_at;
  }
  [[nodiscard]] bool is_valid(moment now, moment length) const {
    return from_ && now < *from_ + length;
  }

private:
  std::optional<moment> from_;
};

} // namespace warp::cluster::replication
