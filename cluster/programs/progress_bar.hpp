#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace warp::programs {

/// One line on standard error that shows how far a load is: share, count, rate and time left.
/// Silent where standard error is no terminal. One thread.
class progress_bar {
public:
  /// `bytes_total` 0: not known (a pipe), then without share and time left.
  explicit progress_bar(std::uint64_t bytes_total);
  /// Takes the line away.
  ~progress_bar();
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;

  /// May be called as often as one likes: draws a few times a second.
  void update(std::uint64_t bytes, std::uint64_t records);
  /// Takes the line away, so that something else can be written; it comes back with the next
  /// update.
  void hide();

  [[nodiscard]] std::chrono::milliseconds elapsed() const;

private:
  std::uint64_t bytes_total_;
  bool shown_;
  bool visible_ = false;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now(), drawn_{};
};

} // namespace warp::programs
