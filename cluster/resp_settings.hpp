#pragma once

#include "messages/status.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace warp::cluster {

/// What CONFIG GET and SET of the RESP port know: names of Redis that clients and tools ask for,
/// with what they are worth here. Those that change nothing here can't be set to anything else
/// than they are; a few can be changed live. Thread-safe.
class resp_settings {
public:
  /// `memory_max`: bytes; `logged`: is there a log (appendonly)?
  resp_settings(std::uint64_t memory_max, std::uint64_t bulk_max, std::size_t connections_max,
                std::uint16_t port, bool logged, bool synced);

  /// Name and value of all whose name matches one of the patterns.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>>
  find(std::span<const std::string_view> patterns) const;
  /// Sets all of them, or none: the status holds Redis's error text.
  op_status set(std::span<const std::string_view> names_and_values);

  // What can be changed live, for the I/O threads.
  std::atomic<std::int64_t> slower_than_us{10'000}; ///< slow log; below 0: off
  std::atomic<std::uint64_t> slow_log_max{128};
  std::atomic<std::uint64_t> idle_seconds_max{0}; ///< of a connection; 0: no limit
  std::atomic<std::uint64_t> bulk_bytes_max;

private:
  enum class sort : std::uint8_t { fixed, free, number };
  struct setting {
    std::string name, value;
    sort how = sort::fixed;
    std::int64_t min = 0, max = 0;
  };
  void apply(const setting& s);
  setting* by_name(std::string_view name);

  const std::uint64_t bulk_hard_max_;
  mutable std::mutex mutex_;
  std::vector<setting> settings_;
};

} // namespace warp::cluster
