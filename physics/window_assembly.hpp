#pragma once

#include "physics/access_sample.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace warp::physics {

/// What stands for a key in what is learned, whatever hash the table uses and after a restart too:
/// 64 bits of its bytes. O(key).
[[nodiscard]] std::uint64_t key_id(std::string_view key) noexcept;

/// Puts the samples of request windows together again: those of several connections and threads
/// come mixed, and a window may lie across two batches. Memory is kept from window to window.
class window_assembly {
public:
  struct accessed {
    std::uint64_t id = 0; ///< key_id()
    std::string key;
    std::uint32_t bytes = 0;
    std::uint16_t shard = 0;
  };
  /// A whole window, in the order of its accesses.
  struct window {
    std::uint32_t id = 0;
    bool together = false;
    std::uint64_t last_ms = 0;
    [[nodiscard]] std::span<const accessed> accesses() const noexcept {
      return {keys.data(), count};
    }

    std::vector<accessed> keys; ///< more than count: their memory is used again
    std::size_t count = 0;
  };

  /// accesses_max: a longer window is closed and goes on as another one. windows_max: with more
  /// open ones the oldest is closed. Both >= 1.
  explicit window_assembly(std::size_t accesses_max = 64, std::size_t windows_max = 64)
      : accesses_max_(accesses_max), windows_max_(windows_max) {}

  /// A sample of a window, with its key. Windows that it closes go to `use(const window&)`.
  template <class Use>
  void add(const access_sample& sample, Use&& use) {
    auto* to = find(sample.window);
    if (!to) {
      if (open_ == windows_max_) close(oldest(), use);
      to = &begin(sample.window, sample.together);
    }
    append(*to, sample);
    if (to->count >= accesses_max_) close(static_cast<std::size_t>(to - windows_.data()), use);
  }
  /// Closes the windows that had their last access at or before a time.
  template <class Use>
  void close_until(std::uint64_t time_ms, Use&& use) {
    for (std::size_t i = open_; i-- > 0;)
      if (windows_[i].last_ms <= time_ms) close(i, use);
  }
  [[nodiscard]] std::size_t open() const noexcept { return open_; }

private:
  [[nodiscard]] window* find(std::uint32_t id) noexcept;
  [[nodiscard]] std::size_t oldest() const noexcept;
  window& begin(std::uint32_t id, bool together);
  static void append(window& to, const access_sample& sample);
  /// Gives the window away and puts it behind the open ones.
  template <class Use>
  void close(std::size_t at, Use&& use) {
    use(static_cast<const window&>(windows_[at]));
    std::swap(windows_[at], windows_[--open_]);
    latest_ = 0;
  }

  std::size_t accesses_max_, windows_max_;
  std::vector<window> windows_; ///< the open ones, then those whose memory waits
  std::size_t open_ = 0;
  std::size_t latest_ = 0; ///< where the last sample went: mostly the next one goes there too
};

} // namespace warp::physics
