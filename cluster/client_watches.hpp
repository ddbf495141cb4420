#pragma once

#include "cluster/client_core.hpp"
#include "cluster/client_watch.hpp"
#include "cluster/job_thread.hpp"
#include "messages/warp.capnp.h"
#include "messages/watch.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <kj/async.h>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace warp::cluster {

/// A watch and whom it tells.
struct watched {
  watch_options options;
  client_watch_callback on_event;
  std::chrono::milliseconds give_up_after{0}; ///< without a server; 0: never

  std::atomic<bool> over{false}; ///< no callback any more
  std::mutex busy;               ///< held while one is called
  mutable std::mutex token_mutex;
  watch_token token; ///< behind the last callback

  // On the client's loop.
  watch_token received;          ///< behind the last event that came in; told to the next server
  std::uint64_t incarnation = 0; ///< counts registrations: what an earlier one says is void
  kj::Maybe<wire::Watch::Client> handle; ///< only while a connection holds our end
};

/// All watches of a client: registers them, again after each loss of a connection, and hands their
/// events to the thread that calls back. Shared with the watches, so that neither has to go first.
class client_watches : public std::enable_shared_from_this<client_watches> {
public:
  /// Borrows the core until close().
  explicit client_watches(client_core& core) : core_(&core) {}
  /// Ends all callbacks: waits for one under way. Not from a callback.
  void close();

  /// Blocks until a server has it, or says why not.
  op_result<std::unique_ptr<client_watch>> add(watch_options options,
                                               client_watch_callback on_event,
                                               std::chrono::milliseconds give_up_after);
  void cancel(const std::shared_ptr<watched>& w);

private:
  class watcher_end;
  struct beginning;
  /// Events of one message, owned.
  struct batch {
    std::vector<watch_event> events; ///< views into `bytes`
    std::string bytes;
  };

  // on the loop
  void register_at_server(const std::shared_ptr<watched>& w, std::function<void(op_status)> first);
  kj::Promise<void> take(const std::shared_ptr<watched>& w, capnp::List<wire::WatchEvent>::Reader);
  void lost(const std::shared_ptr<watched>& w, std::uint64_t incarnation);
  void ended(const std::shared_ptr<watched>& w, std::uint64_t incarnation, op_status why);
  void give_up(const std::shared_ptr<watched>& w, op_status why);
  job_thread& callers();

  // on the caller's thread
  void tell(watched& w, const watch_event& event);

  std::mutex mutex_; ///< guards core_ and callers_
  client_core* core_;
  std::unique_ptr<job_thread> callers_;
  std::atomic<std::thread::id> calling_{}; ///< the thread of callers_
};

} // namespace warp::cluster
