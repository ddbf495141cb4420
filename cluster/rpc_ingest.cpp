#include "cluster/rpc_ingest.hpp"

#include "messages/conversion.hpp"

#include <algorithm>

namespace warp::cluster {

rpc_ingest::rpc_ingest(rpc_context& context, durability level)
    : context_(context), level_(level), newest_(context.engine.shard_count()) {
  const auto& options = context.engine.options();
  if (level_ == durability::unspecified && !options.folder.empty()) level_ = options.default_level;
  if (level_ == durability::sync) level_ = durability::async;
}

kj::Promise<void> rpc_ingest::put(PutContext call) {
  const auto entries = call.getParams().getEntries();
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  context_.counters.operations.fetch_add(entries.size(), std::memory_order_relaxed);
  constexpr auto chunk = rpc_context::chunk_size;
  context_.operations.resize(chunk);
  context_.replies.resize(chunk);
  std::size_t n = 0;
  for (const auto entry : entries) {
    auto& op = context_.operations[n];
    op = {};
    op.kind = op_kind::put;
    op.level = level_;
    op.key = as_view(entry.getKey());
    op.value = as_view(entry.getValue());
    op.expires_at_ms = entry.getExpiresAtMs();
    if (++n == chunk) {
      execute(n);
      n = 0;
    }
  }
  if (n != 0) execute(n);
  return kj::READY_NOW;
}

void rpc_ingest::execute(std::size_t count) {
  const std::span operations{context_.operations.data(), count};
  const std::span replies{context_.replies.data(), count};
  if (context_.draining)
    for (auto& r : replies) {
      r = {};
      r.code = op_code::shutting_down;
    }
  else
    context_.engine.execute(operations, replies, context_.arena);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& r = replies[i];
    if (r.code == op_code::ok) {
      ++stored_;
      auto& newest = newest_[r.shard.value];
      newest = std::max(newest, r.version);
      continue;
    }
    if (failed_++ == 0)
      first_failure_ = {r.code,
                        storage::describe(r.code, operations[i], context_.engine.options())};
    context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
  }
  context_.arena.clear();
}

kj::Promise<void> rpc_ingest::finish(FinishContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  std::vector<durable_waiters::target> targets;
  const bool logged = !context_.engine.options().folder.empty() && level_ != durability::memory;
  for (std::uint32_t s = 0; logged && s < newest_.size(); ++s)
    if (newest_[s] != 0) {
      targets.push_back({shard_id{s}, newest_[s]});
      context_.engine.request_sync(shard_id{s});
    }
  const auto deadline = durable_waiters::clock::now() + context_.options.durable_wait_max;
  return context_.waiters.wait(std::move(targets), deadline)
      .then([this, call](op_code outcome) mutable {
        auto results = call.getResults();
        results.setStored(stored_);
        results.setFailed(failed_);
        if (outcome != op_code::ok)
          write_status({op_code::outcome_unknown,
                        outcome == op_code::io_error ? "the log failed before all of it was on disk"
                                                     : "not all of it was on disk in time"},
                       results.initStatus());
        else if (!first_failure_.ok())
          write_status(first_failure_, results.initStatus());
      });
}

} // namespace warp::cluster
