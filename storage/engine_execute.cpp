// The hot path: a batch from the caller to the shards and back.

#include "storage/batch.hpp"
#include "storage/engine_state.hpp"
#include "storage/key_hash.hpp"
#include "storage/lazy_time.hpp"
#include "storage/shard_read.hpp"
#include "storage/slot.hpp"

#include <algorithm>
#include <bit>
#include <new>
#include <optional>

namespace warp::storage {

namespace {

/// One chunk in 64 of each thread is timed: the clock costs as much as a lookup.
bool sampled() noexcept {
  thread_local std::uint32_t count = 0;
  return (++count & 63) == 0;
}

std::uint64_t now_ns() noexcept {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

void count(latency_histogram& histogram, std::uint64_t ns, std::uint64_t times) noexcept {
  const auto bucket =
      std::min<std::size_t>(std::bit_width(ns), latency_histogram::bucket_count - 1);
  histogram.buckets[bucket] += times;
  histogram.count += times;
  histogram.sum_ns += ns * times;
}

void hide_expired(op_reply& reply) noexcept {
  reply.code = op_code::not_found;
  reply.version = 0;
  reply.expires_at_ms = 0;
  reply.value = {};
}

} // namespace

op_code engine::state::admit(shard& s, std::unique_lock<shard_lock>& lock, std::size_t writes) {
  if (const auto code = refusal.load(std::memory_order_relaxed); code != op_code::ok) [[unlikely]]
    return code;
  auto* log = s.log();
  if (!log) return op_code::ok;
  auto code = log->admit(writes);
  if (code != op_code::overloaded) [[likely]]
    return code;
  ++s.counters().stalls;
  const auto deadline = std::chrono::steady_clock::now() + options.write_stall_max;
  while (code == op_code::overloaded) {
    lock.unlock();
    const auto room = log->wait_for_room(deadline);
    lock.lock();
    if (room != op_code::ok) return room;
    if (const auto now = refusal.load(std::memory_order_relaxed); now != op_code::ok) return now;
    code = log->admit(writes);
  }
  return code;
}

void engine::execute(std::span<const operation> operations, std::span<op_reply> replies,
                     value_arena& arena) {
  if (auto* const e = state_->replicated()) [[unlikely]]
    return e->execute(operations, replies, arena);
  if (operations.size() == 1) return execute_one(operations[0], replies[0], arena);
  execute_many(operations, replies, arena, round::requested);
}

void engine::execute_unsynced(std::span<const operation> operations, std::span<op_reply> replies,
                              value_arena& arena) {
  if (auto* const e = state_->replicated()) [[unlikely]]
    return e->execute(operations, replies, arena);
  execute_many(operations, replies, arena, round::left_to_caller);
}

[[gnu::noinline]] void engine::execute_many(std::span<const operation> operations,
                                            std::span<op_reply> replies, value_arena& arena,
                                            round when) {
  thread_local batch scratch;
  const auto observer = state_->show_batch(operations.size());
  for (std::size_t begin = 0; begin < operations.size(); begin += batch::chunk_size) {
    const auto n = std::min(batch::chunk_size, operations.size() - begin);
    const auto part = operations.subspan(begin, n);
    const auto answers = replies.subspan(begin, n);
    if (std::none_of(part.begin(), part.end(), [](const auto& op) { return is_write(op.kind); }))
      execute_reads(scratch, part, answers, arena, when);
    else
      execute_chunk(scratch, part, answers, arena, when);
    if (observer.to) observer.show(part, answers, scratch.hashes());
  }
  scratch.forget_large();
}

/// The fast way of one operation: a get that needs no lock. Short, because the processor overlaps
/// the cache misses of as many calls as its window of instructions holds; so whatever is unusual is
/// begun anew elsewhere, and nothing is kept for it.
void engine::execute_one(const operation& op, op_reply& reply, value_arena& arena) {
  auto& state = *state_;
  if (!state.is_usual_get(op) || !state.reads->are_ready() || reply.large ||
      contains_byte(op.key.data(), op.key.size(), '{')) [[unlikely]]
    return execute_other(op, reply, arena);
  const auto key = op.key;
  const auto at = crc16(key) % slot_count >> state.slot_shift;
  auto& counted = state.reads->ready()[at];
  if (counted.sampled()) [[unlikely]]
    return read_timed(op, counted, reply, arena);
  // Stands where it was asked whether gets of no level are plain.
  const auto hash = key_hash(key);
  if (hash <= state.fast_above.load(std::memory_order_relaxed) ||
      !state.shards[at]->try_get(key, hash, arena, counted, reply)) [[unlikely]]
    return execute_other(op, reply, arena);
}

[[gnu::noinline]] void engine::execute_other(const operation& op, op_reply& reply,
                                             value_arena& arena) {
  auto& state = *state_;
  if (const auto code = state.validate(op); code != op_code::ok) [[unlikely]] {
    reply.reset();
    reply.code = code;
    return;
  }
  if (!state.may_try_read(op)) return execute_locked(op, reply, arena);
  auto* const cells = state.reads->mine();
  const auto at = state.shard_of(op.key);
  const auto hash = key_hash(op.key);
  if (!cells || !state.shards[at]->try_read(op, hash, arena, cells[at], reply)) [[unlikely]]
    return execute_locked(op, reply, arena);
  if (reply.expires_at_ms != 0 && reply.expires_at_ms <= state.time->now_ms()) [[unlikely]]
    hide_expired(reply);
  state.show(op, reply, hash);
}

[[gnu::noinline]] void engine::read_timed(const operation& op, read_counters::cell& counted,
                                          op_reply& reply, value_arena& arena) {
  if (!state_->plain_gets) return execute_locked(op, reply, arena);
  const auto began_ns = now_ns();
  auto& s = *state_->shards[state_->shard_of(op.key)];
  const auto hash = key_hash(op.key);
  if (!s.try_read(op, hash, arena, counted, reply)) return execute_locked(op, reply, arena);
  if (reply.expires_at_ms != 0 && reply.expires_at_ms <= state_->time->now_ms())
    hide_expired(reply);
  const auto took_ns = now_ns() - began_ns;
  {
    std::lock_guard hold{s.lock()};
    count(s.counters().read_latency, took_ns, 1);
  }
  if (state_->observed->is_on()) state_->look_at_single(op, reply, hash);
}

[[gnu::noinline]] void engine::execute_locked(const operation& op, op_reply& reply,
                                              value_arena& arena) {
  auto& state = *state_;
  const auto hash = key_hash(op.key);
  auto& s = *state.shards[state.shard_of(op.key)];
  s.prefetch_record(hash); // on its way while the lock is taken
  reply.reset();
  const bool timed = sampled();
  const auto began_ns = timed ? now_ns() : 0;
  lazy_time now{*state.time};
  large_value large;
  const bool is_large = op.kind == op_kind::put && op.value.size() >= blob_size_min;
  if (is_large) [[unlikely]] {
    try {
      large = make_large(op.value, state.compress_from(), op.type);
    } catch (const std::bad_alloc&) {
      reply.code = op_code::no_space;
      return;
    }
  }
  const bool writes = is_write(op.kind);
  std::unique_lock lock{s.lock()};
  if (writes) {
    if (const auto admitted = state.admit(s, lock, 1); admitted != op_code::ok) [[unlikely]] {
      reply.shard = s.id();
      if (!op.request || !s.answer_retry({op, hash, nullptr, 0, arena}, reply))
        reply.code = admitted;
      return;
    }
    shard::write_section changing{s};
    s.apply({op, hash, is_large ? &large : nullptr, s.has_expiring() ? now.ms() : 0, arena}, reply);
    if (s.log()) s.log()->commit();
  } else {
    s.apply({op, hash, nullptr, s.has_expiring() ? now.ms() : 0, arena}, reply);
  }
  if (timed) [[unlikely]]
    count(writes ? s.counters().write_latency : s.counters().read_latency, now_ns() - began_ns, 1);
  lock.unlock();
  if (reply.durable_at != 0 && s.log() && reply.durable_at > s.log()->durable_lsn())
    s.log()->request_sync();
  state.show(op, reply, hash);
}

/// A chunk without a write: nothing has to be kept in order and hardly ever a lock is needed, so
/// the operations follow each other like on a belt, each waiting a while for its cache lines.
void engine::execute_reads(batch& b, std::span<const operation> operations,
                           std::span<op_reply> replies, value_arena& arena, round when) {
  auto& state = *state_;
  const auto n = operations.size();
  const bool timed = sampled();
  const auto began_ns = timed ? now_ns() : 0;
  lazy_time now{*state.time};
  auto* const counted = state.reads->mine();
  const bool long_values = b.expects_long();
  for (std::size_t at = 0; at < n + 2 * batch::ahead; ++at) {
    if (at < n) {
      const auto& op = operations[at];
      replies[at].reset();
      replies[at].code = state.validate(op);
      const auto hash = key_hash(op.key);
      const auto to = state.shard_of(op.key);
      b.set(at, hash, to);
      state.shards[to]->prefetch_bucket(hash);
    }
    if (at >= batch::ahead && at - batch::ahead < n) {
      const auto i = at - batch::ahead;
      state.shards[b.shard(i)]->prefetch_record(b.hash(i));
    }
    if (long_values && at + batch::ahead_if_long >= 2 * batch::ahead) {
      const auto i = at + batch::ahead_if_long - 2 * batch::ahead;
      if (i < n) state.shards[b.shard(i)]->prefetch_rest(b.hash(i));
    }
    if (at < 2 * batch::ahead) continue;
    const auto i = at - 2 * batch::ahead;
    auto& reply = replies[i];
    if (reply.code != op_code::ok) [[unlikely]]
      continue;
    auto& s = *state.shards[b.shard(i)];
    if (counted && state.is_plain_get(operations[i]) && !reply.large &&
        s.try_get(operations[i].key, b.hash(i), arena, counted[b.shard(i)], reply)) [[likely]]
      continue;
    if (counted && state.may_try_read(operations[i]) &&
        s.try_read(operations[i], b.hash(i), arena, counted[b.shard(i)], reply)) [[likely]] {
      if (reply.expires_at_ms != 0 && reply.expires_at_ms <= now.ms()) [[unlikely]]
        hide_expired(reply);
      continue;
    }
    reply.reset();
    std::unique_lock lock{s.lock()};
    s.apply({operations[i], b.hash(i), nullptr, s.has_expiring() ? now.ms() : 0, arena}, reply);
    lock.unlock();
    if (when == round::requested && reply.durable_at != 0 && s.log() &&
        reply.durable_at > s.log()->durable_lsn())
      s.log()->request_sync();
  }
  b.learn(replies);
  if (!timed) return;
  const auto each_ns = (now_ns() - began_ns) / n;
  auto& s = *state.shards[b.shard(0)];
  std::lock_guard hold{s.lock()};
  count(s.counters().read_latency, each_ns, n);
}

void engine::execute_chunk(batch& b, std::span<const operation> operations,
                           std::span<op_reply> replies, value_arena& arena, round when) {
  auto& state = *state_;

  // Hash everything first and ask for the cache lines, so that their misses overlap.
  try {
    b.begin(state.shard_count());
  } catch (const std::bad_alloc&) {
    for (auto& reply : replies) {
      reply.reset();
      reply.code = op_code::no_space;
    }
    return;
  }
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto& op = operations[i];
    replies[i].reset();
    if (const auto code = state.validate(op); code != op_code::ok) [[unlikely]] {
      replies[i].code = code;
      continue;
    }
    if (op.kind == op_kind::put && op.value.size() >= blob_size_min) [[unlikely]] {
      try {
        b.add_large(i, make_large(op.value, state.compress_from(), op.type));
      } catch (const std::bad_alloc&) {
        replies[i].code = op_code::no_space;
        continue;
      }
    }
    const auto hash = key_hash(op.key);
    const auto at = state.shard_of(op.key);
    b.add(i, hash, at, is_write(op.kind));
    state.shards[at]->prefetch_bucket(hash);
  }
  b.close();
  const auto order = b.order();
  const auto prefetch_record = [&](std::size_t position) {
    if (position >= order.size()) return;
    const auto i = order[position];
    state.shards[b.shard(i)]->prefetch_record(b.hash(i));
  };
  for (std::size_t position = 0; position < batch::ahead; ++position) prefetch_record(position);

  const bool timed = sampled();
  lazy_time now{*state.time};
  std::size_t position = 0;
  for (const auto& g : b.groups()) {
    auto& s = *state.shards[g.shard];
    const auto began_ns = timed ? now_ns() : 0;
    lsn_t wait_for = 0;
    std::unique_lock lock{s.lock()};
    const auto admitted = g.writes ? state.admit(s, lock, g.writes) : op_code::ok;
    std::uint64_t done = 0;
    {
      std::optional<shard::write_section> changing;
      if (g.writes) changing.emplace(s);
      for (const auto end = position + g.count; position < end; ++position) {
        prefetch_record(position + batch::ahead);
        const auto i = order[position];
        auto& reply = replies[i];
        if (admitted != op_code::ok && is_write(operations[i].kind)) [[unlikely]] {
          const auto& op = operations[i];
          reply.shard = s.id();
          if (!op.request || !s.answer_retry({op, b.hash(i), nullptr, 0, arena}, reply))
            reply.code = admitted;
          continue;
        }
        s.apply({operations[i], b.hash(i), b.large(i), s.has_expiring() ? now.ms() : 0, arena},
                reply);
        // Each operation stands on its own: a frame may end behind a large value.
        if (b.large(i) && s.log()) [[unlikely]]
          s.log()->commit();
        wait_for = std::max(wait_for, reply.durable_at);
        ++done;
      }
      if (s.log() && g.writes) s.log()->commit();
    }
    if (timed && done)
      count(g.writes ? s.counters().write_latency : s.counters().read_latency,
            (now_ns() - began_ns) / done, done);
    lock.unlock();
    if (when == round::requested && wait_for != 0 && s.log() && wait_for > s.log()->durable_lsn())
      s.log()->request_sync();
  }
}

} // namespace warp::storage
