#pragma once

#include "cluster/loop_signal.hpp"
#include "messages/warp.capnp.h"
#include "messages/watch.hpp"
#include "storage/watch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <kj/async.h>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace warp::cluster {

class rpc_watch;
struct rpc_context;

/// What one connection holds: its calls that wait for the disk; its watches, and the bytes that
/// they may have sent without an answer. So a client that does not answer costs a bounded amount,
/// however many watches it has.
struct connection_watches {
  std::size_t calls_waiting = 0;
  std::size_t count = 0;
  std::size_t unanswered_bytes = 0;
  std::deque<std::uint64_t> waiting; ///< for room among the unanswered, each once

  void wait(std::uint64_t id) {
    if (std::find(waiting.begin(), waiting.end(), id) == waiting.end()) waiting.push_back(id);
  }
};

/// The watches of one event loop: brings the news that a watch has something to send from the
/// thread that carries changes to the loop. On the loop's thread, but for the hooks.
class rpc_watches {
public:
  explicit rpc_watches(kj::UnixEventPort& port);
  ~rpc_watches() noexcept;

  [[nodiscard]] std::uint64_t next_id() noexcept { return ++last_id_; }
  void add(std::uint64_t id, rpc_watch& w) { watches_.emplace(id, &w); }
  void remove(std::uint64_t id) { watches_.erase(id); }
  /// Lets the watch send what it has.
  void wake(std::uint64_t id);
  /// For storage::engine::watch_changes(): wakes the watch from any thread.
  [[nodiscard]] std::function<void()> hook(std::uint64_t id) const;
  /// Tells all of them that it is over.
  void end_all(const op_status& why);

private:
  /// Outlives the loop where the engine still knows it.
  struct inbox {
    std::mutex mutex;
    std::vector<std::uint64_t> ready;
    loop_signal* signal = nullptr; ///< null when the loop has ended
  };

  kj::Promise<void> listen();

  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, rpc_watch*> watches_;
  loop_signal signal_;
  std::shared_ptr<inbox> inbox_;
  kj::Promise<void> listening_;
};

/// The `Watch` capability of one watch: sends its events to the client's `Watcher`, a few messages
/// ahead of the answers. Lives as long as the client holds it.
class rpc_watch final : public wire::Watch::Server, private kj::TaskSet::ErrorHandler {
public:
  rpc_watch(rpc_context& context, std::shared_ptr<connection_watches> of, std::uint64_t id,
            wire::Watcher::Client watcher, std::unique_ptr<storage::watch> source);
  ~rpc_watch() noexcept(false);

  /// Sends what there is, as far as it may be sent.
  void send();
  void end(const op_status& why);

private:
  void answered(std::size_t bytes);
  void taskFailed(kj::Exception&& e) override;

  rpc_context& context_;
  const std::shared_ptr<connection_watches> of_;
  const std::uint64_t id_;
  wire::Watcher::Client watcher_;
  std::unique_ptr<storage::watch> source_;
  std::vector<storage::watch_change_ptr> changes_; // scratch
  std::size_t in_flight_ = 0, in_flight_bytes_ = 0;
  bool over_ = false;
  kj::TaskSet tasks_; // last: holds on to all of the above
};

} // namespace warp::cluster
