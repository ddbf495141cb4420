// The hot path: a batch from the caller to the shards and back.

#include "storage/batch.hpp"
#include "storage/engine_state.hpp"
#include "storage/slot.hpp"

#include <bit>
#include <new>

namespace warp::storage {

namespace {

/// Wall-clock time of a chunk, read only if somebody asks (few records expire).
class lazy_time {
public:
  explicit lazy_time(const clock& time) : time_(time) {}
  std::uint64_t ms() {
    if (ms_ == 0) ms_ = time_.now_ms();
    return ms_;
  }

private:
  const clock& time_;
  std::uint64_t ms_ = 0;
};

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

} // namespace

op_code engine::state::validate(const operation& op) const noexcept {
  if (op.key.size() < key_size_min || op.key.size() > key_size_max)
    return op_code::invalid_argument;
  if (op.value.size() > options.value_bytes_max) return op_code::invalid_argument;
  if (op.expected_version != 0 && op.condition != write_condition::if_version)
    return op_code::invalid_argument;
  if (op.level > durability::sync) return op_code::no_replicas;
  if (op.level > durability::memory && !folder) return op_code::no_replicas;
  return op_code::ok;
}

op_code engine::state::admit(shard& s, std::unique_lock<shard_lock>& lock, std::size_t writes) {
  if (refusing.load(std::memory_order_relaxed)) return op_code::shutting_down;
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
    if (refusing.load(std::memory_order_relaxed)) return op_code::shutting_down;
    code = log->admit(writes);
  }
  return code;
}

void engine::execute(std::span<const operation> operations, std::span<op_reply> replies,
                     value_arena& arena) {
  thread_local batch scratch;
  for (std::size_t begin = 0; begin < operations.size(); begin += batch::chunk_size) {
    const auto n = std::min(batch::chunk_size, operations.size() - begin);
    execute_chunk(scratch, operations.subspan(begin, n), replies.subspan(begin, n), arena);
  }
  scratch.forget_large();
}

void engine::execute_chunk(batch& b, std::span<const operation> operations,
                           std::span<op_reply> replies, value_arena& arena) {
  auto& state = *state_;
  const auto shards = state.shard_count();

  // Hash everything first and ask for the cache lines, so that their misses overlap.
  b.begin(shards);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto& op = operations[i];
    replies[i] = {};
    if (const auto code = state.validate(op); code != op_code::ok) [[unlikely]] {
      replies[i].code = code;
      continue;
    }
    if (op.kind == op_kind::put && op.value.size() >= blob_size_min) [[unlikely]] {
      try {
        b.add_large(i, make_large(op.value, state.compress_from()));
      } catch (const std::bad_alloc&) {
        replies[i].code = op_code::no_space;
        continue;
      }
    }
    const auto hash = table::hash(op.key);
    const auto at = storage::shard_of(op.key, shards).value;
    b.add(i, hash, at, is_write(op.kind));
    state.shards[at]->prefetch_bucket(hash);
  }
  if (operations.size() > 1)
    for (const auto& g : b.groups())
      for (auto i = g.first; i != batch::none; i = b.next(i))
        state.shards[g.shard]->prefetch_record(b.hash(i));

  const bool timed = sampled();
  lazy_time now{*state.time};
  for (const auto& g : b.groups()) {
    auto& s = *state.shards[g.shard];
    const auto began_ns = timed ? now_ns() : 0;
    lsn_t wait_for = 0;
    std::unique_lock lock{s.lock()};
    const auto admitted = g.writes ? state.admit(s, lock, g.writes) : op_code::ok;
    std::uint64_t done = 0;
    for (auto i = g.first; i != batch::none; i = b.next(i)) {
      auto& reply = replies[i];
      if (admitted != op_code::ok && is_write(operations[i].kind)) [[unlikely]] {
        reply.code = admitted;
        reply.shard = s.id();
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
    if (timed && done)
      count(g.writes ? s.counters().write_latency : s.counters().read_latency,
            (now_ns() - began_ns) / done, done);
    lock.unlock();
    if (wait_for != 0 && s.log() && wait_for > s.log()->durable_lsn()) s.log()->request_sync();
  }
}

} // namespace warp::storage
