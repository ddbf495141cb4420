#pragma once

#include <chrono>
#include <mutex>

namespace warp::storage {

class engine;

/// Makes the next segment of each log stream ahead of its writer, so that no round waits for a
/// segment full of zeros. While one exists the writers leave it to it, and help themselves only
/// when it comes too late. `e`, with a data folder, outlives it.
class segment_maker {
public:
  explicit segment_maker(engine& e);
  ~segment_maker();
  segment_maker(const segment_maker&) = delete;
  segment_maker& operator=(const segment_maker&) = delete;

  /// One turn: waits up to `wait_max` until a stream wants a segment, then makes what is wanted.
  /// What fails, for want of space above all, is tried again by the next turns. To be called in a
  /// loop, by one thread at a time; a second one waits.
  void run(std::chrono::milliseconds wait_max);
  void interrupt() noexcept; ///< ends the waiting of run(); any thread

private:
  engine& engine_;
  std::mutex running_;
  bool failed_ = false; ///< the last turn could not make all
};

} // namespace warp::storage
