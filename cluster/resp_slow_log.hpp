#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

/// The commands that took long, newest first. Thread-safe.
class resp_slow_log {
public:
  struct entry {
    std::uint64_t id = 0;
    std::int64_t at_s = 0; ///< since 1970
    std::int64_t took_us = 0;
    std::vector<std::string> arguments; ///< shortened as in Redis: 32 of them, 128 bytes each
    std::string address, name;          ///< of the client
  };

  void add(entry e, std::size_t entries_max);
  [[nodiscard]] std::vector<entry> newest(std::size_t count) const;
  [[nodiscard]] std::size_t size() const;
  void clear();

  /// The arguments as an entry keeps them.
  static std::vector<std::string> shortened(std::span<const std::string_view> arguments);

private:
  mutable std::mutex mutex_;
  std::uint64_t next_ = 0;
  std::deque<entry> entries_;
};

} // namespace warp::cluster
