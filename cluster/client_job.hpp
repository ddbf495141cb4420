#pragma once

#include "cluster/client_types.hpp"
#include "messages/ids.hpp"
#include "messages/operations.hpp"
#include "messages/status.hpp"
#include "messages/warp.capnp.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <kj/async.h>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace warp::cluster {

class client_link;

using client_clock = std::chrono::steady_clock;

/// Operations of one call on their way to a server and back. Built by the caller's thread, then the
/// client's loop's alone until `done` is called.
struct client_job {
  struct item {
    operation op; ///< key and value live until `done`: in `bytes`, or with a caller that waits
    std::uint64_t ttl_ms = 0;
    bool answered = false;
    bool under_way = false; ///< sent, the answer may still come
    bool lost = false;      ///< sent before, and the answer was lost
    op_status refusal;      ///< the last answer that a retry may cure
  };

  std::vector<item> items;
  std::string bytes; ///< keys and values, when the caller does not keep them
  std::vector<client_reply> replies;
  bool atomic = false;     ///< all or nothing, in one message
  op_status atomic_status; ///< how that ended
  std::size_t open = 0;    ///< items without an answer
  std::size_t size_bytes = 0;
  bool has_writes = false;
  std::uint64_t first_number = 0; ///< request number of item 0; the others follow
  unsigned attempts = 0;          ///< refusals so far, for the back-off
  /// The link that carries a job of several messages, so that they arrive in order.
  client_link* link = nullptr;
  client_clock::time_point deadline;
  std::function<void(client_job&)> done; ///< on the loop's thread, once
  bool finished = false;
  std::list<std::shared_ptr<client_job>>::iterator place; ///< among the open jobs
};

/// Items [begin, end) of a job.
struct client_slice {
  std::shared_ptr<client_job> job;
  std::uint32_t begin = 0, end = 0;
};

/// Appends item `index` of the job, to the last slice if it follows on.
inline void add_item(std::vector<client_slice>& to, const std::shared_ptr<client_job>& job,
                     std::uint32_t index) {
  if (!to.empty() && to.back().job == job && to.back().end == index)
    ++to.back().end;
  else
    to.push_back({job, index, index + 1});
}

/// Any other call: what `send` does with a session. Its results go where its closure says, which
/// must outlive a caller that has stopped to wait.
struct client_call {
  std::function<kj::Promise<op_status>(wire::Session::Client session)> send;
  bool once = false; ///< not to be repeated when its answer was lost
  /// In a cluster: for the node that serves this slot. Nothing: any node will do.
  std::optional<slot_id> slot;
  client_clock::time_point deadline;
  bool sent = false;
  unsigned attempts = 0;
  op_status refusal;
  std::function<void(op_status)> done; ///< on the loop's thread, once
  bool finished = false;
  std::list<std::shared_ptr<client_call>>::iterator place; ///< among the open calls
};

/// Whether a later try may well succeed, since nothing was done.
[[nodiscard]] constexpr bool cured_by_retry(op_code code) noexcept {
  return code == op_code::unavailable || code == op_code::overloaded ||
         code == op_code::shutting_down;
}

} // namespace warp::cluster
