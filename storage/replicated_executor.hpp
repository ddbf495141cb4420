#pragma once

#include "messages/ids.hpp"
#include "messages/operations.hpp"
#include "messages/status.hpp"
#include "storage/durable_state.hpp"
#include "storage/engine.hpp"
#include "storage/key_mark.hpp"
#include "storage/reply.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace warp::storage {

/// Who executes in a replicated universe (engine_options::replicated), in the engine's place:
/// engine::set_executor(). Servers go on asking the engine, which passes everything on.
///
/// The protocol stays the engine's own. A reply is filled at once; where its `durable_at` is not 0
/// it may be told when durable() says so. There that number is a *ticket* of its shard and no LSN:
/// of two tickets of a shard the later one may be ready first. A failed ticket means
/// outcome_unknown for a write and unavailable for a read. Round listeners are told when tickets
/// were resolved.
///
/// Beside the codes of the engine: `unavailable`, nothing was done: this node is not, or no longer,
/// the one to ask for the key's shard.
///
/// Any thread; nothing throws.
class replicated_executor {
public:
  virtual ~replicated_executor() = default;

  /// As engine::execute().
  virtual void execute(std::span<const operation> operations, std::span<op_reply> replies,
                       value_arena& arena) = 0;
  /// As engine::execute_atomic(), for keys of one shard (else invalid_argument).
  virtual op_code execute_atomic(std::span<const operation> operations, std::span<op_reply> replies,
                                 value_arena& arena) = 0;
  /// As engine::transact(), for keys of one shard (else invalid_argument), at least one; nothing
  /// else than clear() may be done to all shards, which then happens to each that is served on its
  /// own. outcome_unknown: it was done here, and may not last.
  virtual op_code transact(std::span<const std::string_view> keys,
                           const transaction_options& options, const transaction_body& body,
                           std::vector<durable_target>& waits) = 0;
  virtual op_result<key_mark> mark(std::string_view key) = 0;
  /// Lock-free.
  [[nodiscard]] virtual durable_state durable(shard_id shard, lsn_t ticket) const noexcept = 0;
  /// Is this node the one to ask for a shard? Lock-free; by the next moment it may be another.
  [[nodiscard]] virtual bool serves(shard_id shard) const noexcept = 0;
};

} // namespace warp::storage
