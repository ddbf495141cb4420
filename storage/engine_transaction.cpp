// Transactions over any shards, all or nothing, for readers and in the log: batches, and what
// computes on what it reads.

#include "storage/batch.hpp"
#include "storage/batch_conditions.hpp"
#include "storage/engine_state.hpp"
#include "storage/transaction_share.hpp"

#include <algorithm>
#include <map>
#include <new>
#include <numeric>

namespace warp::storage {

op_code engine::execute_atomic(std::span<const operation> operations, std::span<op_reply> replies,
                               value_arena& arena) {
  if (operations.empty()) return op_code::ok;
  if (operations.size() > batch_operations_max) {
    refuse_all(replies, 0, op_code::invalid_argument);
    return op_code::invalid_argument;
  }
  if (auto* const e = state_->replicated()) [[unlikely]]
    return e->execute_atomic(operations, replies, arena);
  try {
    return execute_transaction(operations, replies, arena);
  } catch (const std::bad_alloc&) { // whatever was begun was taken back
    refuse_all(replies, 0, op_code::no_space);
    return op_code::no_space;
  }
}

op_code engine::execute_transaction(std::span<const operation> operations,
                                    std::span<op_reply> replies, value_arena& arena) {
  auto& state = *state_;
  // Everything that can be done without a lock: checks, hashes, copies of large values.
  std::vector<std::uint64_t> hashes(operations.size());
  std::vector<std::uint32_t> shard_of_op(operations.size());
  std::map<std::size_t, large_value> large;
  const auto first_of = first_of_request(operations);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto& op = operations[i];
    if (const auto code = state.validate(op); code != op_code::ok) {
      refuse_all(replies, i, code);
      return code;
    }
    if (op.kind == op_kind::put && op.value.size() >= blob_size_min)
      large.emplace(i, make_large(op.value, state.compress_from(), op.type));
    hashes[i] = table::hash(op.key);
    shard_of_op[i] = state.shard_of(op.key);
  }
  transaction all{state, shard_of_op, durability::unspecified};
  std::vector<transaction::share*> share_of_op(operations.size());
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto& op = operations[i];
    auto& s = *(share_of_op[i] = all.share_of(shard_of_op[i]));
    if (!is_write(op.kind)) continue;
    ++s.writes;
    s.bytes += op.key.size() + op.value.size();
    if (op.kind == op_kind::put || op.kind == op_kind::increment)
      s.memory += op.key.size() + op.value.size() + shard::record_overhead_max;
    else if (is_of_hash(op.kind))
      s.memory += op.key.size() + shard::hash_change_bytes(op.value.size());
  }
  if (auto code = all.lock(); code != op_code::ok) {
    // Not of the retry of a batch that was done: its caller must not hear that nothing was.
    for (std::size_t i = 0; i < operations.size(); ++i) {
      if (!is_write(operations[i].kind) || !operations[i].request) continue;
      auto& s = *share_of_op[i]->at;
      std::lock_guard hold{s.lock()};
      if (s.requests().lookup(operations[i].request).state != request_state::fresh)
        code = op_code::outcome_unknown;
    }
    refuse_all(replies, 0, code);
    return code;
  }

  for (auto& s : all.shares()) s.staged.reserve(s.writes);

  // From here on all locks are held. A retry of a batch that was done is answered from what its
  // shards remember, so its conditions are not asked again.
  const auto now_ms = all.now_ms();
  std::vector<request_state> known(operations.size(), request_state::fresh);
  for (std::size_t i = 0; i < operations.size(); ++i)
    if (is_write(operations[i].kind) && operations[i].request)
      known[i] = share_of_op[i]->at->requests().lookup(operations[i].request).state;
  if (const auto lost = std::find(known.begin(), known.end(), request_state::forgotten);
      lost != known.end()) {
    refuse_all(replies, static_cast<std::size_t>(lost - known.begin()), op_code::outcome_unknown);
    return op_code::outcome_unknown;
  }
  const bool retried = std::find(known.begin(), known.end(), request_state::seen) != known.end();
  if (!retried) {
    const auto verdict = check_conditions(operations, [&](std::size_t i) -> key_state {
      const auto* r = share_of_op[i]->at->find_live(hashes[i], operations[i].key, now_ms);
      if (!r) return {};
      return {
          .present = true, .is_hash = r->is_hash(), .version = r->version(), .value = r->value()};
    });
    if (verdict.code != op_code::ok) {
      refuse_all(replies, verdict.index, verdict.code);
      replies[verdict.index].version = verdict.version;
      return verdict.code;
    }
  }

  for (auto& s : all.shares())
    if (!retried && s.memory != 0 && !s.at->reserve_memory(s.memory)) {
      ++s.at->counters().memory_refusals;
      refuse_all(replies, 0, op_code::no_space);
      return op_code::no_space;
    }

  // Readers without locks see nothing of any shard until all is done.
  for (auto& s : all.shares())
    if (s.writes != 0) all.begin_writing(s);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    replies[i] = {};
    if (retried && is_write(operations[i].kind) && known[i] == request_state::fresh) {
      // It had no effect when the batch was done, so it is not remembered, and must have none now.
      replies[i].code = op_code::not_found;
      continue;
    }
    if (!first_of.empty() && first_of[i] != i) { // a retry within the batch
      replies[i] = replies[first_of[i]];
      continue;
    }
    const auto prepared = large.find(i);
    share_of_op[i]->at->apply({operations[i], hashes[i],
                               prepared == large.end() ? nullptr : &prepared->second, now_ms,
                               arena},
                              replies[i]);
    if (replies[i].code == op_code::no_space) throw std::bad_alloc{};
    if (has_failed(operations[i], replies[i].code)) { // what only its turn could tell
      const auto code = replies[i].code;
      const auto version = replies[i].version;
      for (std::size_t done = 0; done <= i; ++done) replies[done].reset();
      refuse_all(replies, i, code);
      replies[i].version = version;
      return code;
    }
  }

  all.commit();

  if (const auto observer = state.show_batch(operations.size()); observer.to) [[unlikely]]
    observer.show(operations, replies, hashes);
  for (const auto& reply : replies)
    if (reply.durable_at != 0 && durable(reply.shard, reply.durable_at) == durable_state::pending)
      request_sync(reply.shard);
  return op_code::ok;
}

op_code engine::transact(std::span<const std::string_view> keys, const transaction_options& options,
                         const transaction_body& body, std::vector<durable_target>& waits) {
  waits.clear();
  if (auto* const e = state_->replicated()) [[unlikely]]
    return e->transact(keys, options, body, waits);
  auto* const observer = state_->show_transaction(keys.size());
  auto code = op_code::no_space;
  try {
    code = run_transaction(keys, options, body, waits);
  } catch (const std::bad_alloc&) { // whatever was begun was taken back
  }
  if (observer) [[unlikely]]
    observer->end_transaction();
  return code;
}

op_code engine::run_transaction(std::span<const std::string_view> keys,
                                const transaction_options& options, const transaction_body& body,
                                std::vector<durable_target>& waits) {
  auto& state = *state_;
  if (options.level > state.level_max) return op_code::no_replicas;
  std::vector<std::uint32_t> shards(options.all_shards ? state.shard_count() : keys.size());
  if (options.all_shards) {
    std::iota(shards.begin(), shards.end(), 0);
  } else {
    // Their cache lines are on their way while the locks are taken.
    for (std::size_t i = 0; i < keys.size(); ++i) {
      shards[i] = state.shard_of(keys[i]);
      state.shards[shards[i]]->prefetch_bucket(table::hash(keys[i]));
    }
    for (std::size_t i = 0; i < keys.size(); ++i)
      state.shards[shards[i]]->prefetch_record(table::hash(keys[i]));
  }
  transaction t{state, std::move(shards), options.level};
  waits.reserve(t.shares().size()); // nothing may fail when all is done
  for (;;) {
    if (const auto code = t.lock(); code != op_code::ok) return code;
    const bool commits = body(t) == transaction_end::commit;
    const auto code = t.failure();
    const bool done = commits && code == op_code::ok;
    if (done)
      t.commit();
    else
      t.take_back();
    if (code == op_code::ok) {
      t.add_waits(done, waits);
      return code;
    }
    if (code != op_code::overloaded) return code;
    if (const auto room = t.wait_for_room(); room != op_code::ok) return room;
  }
}

} // namespace warp::storage
