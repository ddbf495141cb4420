#include "cluster/rpc_ingest.hpp"

#include "cluster/not_primary.hpp"
#include "cluster/rpc_placement.hpp"
#include "cluster/rpc_session_detail.hpp"
#include "messages/conversion.hpp"

#include <algorithm>

namespace warp::cluster {

namespace {

constexpr std::size_t failures_listed_max = 64, failure_key_bytes_max = 1024;
/// Beyond so many tickets it is looked which of them are ready.
constexpr std::size_t tickets_soft_max = 16'384;

/// Codes that say that nothing was done, for a reason that passes.
constexpr bool passes(op_code code) noexcept {
  return code == op_code::overloaded || code == op_code::unavailable ||
         code == op_code::shutting_down;
}

} // namespace

rpc_ingest::rpc_ingest(rpc_context& context, durability level)
    : context_(context), level_(level), newest_(context.engine.shard_count()) {
  const auto& options = context.engine.options();
  if (context.options.cluster != nullptr) return; // as asked, or as the cluster does it
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
    if (auto status = read(entry, op); !status.ok()) [[unlikely]] {
      const auto key = op.key;
      execute(n);
      n = 0;
      if (stopped_.ok()) failed(key, std::move(status));
    } else if (const auto shard = shard_elsewhere(context_, op.key)) [[unlikely]] {
      const auto key = op.key;
      execute(n);
      n = 0;
      if (stopped_.ok()) failed(key, not_primary{*context_.options.cluster, *shard}.status());
    } else if (++n == chunk) {
      execute(n);
      n = 0;
    }
  }
  execute(n);
  return kj::READY_NOW;
}

op_status rpc_ingest::read(wire::Entry::Reader from, operation& op) const {
  op = {};
  op.kind = op_kind::put;
  op.level = level_;
  op.key = as_view(from.getKey());
  if (from.hasValue()) op.value = as_view(from.getValue());
  op.expires_at_ms = from.getExpiresAtMs();
  const auto type = read_type(from.getType());
  if (!type) return {op_code::invalid_argument, "this value type is not known to this version"};
  op.type = *type;
  const auto ttl_ms = from.getTimeToLiveMs();
  if (ttl_ms == 0) return {};
  if (op.expires_at_ms != 0)
    return {op_code::invalid_argument, "both expiresAtMs and timeToLiveMs are given: give one"};
  op.expires_at_ms = expiry_of(now_ms(context_), ttl_ms);
  return {};
}

void rpc_ingest::execute(std::size_t count) {
  if (count == 0 || !stopped_.ok()) return;
  if (context_.draining) {
    stopped_ = {op_code::shutting_down, "the server is stopping"};
    return;
  }
  const std::span operations{context_.operations.data(), count};
  const std::span replies{context_.replies.data(), count};
  context_.engine.execute(operations, replies, context_.arena);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& r = replies[i];
    if (r.code == op_code::ok) {
      auto& newest = newest_[r.shard.value];
      newest = std::max(newest, r.version);
      if (context_.options.cluster != nullptr) take_ticket(r);
      if (stopped_.ok()) ++stored_;
    } else if (stopped_.ok()) {
      op_status status{r.code, storage::describe(r.code, operations[i], context_.engine.options())};
      if (passes(r.code))
        stopped_ = std::move(status);
      else
        failed(operations[i].key, std::move(status));
    }
  }
  context_.arena.clear();
}

void rpc_ingest::take_ticket(const storage::op_reply& reply) {
  if (reply.durable_at == 0) return;
  tickets_.push_back({reply.shard, reply.durable_at});
  if (tickets_.size() > tickets_soft_max && tickets_.size() % tickets_soft_max == 0)
    drop_ready_tickets();
}

void rpc_ingest::drop_ready_tickets() {
  std::erase_if(tickets_, [&](const auto& ticket) {
    const auto state = context_.engine.durable(ticket.shard, ticket.lsn);
    lost_ = lost_ || state == storage::durable_state::failed;
    return state != storage::durable_state::pending;
  });
}

void rpc_ingest::failed(std::string_view key, op_status status) {
  context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
  if (failed_ == 0) first_failure_ = status;
  if (failures_.size() < failures_listed_max)
    failures_.push_back({stored_ + failed_,
                         key.size() <= failure_key_bytes_max ? std::string{key} : std::string{},
                         std::move(status)});
  ++failed_;
}

kj::Promise<void> rpc_ingest::finish(FinishContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  std::vector<durable_waiters::target> targets;
  if (context_.options.cluster != nullptr) {
    drop_ready_tickets();
    targets = tickets_;
  }
  const bool logged = !context_.engine.options().folder.empty() && level_ != durability::memory;
  for (std::uint32_t s = 0; logged && context_.options.cluster == nullptr && s < newest_.size();
       ++s)
    if (newest_[s] != 0) {
      targets.push_back({shard_id{s}, newest_[s]});
      context_.engine.request_sync(shard_id{s});
    }
  // What becomes of entries that come while the disk is waited for belongs to the next answer.
  auto results = call.getResults();
  write_answer(lost_ ? op_code::io_error : op_code::ok, results);
  if (lost_) return kj::READY_NOW;
  const auto deadline = durable_waiters::clock::now() + context_.options.durable_wait_max;
  return context_.waiters.wait(std::move(targets), deadline)
      .then([this, call, results](op_code outcome) mutable {
        if (outcome != op_code::ok) write_answer(outcome, results);
      });
}

void rpc_ingest::write_answer(op_code on_disk, FinishResults::Builder to) const {
  if (on_disk != op_code::ok) {
    write_status(
        {op_code::outcome_unknown,
         on_disk == op_code::io_error
             ? "the log failed, or another node took the shard, before all of it was on disk"
             : "not all of it was on disk in time"},
        to.initStatus());
    return;
  }
  to.setStored(stored_);
  to.setFailed(failed_);
  if (!stopped_.ok())
    write_status(stopped_, to.initStatus());
  else if (!first_failure_.ok())
    write_status(first_failure_, to.initStatus());
  if (failures_.empty()) return;
  auto list = to.initFailures(static_cast<unsigned>(failures_.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    list[i].setIndex(failures_[i].index);
    if (!failures_[i].key.empty()) list[i].setKey(as_data(failures_[i].key));
    write_status(failures_[i].status, list[i].initStatus());
  }
}

} // namespace warp::cluster
