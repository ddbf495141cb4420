#include "cluster/shard_hosts.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace warp::cluster {

using storage::op_reply;

shard_hosts::shard_hosts(storage::engine& engine)
    : engine_(engine), count_(engine.shard_count()), copies_(std::make_unique<copy[]>(count_)) {}

op_status shard_hosts::open(shard_id shard, replication::node_id self,
                            const replication_host_options& options,
                            replication_surroundings& around) {
  auto made = replication_host::open(engine_, shard, self, options, around);
  if (!made) return made.status();
  auto& c = copies_[shard.value];
  std::lock_guard hold{c.mutex};
  c.host = std::move(*made);
  return {};
}

/// Whatever it does to the machine, readers of serves() know of it when the lock is free again.
template <class Work>
auto shard_hosts::locked(shard_id shard, turn& in, Work work) {
  auto& c = copies_[shard.value];
  std::lock_guard hold{c.mutex};
  struct publishing {
    copy& of;
    turn& in;
    ~publishing() {
      auto& host = *of.host;
      of.serves.store(!host.has_halted() && host.machine().serves(), std::memory_order_release);
      if (!host.waits_for_disk()) of.waits_for_disk.store(false, std::memory_order_relaxed);
      in.resolved |= host.take_resolved();
    }
  } publish{c, in};
  // Before anything is logged, so that the round that brings it to disk finds it.
  c.waits_for_disk.store(true, std::memory_order_relaxed);
  return work(*c.host);
}

template <class Work>
auto shard_hosts::locked(shard_id shard, Work work) {
  turn now{*this};
  return locked(shard, now, std::move(work));
}

void shard_hosts::handle(shard_id shard, replication::replica_event what) {
  locked(shard, [&](replication_host& h) { h.handle(std::move(what)); });
}

void shard_hosts::handle(shard_id shard, replication::replica_event what, turn& in) {
  locked(shard, in, [&](replication_host& h) { h.handle(std::move(what)); });
}

void shard_hosts::on_round(const std::function<bool(shard_id)>& may_wait) {
  turn all{*this};
  for (std::uint32_t i = 0; i < count_; ++i)
    if (copies_[i].waits_for_disk.load(std::memory_order_relaxed) && may_wait(shard_id{i}))
      locked(shard_id{i}, all, [](replication_host& h) { h.on_round(); });
}

void shard_hosts::sweep(shard_id shard, std::size_t keys_max) {
  locked(shard, [&](replication_host& h) { h.sweep(keys_max); });
}

op_status shard_hosts::checkpoint_arrived(shard_id shard, epoch_t max_epoch,
                                          const std::string& path) {
  return locked(shard, [&](replication_host& h) { return h.checkpoint_arrived(max_epoch, path); });
}

void shard_hosts::stop() {
  for (std::uint32_t i = 0; i < count_; ++i)
    locked(shard_id{i}, [](replication_host& h) { h.stop(); });
}

op_status shard_hosts::mark_stopped() {
  op_status worst;
  for (std::uint32_t i = 0; i < count_; ++i)
    if (auto status = locked(shard_id{i}, [](replication_host& h) { return h.mark_stopped(); });
        !status.ok())
      worst = std::move(status);
  return worst;
}

void shard_hosts::look_at(shard_id shard,
                          const std::function<void(const replication_host&)>& look) {
  locked(shard, [&](replication_host& h) { look(h); });
}

// What servers ask

void shard_hosts::execute_of(shard_id shard, std::span<const operation> operations,
                             std::span<const std::uint32_t> which, std::span<op_reply> replies,
                             storage::value_arena& arena, turn& in) {
  if (serves(shard))
    return locked(shard, in,
                  [&](replication_host& h) { h.execute(operations, which, replies, arena); });
  for (const auto i : which) {
    replies[i].reset();
    replies[i].shard = shard;
    replies[i].code = op_code::unavailable;
  }
}

void shard_hosts::execute(std::span<const operation> operations, std::span<op_reply> replies,
                          storage::value_arena& arena) {
  turn all{*this};
  if (operations.size() == 1) {
    const std::uint32_t first = 0;
    return execute_of(engine_.shard_of(operations[0].key), operations, {&first, 1}, replies, arena,
                      all);
  }
  // Those of each shard together, in their order.
  thread_local std::vector<std::uint32_t> order, shard_of, ends;
  try {
    order.resize(operations.size());
    shard_of.resize(operations.size());
    ends.assign(count_ + 1, 0);
  } catch (const std::bad_alloc&) {
    for (auto& reply : replies) {
      reply.reset();
      reply.code = op_code::no_space;
    }
    return;
  }
  for (std::size_t i = 0; i < operations.size(); ++i) {
    shard_of[i] = engine_.shard_of(operations[i].key).value;
    ++ends[shard_of[i] + 1];
  }
  for (std::uint32_t s = 0; s < count_; ++s) ends[s + 1] += ends[s];
  for (std::size_t i = 0; i < operations.size(); ++i)
    order[ends[shard_of[i]]++] = static_cast<std::uint32_t>(i);
  for (std::uint32_t s = 0, begin = 0; s < count_; begin = ends[s++])
    if (ends[s] != begin)
      execute_of(shard_id{s}, operations, std::span{order}.subspan(begin, ends[s] - begin), replies,
                 arena, all);
}

op_code shard_hosts::execute_atomic(std::span<const operation> operations,
                                    std::span<op_reply> replies, storage::value_arena& arena) {
  const auto refuse = [&](std::size_t culprit, op_code code) {
    for (auto& reply : replies) {
      reply.reset();
      reply.code = op_code::unavailable;
    }
    replies[culprit].code = code;
    return code;
  };
  const auto shard = engine_.shard_of(operations.front().key);
  for (std::size_t i = 1; i < operations.size(); ++i)
    if (engine_.shard_of(operations[i].key) != shard) return refuse(i, op_code::invalid_argument);
  if (!serves(shard)) return refuse(0, op_code::unavailable);
  return locked(shard,
                [&](replication_host& h) { return h.execute_atomic(operations, replies, arena); });
}

op_code shard_hosts::transact(std::span<const std::string_view> keys,
                              const storage::transaction_options& options,
                              const storage::transaction_body& body,
                              std::vector<storage::durable_target>& waits) {
  using scope = storage::write_limits::scope;
  const auto run = [&](shard_id shard, scope to) {
    std::uint64_t ticket = 0;
    const auto code =
        locked(shard, [&](replication_host& h) { return h.transact(keys, to, body, ticket); });
    if (code == op_code::ok && ticket != 0) waits.push_back({shard, ticket});
    return code;
  };
  try {
    waits.reserve(options.all_shards ? count_ : 1);
  } catch (const std::bad_alloc&) {
    return op_code::no_space;
  }
  if (options.all_shards) {
    if (!keys.empty()) return op_code::invalid_argument;
    for (std::uint32_t s = 0; s < count_; ++s)
      if (serves(shard_id{s}))
        if (const auto code = run(shard_id{s}, scope::clear); code != op_code::ok) return code;
    return op_code::ok;
  }
  if (keys.empty()) { // of nothing but what needs no keys
    for (std::uint32_t s = 0; s < count_; ++s)
      if (serves(shard_id{s})) return run(shard_id{s}, scope::nothing);
    return op_code::unavailable;
  }
  const auto shard = engine_.shard_of(keys.front());
  for (const auto key : keys.subspan(1))
    if (engine_.shard_of(key) != shard) return op_code::invalid_argument;
  return serves(shard) ? run(shard, scope::keys) : op_code::unavailable;
}

op_result<storage::key_mark> shard_hosts::mark(std::string_view key) {
  const auto shard = engine_.shard_of(key);
  if (!serves(shard))
    return op_status{op_code::unavailable, "this node is not the one to ask for the key"};
  return locked(shard, [&](replication_host& h) { return h.mark(key); });
}

} // namespace warp::cluster
