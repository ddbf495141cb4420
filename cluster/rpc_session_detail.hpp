#pragma once

#include "cluster/message_limits.hpp"
#include "cluster/rpc_context.hpp"
#include "cluster/rpc_session.hpp"
#include "messages/conversion.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <type_traits>

// What the files of rpc_session share; nobody else includes it.
namespace warp::cluster {

inline constexpr std::size_t word_bytes = sizeof(capnp::word);
inline constexpr std::uint64_t reply_words = capnp::sizeInWords<wire::Reply>();

constexpr std::uint64_t words_for(std::size_t bytes) noexcept {
  return (bytes + word_bytes - 1) / word_bytes;
}

/// What times to live count from.
inline std::uint64_t now_ms(const rpc_context& context) {
  const auto& time = context.engine.options().time;
  return time ? time->now_ms() : storage::system_clock{}.now_ms();
}

/// Bytes of an answer that are free for keys, values and texts beside `count` replies.
inline std::size_t room_in_answer(const rpc_context& context, std::size_t count) {
  const auto all = message_bytes_max(context.engine.options().value_bytes_max) - 64 * 1024;
  return all - std::min(all, count * reply_words * word_bytes);
}

/// The value of a reply, wherever it is kept.
inline std::string_view value_of(const storage::op_reply& reply) noexcept {
  return reply.large ? reply.large.view() : reply.value;
}

template <class Call>
kj::Promise<void> rpc_session::refuse(op_status status, Call& call) {
  context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
  write_status(status, call.getResults().initStatus());
  return kj::READY_NOW;
}

template <class Call>
kj::Promise<void> rpc_session::when_durable(std::vector<pending> waiting, call_header header,
                                            Call& call) {
  const auto& options = context_.options;
  const auto patience = header.deadline.count() == 0
                            ? options.durable_wait_max
                            : std::min(header.deadline, options.durable_wait_max);
  std::vector<durable_waiters::target> targets;
  targets.reserve(waiting.size());
  for (auto& p : waiting) targets.push_back(p.target);
  ++watches_->calls_waiting;
  return context_.waiters.wait(std::move(targets), durable_waiters::clock::now() + patience)
      .then([this, waiting = std::move(waiting), call](op_code outcome) mutable {
        if (outcome == op_code::ok) [[likely]]
          return;
        auto results = call.getResults();
        auto worst = op_code::ok; // a write that is unknown outweighs a read that is late
        for (auto& p : waiting) {
          op_code code;
          if constexpr (requires { results.getReply(); })
            code = write_outcome(outcome, p, results.getReply());
          else
            code = write_outcome(outcome, p, results.getReplies()[p.index]);
          if (worst == op_code::ok || code == op_code::outcome_unknown) worst = code;
        }
        if constexpr (std::is_same_v<Call, ExecuteAtomicContext>)
          if (worst != op_code::ok) write_status({worst, "see the replies"}, results.initStatus());
      })
      .attach(kj::defer([held = watches_] { --held->calls_waiting; }));
}

} // namespace warp::cluster
