#pragma once

#include "storage/engine.hpp"
#include "storage/segment_maker.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

namespace warp::storage {

/// Drives the log streams of an engine, one plain thread each, and what they need beside them:
/// makes segments, checkpoints while the log presses, and new chains after a failure. Until
/// destroyed; for tools, tests and benchmarks. (A universe has supervised actors for it.) Destroy
/// it before engine::close().
class stream_threads {
public:
  explicit stream_threads(engine& e) {
    if (e.stream_count() == 0) return;
    for (std::uint32_t stream = 0; stream < e.stream_count(); ++stream)
      threads_.emplace_back([&e, stream](std::stop_token stop) {
        static_cast<void>(e.pin_stream_thread()); // not to be had: slower, not wrong
        std::stop_callback wake{stop, [&e, stream] { e.interrupt_stream(stream); }};
        while (!stop.stop_requested()) e.run_stream(stream, std::chrono::seconds{10});
      });
    maker_.emplace(e);
    threads_.emplace_back([this](std::stop_token stop) {
      std::stop_callback wake{stop, [this] { maker_->interrupt(); }};
      while (!stop.stop_requested()) maker_->run(std::chrono::seconds{10});
    });
    threads_.emplace_back([this, &e](std::stop_token stop) {
      std::unique_lock lock{mutex_};
      while (!changed_.wait_for(lock, stop, look_every, [] { return false; }) &&
             !stop.stop_requested()) {
        static_cast<void>(e.mend_log()); // tried again
        while (e.log_presses() && !stop.stop_requested()) {
          const auto due = e.due_checkpoints();
          // What fails stays due and is tried again.
          if (due.empty() || !e.checkpoint(due.front()).ok()) break;
        }
      }
    });
  }
  /// Checkpoints first: one that is under way needs the streams to its end.
  ~stream_threads() {
    while (!threads_.empty()) threads_.pop_back();
  }

private:
  static constexpr std::chrono::milliseconds look_every{20};

  std::optional<segment_maker> maker_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<std::jthread> threads_;
};

} // namespace warp::storage
