#pragma once

#include "messages/ids.hpp"
#include "messages/operation.capnp.h"
#include "messages/operations.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace warp {

/// Between the vocabulary (messages/operations.hpp) and Cap'n Proto (messages/operation.capnp), as
/// pairs of free functions `write_x` (to the wire) and `read_x` (from it). Readers borrow: keys,
/// values and texts are views into the message, which must outlive them. They throw kj::Exception
/// where the message itself is malformed (a pointer that leads nowhere, a limit of its
/// ReaderOptions exceeded), and return a status where it is well-formed and makes no sense.

// -- enumerants; read_* return nothing for a number that this version does not know -------------

[[nodiscard]] wire::Code write_code(op_code code) noexcept;
[[nodiscard]] std::optional<op_code> read_code(wire::Code code) noexcept;
[[nodiscard]] wire::Kind write_kind(op_kind kind) noexcept;
[[nodiscard]] std::optional<op_kind> read_kind(wire::Kind kind) noexcept;
[[nodiscard]] wire::ValueType write_type(value_type type) noexcept;
[[nodiscard]] std::optional<value_type> read_type(wire::ValueType type) noexcept;
[[nodiscard]] wire::Durability write_durability(durability level) noexcept;
[[nodiscard]] std::optional<durability> read_durability(wire::Durability level) noexcept;

// -- bytes --------------------------------------------------------------------------------------

[[nodiscard]] inline std::string_view as_view(capnp::Data::Reader bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.begin()), bytes.size()};
}
[[nodiscard]] inline capnp::Data::Reader as_data(std::string_view bytes) noexcept {
  return {reinterpret_cast<const capnp::byte*>(bytes.data()), bytes.size()};
}
[[nodiscard]] inline std::string_view as_view(capnp::Text::Reader text) noexcept {
  return {text.begin(), text.size()};
}
/// Cap'n Proto wants texts to end with a zero byte, so this takes a string.
[[nodiscard]] inline capnp::Text::Reader as_text(const std::string& text) noexcept {
  return {text.c_str(), text.size()};
}

// -- status -------------------------------------------------------------------------------------

void write_status(const op_status& status, wire::Status::Builder to);
/// A code that this version does not know becomes not_supported, with its number in the message.
[[nodiscard]] op_status read_status(wire::Status::Reader from);

// -- operations ---------------------------------------------------------------------------------

/// `ttl_ms`: time to live, sent in place of op.expires_at_ms when it is not 0. The request id is
/// not part of it: it travels with the call, see request_skip below. Initialises nothing that has
/// its default.
void write_operation(const operation& op, std::uint64_t ttl_ms, wire::Operation::Builder to);

/// When a time to live that begins now is over; one beyond the end of the clock is "almost
/// forever", not a wrap into the past.
[[nodiscard]] constexpr std::uint64_t expiry_of(std::uint64_t now_ms,
                                                std::uint64_t ttl_ms) noexcept {
  const auto left = ~std::uint64_t{0} - now_ms;
  return now_ms + (ttl_ms < left ? ttl_ms : left);
}

/// Fills all of `op` but its request. `now_ms`: what times to live count from, ms since 1970.
/// invalid_argument: an unknown number, or expiry given twice. Sizes are not checked: the engine
/// does that.
op_status read_operation(wire::Operation::Reader from, std::uint64_t now_ms, operation& op);

/// The options alone, for calls that name key and value themselves.
void write_write(const operation& op, std::uint64_t ttl_ms, wire::Write::Builder to);
op_status read_write(wire::Write::Reader from, std::uint64_t now_ms, operation& op);

/// Whether write_write() has anything to say that is not the default.
[[nodiscard]] bool needs_write(const operation& op, std::uint64_t ttl_ms) noexcept;

// -- calls --------------------------------------------------------------------------------------

/// How a call names itself and how long its caller waits; 0 ms: no deadline of its own.
struct call_header {
  request_id request;
  std::chrono::milliseconds deadline{0};
};

void write_call(const call_header& call, wire::Call::Builder to);
[[nodiscard]] call_header read_call(wire::Call::Reader from);

/// The request id of operation `index` of a call: empty when the call has none.
[[nodiscard]] constexpr request_id request_of(const request_id& call, std::size_t index,
                                              std::uint32_t skip) noexcept {
  if (!call) return {};
  return {call.client, call.number + index + skip, call.oldest_unanswered};
}

// -- replies ------------------------------------------------------------------------------------

/// The answer to one operation, as it travels; value and message are borrowed.
struct reply_view {
  op_code code = op_code::ok;
  shard_id shard;
  lsn_t version = 0;
  std::int64_t number = 0;
  std::uint64_t expires_at_ms = 0;
  std::string_view value;
  std::string_view message;
  value_type type = value_type::bytes;
};

void write_reply(const reply_view& reply, wire::Reply::Builder to);
/// A code that this version does not know becomes not_supported.
[[nodiscard]] reply_view read_reply(wire::Reply::Reader from);

} // namespace warp
