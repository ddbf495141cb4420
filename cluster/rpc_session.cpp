#include "cluster/rpc_session.hpp"

#include "cluster/rpc_admin.hpp"
#include "cluster/rpc_ingest.hpp"

#include <algorithm>
#include <capnp/message.h>
#include <string>

namespace warp::cluster {

namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t ping_bytes_max = 64 * 1024;
constexpr std::size_t scan_limit_default = 100, scan_limit_max = 10'000;
constexpr std::size_t word_bytes = sizeof(capnp::word);

constexpr std::uint64_t words_for(std::size_t bytes) noexcept {
  return (bytes + word_bytes - 1) / word_bytes;
}
constexpr std::uint64_t reply_words = capnp::sizeInWords<wire::Reply>();

std::uint64_t now_ms(const rpc_context& context) {
  const auto& time = context.engine.options().time;
  return time ? time->now_ms() : storage::system_clock{}.now_ms();
}

clock::time_point deadline_of(const call_header& header, const rpc_server_options& options) {
  const auto wait = header.deadline.count() == 0
                        ? options.durable_wait_max
                        : std::min(header.deadline, options.durable_wait_max);
  return clock::now() + wait;
}

/// How long an answer must not get, in bytes of keys and values.
std::size_t room_in_answer(const rpc_context& context) {
  return message_bytes_max(context.engine.options().value_bytes_max) - 64 * 1024;
}

bool waits(const storage::op_reply& reply) noexcept {
  return reply.durable_at != 0;
}

} // namespace

void write_info(const rpc_context& context, wire::Info::Builder to) {
  const auto& engine = context.engine;
  const bool in_memory = engine.options().folder.empty();
  to.setVersion(as_text(context.options.version));
  to.setShardCount(engine.shard_count());
  to.setDefaultDurability(
      write_durability(in_memory ? durability::memory : engine.options().default_level));
  to.setValueBytesMax(engine.options().value_bytes_max);
  to.setBatchOperationsMax(static_cast<std::uint32_t>(batch_operations_max));
  to.setInMemoryOnly(in_memory);
  to.setUptimeMs(static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - context.started)
          .count()));
}

kj::Promise<void> rpc_session::ping(PingContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  const auto payload = call.getParams().getPayload();
  KJ_REQUIRE(payload.size() <= ping_bytes_max, "a ping carries 64 KiB at most", payload.size());
  call.getResults(capnp::MessageSize{4 + words_for(payload.size()), 0}).setPayload(payload);
  return kj::READY_NOW;
}

kj::Promise<void> rpc_session::info(InfoContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  write_info(context_, call.getResults().initInfo());
  return kj::READY_NOW;
}

// -- one operation ------------------------------------------------------------------------------

template <class Call>
kj::Promise<void> rpc_session::single(operation op, op_status asked, Call& call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  context_.counters.operations.fetch_add(1, std::memory_order_relaxed);
  const auto params = call.getParams();
  op.key = as_view(params.getKey());
  const auto level = read_durability(params.getDurability());
  if (!level) asked = {op_code::invalid_argument, "this durability is not known to this version"};
  const auto header = params.hasCall() ? read_call(params.getCall()) : call_header{};

  storage::op_reply reply;
  reply_view answer;
  std::string text;
  if (asked.ok() && !context_.draining) [[likely]] {
    op.level = *level;
    if (is_write(op.kind)) op.request = header.request;
    context_.engine.execute({&op, 1}, {&reply, 1}, context_.arena);
    answer = {reply.code,
              reply.shard,
              reply.version,
              reply.number,
              reply.expires_at_ms,
              reply.large ? reply.large.view() : reply.value,
              {}};
    if (reply.code != op_code::ok)
      text = storage::describe(reply.code, op, context_.engine.options());
  } else {
    answer.code = asked.ok() ? op_code::shutting_down : asked.code();
    text = asked.ok() ? "the server is stopping" : asked.message();
  }
  answer.message = text;
  if (counts_as_error(answer.code))
    context_.counters.errors.fetch_add(1, std::memory_order_relaxed);

  auto results = call.getResults(capnp::MessageSize{
      4 + reply_words + words_for(answer.value.size()) + words_for(text.size() + 1), 0});
  write_reply(answer, results.initReply());
  context_.arena.clear();
  if (!waits(reply)) return kj::READY_NOW;

  std::vector<pending> waiting{{0, is_write(op.kind), {reply.shard, reply.durable_at}}};
  return when_durable(std::move(waiting), header, call);
}

kj::Promise<void> rpc_session::get(GetContext call) {
  operation op;
  op.kind = op_kind::get;
  return single(op, {}, call);
}

kj::Promise<void> rpc_session::exists(ExistsContext call) {
  operation op;
  op.kind = op_kind::exists;
  return single(op, {}, call);
}

template <class Params>
op_status rpc_session::read_options(Params params, std::uint64_t now_ms, operation& op) {
  if (!params.hasWrite()) return {};
  return read_write(params.getWrite(), now_ms, op);
}

kj::Promise<void> rpc_session::put(PutContext call) {
  operation op;
  op.kind = op_kind::put;
  const auto params = call.getParams();
  op.value = as_view(params.getValue());
  auto asked = read_options(params, now_ms(context_), op);
  return single(op, std::move(asked), call);
}

kj::Promise<void> rpc_session::erase(EraseContext call) {
  operation op;
  op.kind = op_kind::erase;
  auto asked = read_options(call.getParams(), now_ms(context_), op);
  return single(op, std::move(asked), call);
}

kj::Promise<void> rpc_session::increment(IncrementContext call) {
  operation op;
  op.kind = op_kind::increment;
  op.delta = call.getParams().getDelta();
  return single(op, {}, call);
}

kj::Promise<void> rpc_session::expire(ExpireContext call) {
  operation op;
  op.kind = op_kind::expire;
  auto asked = read_options(call.getParams(), now_ms(context_), op);
  return single(op, std::move(asked), call);
}

// -- many operations ----------------------------------------------------------------------------

op_status rpc_session::refusal(std::size_t operations) const {
  if (context_.draining) return {op_code::shutting_down, "the server is stopping"};
  if (operations > batch_operations_max)
    return {op_code::invalid_argument, std::to_string(operations) +
                                           " operations in one call, the limit is " +
                                           std::to_string(batch_operations_max)};
  return {};
}

template <class Call>
kj::Promise<void> rpc_session::refuse(op_status status, Call& call) {
  context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
  write_status(status, call.getResults().initStatus());
  return kj::READY_NOW;
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

  constexpr auto chunk = rpc_context::chunk_size;
  auto& operations = context_.operations;
  auto& replies = context_.replies;
  operations.resize(chunk);
  replies.resize(chunk);
  std::uint32_t at[chunk]; // operations[i] of this chunk is number at[i] of the call
  std::vector<std::pair<std::uint32_t, op_status>> malformed;
  std::vector<pending> waiting;
  auto room = room_in_answer(context_);
  replies_builder to{nullptr};

  for (std::uint32_t begin = 0; begin < count; begin += chunk) {
    std::size_t n = 0;
    malformed.clear();
    for (auto i = begin; i < std::min<std::size_t>(begin + chunk, count); ++i) {
      const auto from = asked[i];
      auto& op = operations[n];
      if (auto status = read_operation(from, now, op); !status.ok()) [[unlikely]] {
        malformed.emplace_back(i, std::move(status));
        continue;
      }
      if (is_write(op.kind)) op.request = request_of(header.request, i, from.getRequestSkip());
      at[n++] = i;
    }
    const std::span ops{operations.data(), n};
    const std::span done{replies.data(), n};
    context_.engine.execute(ops, done, context_.arena);

    if (begin == 0) {
      // Now the size of the answer is known, or a good guess: the first chunk stands for the
      // others.
      std::size_t bytes = 0;
      for (auto& r : done)
        bytes += words_for((r.large ? r.large.view() : r.value).size()) * word_bytes;
      const auto all = words_for(std::min(bytes * ((count + chunk - 1) / chunk), room));
      to =
          call.getResults(capnp::MessageSize{16 + count * reply_words + all, 0}).initReplies(count);
    }
    write_chunk(ops, done, {at, n}, to, room, waiting);
    for (auto& [i, status] : malformed) {
      reply_view answer;
      answer.code = status.code();
      answer.message = status.message();
      write_reply(answer, to[i]);
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
                              std::size_t& room, std::vector<pending>& waiting) {
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto& reply = replies[i];
    reply_view answer{reply.code,
                      reply.shard,
                      reply.version,
                      reply.number,
                      reply.expires_at_ms,
                      reply.large ? reply.large.view() : reply.value,
                      {}};
    std::string text;
    if (reply.code != op_code::ok) [[unlikely]] {
      text = storage::describe(reply.code, operations[i], context_.engine.options());
    } else if (answer.value.size() > room) [[unlikely]] {
      answer = {op_code::overloaded, reply.shard};
      text = "the values of this call do not fit one answer: ask for fewer at a time";
    }
    answer.message = text;
    room -= std::min(room, answer.value.size() + text.size() + reply_words * word_bytes);
    write_reply(answer, to[at[i]]);
    if (counts_as_error(answer.code))
      context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
    if (waits(reply))
      waiting.push_back({at[i], is_write(operations[i].kind), {reply.shard, reply.durable_at}});
  }
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
  const auto code = context_.engine.execute_atomic(operations, replies, context_.arena);

  std::size_t bytes = 0;
  for (auto& r : replies)
    bytes += words_for((r.large ? r.large.view() : r.value).size()) * word_bytes;
  auto room = room_in_answer(context_);
  auto results = call.getResults(
      capnp::MessageSize{32 + count * reply_words + words_for(std::min(bytes, room)), 0});
  auto to = results.initReplies(count);
  std::vector<pending> waiting;
  write_chunk(operations, replies, at, to, room, waiting);
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

// -- waiting for the disk -----------------------------------------------------------------------

template <class Call>
kj::Promise<void> rpc_session::when_durable(std::vector<pending> waiting, call_header header,
                                            Call& call) {
  std::vector<durable_waiters::target> targets;
  targets.reserve(waiting.size());
  for (auto& p : waiting) targets.push_back(p.target);
  return context_.waiters.wait(std::move(targets), deadline_of(header, context_.options))
      .then([this, waiting = std::move(waiting), call](op_code outcome) mutable {
        if (outcome == op_code::ok) [[likely]]
          return;
        auto results = call.getResults();
        for (auto& p : waiting)
          if constexpr (requires { results.getReply(); })
            write_outcome(outcome, p, results.getReply());
          else
            write_outcome(outcome, p, results.getReplies()[p.index]);
      });
}

void rpc_session::write_outcome(op_code outcome, const pending& p, wire::Reply::Builder to) {
  if (context_.engine.durable(p.target.shard, p.target.lsn) == storage::durable_state::durable)
    return;
  context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
  reply_view answer;
  answer.shard = p.target.shard;
  if (p.is_write) {
    answer.code = op_code::outcome_unknown;
    answer.message =
        outcome == op_code::io_error
            ? "the log failed before this write was on disk; it may be there after a restart"
            : "the write was not on disk when the deadline passed; it may be soon";
  } else {
    answer.code = outcome;
    answer.message = outcome == op_code::io_error
                         ? "the log failed before what this read saw was on disk"
                         : "what this read saw was not on disk when the deadline passed";
  }
  to.disownValue(); // what was read must not be given out
  write_reply(answer, to);
}

// -- scans, bulk load, administration -----------------------------------------------------------

kj::Promise<void> rpc_session::scan(ScanContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  const auto params = call.getParams();
  const auto prefix = as_view(params.getPrefix());
  const bool keys_only = params.getKeysOnly();
  std::size_t limit = params.getLimit() == 0 ? scan_limit_default : params.getLimit();
  limit = std::min(limit, scan_limit_max);

  storage::scan_page page;
  const auto room_all = room_in_answer(context_);
  constexpr auto entry_bytes = capnp::sizeInWords<wire::Entry>() * word_bytes + 2 * word_bytes;
  std::size_t room = 0, value_bytes = 0;
  for (;;) {
    page = {};
    if (auto status = context_.engine.scan(params.getCursor(), prefix, limit, page); !status.ok())
      return refuse(std::move(status), call);
    std::size_t key_bytes = 0;
    value_bytes = 0;
    for (auto& e : page.entries) {
      key_bytes += e.key.size() + entry_bytes;
      value_bytes += (e.large ? e.large.view() : e.value).size();
    }
    if (key_bytes <= room_all || limit == 1) {
      room = room_all - std::min(key_bytes, room_all);
      break;
    }
    limit = std::max<std::size_t>(1, limit / 8); // very long keys: a shorter page
  }

  auto results = call.getResults(capnp::MessageSize{
      16 + words_for(room_all - room +
                     (keys_only ? 0 : std::min(value_bytes + 8 * page.entries.size(), room))),
      0});
  auto entries = results.initEntries(static_cast<unsigned>(page.entries.size()));
  for (unsigned i = 0; i < entries.size(); ++i) {
    const auto& e = page.entries[i];
    const auto value = e.large ? e.large.view() : e.value;
    auto to = entries[i];
    to.setKey(as_data(e.key));
    to.setVersion(e.version);
    to.setExpiresAtMs(e.expires_at_ms);
    if (keys_only || value.size() > room) {
      to.setValueOmitted(true);
    } else {
      to.setValue(as_data(value));
      room -= value.size();
    }
  }
  results.setNextCursor(page.next_cursor);
  return kj::READY_NOW;
}

kj::Promise<void> rpc_session::ingest(IngestContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  if (auto status = refusal(0); !status.ok()) return refuse(std::move(status), call);
  const auto level = read_durability(call.getParams().getDurability());
  if (!level)
    return refuse({op_code::invalid_argument, "this durability is not known to this version"},
                  call);
  call.getResults().setIngest(kj::heap<rpc_ingest>(context_, *level));
  return kj::READY_NOW;
}

kj::Promise<void> rpc_session::admin(AdminContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  if (auto status = refusal(0); !status.ok()) return refuse(std::move(status), call);
  if (!context_.admin)
    return refuse({op_code::not_supported, "this server has no operator's interface"}, call);
  call.getResults().setAdmin(kj::heap<rpc_admin>(context_));
  return kj::READY_NOW;
}

} // namespace warp::cluster
