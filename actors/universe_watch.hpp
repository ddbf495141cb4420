#pragma once

#include "messages/watch.hpp"

#include <functional>
#include <memory>

namespace warp {

namespace actors {
struct delivered_watch;
class watch_delivery;
} // namespace actors

/// Called for each event of a watch, in the order of the contract in messages/watch.hpp, by one
/// thread of the universe that serves all its watches: what takes long delays the other ones
/// (front ends and writers never notice), and what piles up meanwhile is bounded, see
/// watch_kind::lagged. It may use the universe and end any watch, its own too; it must not throw,
/// and not stop the universe.
using watch_callback = std::function<void(const watch_event&)>;

/// A watch of a universe, which it may outlive. Thread-safe.
class universe_watch {
public:
  universe_watch(std::shared_ptr<actors::delivered_watch> w,
                 std::shared_ptr<actors::watch_delivery> by);
  /// As cancel().
  ~universe_watch();
  universe_watch(const universe_watch&) = delete;
  universe_watch& operator=(const universe_watch&) = delete;

  /// Behind the last event whose callback has returned: where another watch can go on.
  [[nodiscard]] watch_token token() const;
  /// Ends it without an event. Once this has returned the callback is not called any more; waits
  /// for a call under way, unless it is called from one.
  void cancel();

private:
  std::shared_ptr<actors::delivered_watch> watch_;
  std::shared_ptr<actors::watch_delivery> by_;
};

} // namespace warp
