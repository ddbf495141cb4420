#pragma once

#include "actors/universe_watch.hpp"
#include "messages/status.hpp"
#include "storage/watch.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

namespace warp::storage {
class engine;
}

namespace warp::actors {

/// A watch and whom it tells.
struct delivered_watch {
  std::mutex busy; ///< held while it is told
  std::unique_ptr<storage::watch> source;
  watch_callback on_event;
  std::atomic<bool> over{false};
  mutable std::mutex token_mutex;
  watch_token token;
};

/// The thread that calls the callbacks of a universe's watches, in turn; started with the first
/// one. Shared with the watches, so that neither has to go first.
class watch_delivery : public std::enable_shared_from_this<watch_delivery> {
public:
  ~watch_delivery();

  op_result<std::unique_ptr<universe_watch>> add(storage::engine& engine, watch_options options,
                                                 watch_callback on_event);
  /// Tells what is there to be told, then ends the thread. Not from a callback.
  void stop();

private:
  friend class warp::universe_watch;

  /// Watches that have something to tell. Outlives the delivery where the engine still knows it.
  struct ready_list {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::weak_ptr<delivered_watch>> watches;
    bool stopping = false;

    void push(std::weak_ptr<delivered_watch> w);
  };

  void work();
  static bool tell(delivered_watch& w);
  [[nodiscard]] bool on_its_thread() const { return id_.load() == std::this_thread::get_id(); }

  std::shared_ptr<ready_list> ready_ = std::make_shared<ready_list>();
  std::mutex mutex_; ///< guards thread_
  std::thread thread_;
  std::atomic<std::thread::id> id_{}; ///< of the thread, also while it is being stopped
};

} // namespace warp::actors
