// The calls that carry many operations.
#include "cluster/not_primary.hpp"
#include "cluster/rpc_placement.hpp"
#include "cluster/rpc_session_detail.hpp"

#include <span>
#include <string>

namespace warp::cluster {

namespace {

void pack_hashes(std::span<storage::op_reply> replies) {
  for (auto& reply : replies)
    if (reply.large) [[unlikely]]
      reply.large = storage::as_bytes(reply.large);
}

} // namespace

op_status rpc_session::refusal(std::size_t operations) const {
  if (context_.draining) return {op_code::shutting_down, "the server is stopping"};
  if (watches_->calls_waiting >= context_.options.waiting_calls_max) [[unlikely]] {
    context_.counters.calls_refused.fetch_add(1, std::memory_order_relaxed);
    return {op_code::overloaded, std::to_string(watches_->calls_waiting) +
                                     " calls of this connection wait for the disk, the most that "
                                     "may (rpc.waiting_calls_max): nothing was done"};
  }
  if (operations > batch_operations_max)
    return {op_code::invalid_argument, std::to_string(operations) +
                                           " operations in one call, the limit is " +
                                           std::to_string(batch_operations_max)};
  return {};
}

kj::Promise<void> rpc_session::execute(ExecuteContext call) {
  const auto params = call.getParams();
  const auto asked = params.getOperations();
  const auto count = asked.size();
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  context_.counters.operations.fetch_add(count, std::memory_order_relaxed);
  if (auto status = refusal(count); !status.ok()) return refuse(std::move(status), call);
  const auto header = params.hasCall() ? read_call(params.getCall()) : call_header{};
  const auto now = now_ms(context_);
  begin_stream(); // of what travels alone; what travels together is one request

  constexpr auto chunk = rpc_context::chunk_size;
  auto& operations = context_.operations;
  auto& replies = context_.replies;
  operations.resize(chunk);
  replies.resize(chunk);
  std::uint32_t at[chunk]; // operations[i] of this chunk is number at[i] of the call
  std::vector<std::pair<std::uint32_t, op_status>> malformed;
  std::vector<std::pair<std::uint32_t, shard_id>> elsewhere; // in a cluster
  std::vector<pending> waiting;
  auto room = room_in_answer(context_, count);
  replies_builder to{nullptr};

  for (std::uint32_t begin = 0; begin < count; begin += chunk) {
    std::size_t n = 0;
    malformed.clear();
    elsewhere.clear();
    for (auto i = begin; i < std::min<std::size_t>(begin + chunk, count); ++i) {
      const auto from = asked[i];
      auto& op = operations[n];
      if (auto status = read_operation(from, now, op); !status.ok()) [[unlikely]] {
        malformed.emplace_back(i, std::move(status));
        continue;
      }
      if (const auto shard = shard_elsewhere(context_, op.key)) [[unlikely]] {
        elsewhere.emplace_back(i, *shard);
        continue;
      }
      if (is_write(op.kind)) op.request = request_of(header.request, i, from.getRequestSkip());
      at[n++] = i;
    }
    const std::span ops{operations.data(), n};
    const std::span done{replies.data(), n};
    context_.engine.execute(ops, done, context_.arena);
    pack_hashes(done);

    if (begin == 0) {
      // Now the size of the answer is known, or a good guess: the first chunk stands for the
      // others.
      std::size_t bytes = 0;
      for (auto& r : done) bytes += words_for(value_of(r).size()) * word_bytes;
      const auto all = words_for(std::min(bytes * ((count + chunk - 1) / chunk), room));
      to =
          call.getResults(capnp::MessageSize{16 + count * reply_words + all, 0}).initReplies(count);
    }
    write_chunk(ops, done, {at, n}, to, room, waiting, together::no);
    for (auto& [i, status] : malformed) {
      reply_view answer;
      answer.code = status.code();
      answer.message = status.message();
      write_reply(answer, to[i]);
      context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
    }
    for (const auto& [i, shard] : elsewhere) {
      write_reply(not_primary{*context_.options.cluster, shard}.reply(), to[i]);
      context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
    }
    for (auto& r : done) r.large = {};
    context_.arena.clear();
  }
  call.releaseParams();
  if (waiting.empty()) return kj::READY_NOW;
  return when_durable(std::move(waiting), header, call);
}

void rpc_session::write_chunk(std::span<const operation> operations,
                              std::span<const storage::op_reply> replies,
                              std::span<const std::uint32_t> at, replies_builder to,
                              std::size_t& room, std::vector<pending>& waiting, together how) {
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto& reply = replies[i];
    reply_view answer{reply.code,   reply.shard,         reply.version,
                      reply.number, reply.expires_at_ms, value_of(reply),
                      {},           reply.type};
    std::string text;
    if (how == together::no && went_elsewhere(context_, reply.code)) [[unlikely]] {
      write_reply(
          not_primary{*context_.options.cluster, context_.engine.shard_of(operations[i].key)}
              .reply(),
          to[at[i]]);
      context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    if (reply.code != op_code::ok) [[unlikely]] {
      text = storage::describe(reply.code, operations[i], context_.engine.options());
    } else if (answer.value.size() > room) [[unlikely]] {
      answer = {op_code::overloaded, reply.shard};
      text = "the values of this call do not fit one answer: ask for fewer at a time";
    }
    if (text.size() <= room) answer.message = text;
    room -= answer.value.size() + answer.message.size();
    write_reply(answer, to[at[i]]);
    if (counts_as_error(answer.code))
      context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
    if (reply.durable_at != 0)
      waiting.push_back({at[i], is_write(operations[i].kind), {reply.shard, reply.durable_at}});
  }
}

/// Nothing of the call was done: its first reply says where the shard is, the others are
/// unavailable.
void rpc_session::refuse_elsewhere(shard_id shard, std::uint32_t count,
                                   wire::Session::ExecuteAtomicResults::Builder to) {
  const not_primary where{*context_.options.cluster, shard};
  context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
  auto replies = to.initReplies(count);
  write_reply(where.reply(), replies[0]);
  for (std::uint32_t i = 1; i < count; ++i) replies[i].setCode(wire::Code::UNAVAILABLE);
  write_status(where.status(), to.initStatus());
}

kj::Promise<void> rpc_session::executeAtomic(ExecuteAtomicContext call) {
  const auto params = call.getParams();
  const auto asked = params.getOperations();
  const auto count = asked.size();
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  context_.counters.operations.fetch_add(count, std::memory_order_relaxed);
  if (auto status = refusal(count); !status.ok()) return refuse(std::move(status), call);
  const auto header = params.hasCall() ? read_call(params.getCall()) : call_header{};
  const auto now = now_ms(context_);

  std::vector<operation> operations(count);
  std::vector<storage::op_reply> replies(count);
  std::vector<std::uint32_t> at(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto from = asked[i];
    if (auto status = read_operation(from, now, operations[i]); !status.ok())
      return refuse({status.code(), "operation " + std::to_string(i) + ": " + status.message()},
                    call);
    if (is_write(operations[i].kind))
      operations[i].request = request_of(header.request, i, from.getRequestSkip());
    at[i] = i;
  }
  if (context_.options.cluster != nullptr && count != 0) {
    const auto shard = context_.engine.shard_of(operations[0].key);
    for (std::uint32_t i = 1; i < count; ++i)
      if (context_.engine.shard_of(operations[i].key) != shard)
        return refuse({op_code::invalid_argument,
                       "operations 0 and " + std::to_string(i) +
                           " are of different shards: in a cluster an atomic call has keys of one, "
                           "as those with the same {tag} are"},
                      call);
    if (!context_.options.cluster->serves(shard)) {
      refuse_elsewhere(shard, count, call.getResults());
      return kj::READY_NOW;
    }
  }
  const auto code = context_.engine.execute_atomic(operations, replies, context_.arena);
  pack_hashes(replies);
  // A condition that fails makes the others `unavailable`: only the code of all tells.
  if (went_elsewhere(context_, code)) [[unlikely]] {
    refuse_elsewhere(context_.engine.shard_of(operations[0].key), count, call.getResults());
    context_.arena.clear();
    return kj::READY_NOW;
  }

  std::size_t bytes = 0;
  for (auto& r : replies) bytes += words_for(value_of(r).size()) * word_bytes;
  auto room = room_in_answer(context_, count);
  auto results = call.getResults(
      capnp::MessageSize{32 + count * reply_words + words_for(std::min(bytes, room)), 0});
  auto to = results.initReplies(count);
  std::vector<pending> waiting;
  write_chunk(operations, replies, at, to, room, waiting, together::yes);
  if (code != op_code::ok) {
    // The first operation with that code says why.
    std::string text;
    for (std::size_t i = 0; i < count && text.empty(); ++i)
      if (replies[i].code == code)
        text = "operation " + std::to_string(i) + ": " +
               (code == op_code::not_found
                    ? "the key is absent"
                    : storage::describe(code, operations[i], context_.engine.options()));
    write_status({code, std::move(text)}, results.initStatus());
  }
  context_.arena.clear();
  call.releaseParams();
  if (waiting.empty()) return kj::READY_NOW;
  return when_durable(std::move(waiting), header, call);
}

op_code rpc_session::write_outcome(op_code outcome, const pending& p, wire::Reply::Builder to) {
  if (context_.engine.durable(p.target.shard, p.target.lsn) == storage::durable_state::durable)
    return op_code::ok;
  context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
  reply_view answer;
  answer.shard = p.target.shard;
  if (p.is_write) {
    answer.code = op_code::outcome_unknown;
    answer.message =
        context_.options.cluster != nullptr
            ? "the shard's replicas have not confirmed the write in time, or another node serves "
              "the shard now"
        : outcome == op_code::io_error
            ? "the log failed before this write was on disk; it may be there after a restart"
            : "the write was not on disk when the deadline passed; it may be soon";
  } else if (context_.options.cluster != nullptr && outcome == op_code::io_error) {
    answer.code = op_code::unavailable;
    answer.message = "what this read saw was not confirmed: another node may serve it now";
  } else {
    answer.code = outcome;
    answer.message = outcome == op_code::io_error
                         ? "the log failed before what this read saw was on disk"
                         : "what this read saw was not on disk when the deadline passed";
  }
  to.disownValue(); // what was read must not be given out
  write_reply(answer, to);
  return answer.code;
}

} // namespace warp::cluster
