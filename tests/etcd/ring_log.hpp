#pragma once

#include "cluster/etcd/prefix_watch.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

namespace warp::testing {

/// Collects what a watch tells, from its thread, for a test that waits for it.
class ring_log {
public:
  void operator()(const cluster::etcd::doorbell& ring) {
    {
      std::lock_guard lock{mutex_};
      rings_.push_back(ring);
    }
    changed_.notify_all();
  }
  /// Until somebody has told of the key at this revision or a later one, by name or among any;
  /// false after five minutes.
  [[nodiscard]] bool wait_for(const std::string& key, std::uint64_t revision) {
    return wait([&](const cluster::etcd::doorbell& ring) {
      return ring.revision >= revision &&
             (ring.keys.empty() ||
              std::find(ring.keys.begin(), ring.keys.end(), key) != ring.keys.end());
    });
  }
  /// Until there were so many.
  [[nodiscard]] bool wait_for_rings(std::size_t count) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, std::chrono::minutes{5}, [&] { return rings_.size() >= count; });
  }
  /// Until there was a ring without names.
  [[nodiscard]] bool wait_for_any() {
    return wait([](const cluster::etcd::doorbell& ring) { return ring.keys.empty(); });
  }
  [[nodiscard]] std::vector<cluster::etcd::doorbell> rings() const {
    std::lock_guard lock{mutex_};
    return rings_;
  }

private:
  template <class Matches>
  bool wait(Matches matches) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, std::chrono::minutes{5}, [&] {
      return std::find_if(rings_.begin(), rings_.end(), matches) != rings_.end();
    });
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<cluster::etcd::doorbell> rings_;
};

} // namespace warp::testing
