#pragma once

#include "actors/service.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace warp::actors {

/// A service and whether it runs: what survives the restarts of its actor. Thread-safe; start and
/// stop exclude each other.
class service_slot {
public:
  struct start_result {
    op_status status;
    bool final = false; ///< a first start that failed, or closed: not to be tried again
  };

  explicit service_slot(std::shared_ptr<service> s) : service_(std::move(s)) {}

  [[nodiscard]] service& get() const noexcept { return *service_; }

  /// Starts it, after stopping what an earlier actor left behind within `stop_bound`.
  start_result start(std::function<void(op_status)> on_failure,
                     std::chrono::milliseconds stop_bound) {
    std::lock_guard guard{mutex_};
    stop_locked(std::chrono::steady_clock::now() + stop_bound);
    if (closed_) return {op_code::shutting_down, true};
    service_->on_failure(std::move(on_failure));
    auto status = service_->start();
    running_ = status.ok();
    const bool first = !std::exchange(answered_, true);
    if (first) first_.set_value(status);
    closed_ = first && !running_;
    return {std::move(status), closed_};
  }

  /// Until the next start.
  void stop(std::chrono::steady_clock::time_point deadline) {
    std::lock_guard guard{mutex_};
    stop_locked(deadline);
  }

  /// For good: a later start answers shutting_down.
  void close(std::chrono::steady_clock::time_point deadline) {
    std::lock_guard guard{mutex_};
    closed_ = true;
    if (!std::exchange(answered_, true)) first_.set_value(op_code::shutting_down);
    stop_locked(deadline);
  }

  /// What became of the first start of all; to be asked for once.
  [[nodiscard]] std::future<op_status> first_start() { return first_.get_future(); }

private:
  void stop_locked(std::chrono::steady_clock::time_point deadline) {
    service_->on_failure({});
    if (std::exchange(running_, false)) service_->stop(deadline);
  }

  std::shared_ptr<service> service_;
  std::mutex mutex_;
  bool running_ = false, answered_ = false, closed_ = false;
  std::promise<op_status> first_;
};

/// The services of a universe, in the order they were added. Thread-safe.
class service_list {
public:
  /// False: there is one of that name.
  bool add(const std::shared_ptr<service_slot>& slot) {
    std::lock_guard guard{mutex_};
    const auto name = slot->get().name();
    for (auto& other : slots_)
      if (other->get().name() == name) return false;
    slots_.push_back(slot);
    return true;
  }
  void remove(const std::shared_ptr<service_slot>& slot) {
    std::lock_guard guard{mutex_};
    std::erase(slots_, slot);
  }
  [[nodiscard]] std::vector<std::shared_ptr<service_slot>> all() const {
    std::lock_guard guard{mutex_};
    return slots_;
  }

private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<service_slot>> slots_;
};

} // namespace warp::actors
