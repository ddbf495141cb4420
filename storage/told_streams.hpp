#pragma once

#include "messages/operations.hpp"
#include "storage/engine.hpp"

#include <cstdint>
#include <span>

namespace warp::storage {

class thread_observer;

/// For a front end that gathers operations of many connections into one batch: while it lives, a
/// batch of the calling thread is not taken for a request, and the front end tells whose operations
/// it held.
///
///     told_streams streams{engine};
///     engine.execute(operations, replies, arena);
///     if (streams) for (each connection) streams.tell(id, its operations, its replies);
class told_streams {
public:
  explicit told_streams(engine& of) noexcept;
  ~told_streams();
  told_streams(const told_streams&) = delete;
  told_streams& operator=(const told_streams&) = delete;

  /// Does anybody want to know?
  explicit operator bool() const noexcept { return to_ != nullptr; }
  void tell(std::uint64_t connection, std::span<const operation> operations,
            std::span<const op_reply> replies) noexcept;

private:
  thread_observer* to_ = nullptr; ///< null: nobody observes
  std::uint64_t now_ms_ = 0;
};

} // namespace warp::storage
