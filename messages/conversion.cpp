#include "messages/conversion.hpp"

#include <algorithm>
#include <limits>

namespace warp {

namespace {

// Every enumeration has the same numbers on both sides, so conversion is a cast and, on the way in,
// a check of the range. These asserts hold the two lists together.
static_assert(int(wire::Code::OUTCOME_UNKNOWN) == int(op_code::outcome_unknown));
static_assert(int(wire::Code::WRONG_TYPE) == int(op_code::wrong_type));
static_assert(int(wire::Kind::GET) == int(op_kind::get));
static_assert(int(wire::Kind::HASH_LENGTH) == int(op_kind::hash_length));
static_assert(int(wire::ValueType::HASH) == int(value_type::hash));
static_assert(int(wire::Durability::DURABLE) == int(durability::durable));
static_assert(int(wire::Condition::IF_VERSION) == int(write_condition::if_version));
static_assert(int(wire::Priority::BACKGROUND) == int(priority::background));
static_assert(int(wire::AccessPattern::COLD) == int(access_pattern::cold));

template <class To, class From>
std::optional<To> checked(From value, To last) noexcept {
  const auto number = static_cast<std::uint16_t>(value);
  if (number > static_cast<std::uint16_t>(last)) return std::nullopt;
  return static_cast<To>(number);
}

op_status unknown_number(const char* what, unsigned number) {
  return {op_code::invalid_argument,
          std::string(what) + " " + std::to_string(number) + " is not known to this version"};
}

} // namespace

wire::Code write_code(op_code code) noexcept {
  return static_cast<wire::Code>(code);
}

std::optional<op_code> read_code(wire::Code code) noexcept {
  return checked(code, op_code::wrong_type);
}

wire::Kind write_kind(op_kind kind) noexcept {
  return static_cast<wire::Kind>(kind);
}

std::optional<op_kind> read_kind(wire::Kind kind) noexcept {
  if (kind == wire::Kind::UNSPECIFIED) return std::nullopt;
  return checked(kind, op_kind::hash_length);
}

wire::ValueType write_type(value_type type) noexcept {
  return static_cast<wire::ValueType>(type);
}

std::optional<value_type> read_type(wire::ValueType type) noexcept {
  return checked(type, value_type::hash);
}

wire::Durability write_durability(durability level) noexcept {
  return static_cast<wire::Durability>(level);
}

std::optional<durability> read_durability(wire::Durability level) noexcept {
  return checked(level, durability::durable);
}

void write_status(const op_status& status, wire::Status::Builder to) {
  to.setCode(write_code(status.code()));
  if (!status.message().empty()) to.setMessage(as_text(status.message()));
}

op_status read_status(wire::Status::Reader from) {
  const auto code = read_code(from.getCode());
  if (!code)
    return {op_code::not_supported, "the server answered with code " +
                                        std::to_string(unsigned(from.getCode())) +
                                        ", which this version does not know"};
  if (!from.hasMessage()) return *code;
  return {*code, std::string{as_view(from.getMessage())}};
}

bool needs_write(const operation& op, std::uint64_t ttl_ms) noexcept {
  return op.condition != write_condition::always || op.expires_at_ms != 0 || ttl_ms != 0 ||
         op.rank != priority::normal || op.pattern != access_pattern::balanced || op.keep_expiry ||
         op.expected_version != 0 || op.type != value_type::bytes || op.if_field_absent;
}

void write_write(const operation& op, std::uint64_t ttl_ms, wire::Write::Builder to) {
  to.setCondition(static_cast<wire::Condition>(op.condition));
  to.setPriority(static_cast<wire::Priority>(op.rank));
  to.setAccessPattern(static_cast<wire::AccessPattern>(op.pattern));
  to.setKeepExpiry(op.keep_expiry);
  to.setExpectedVersion(op.expected_version);
  to.setType(write_type(op.type));
  to.setIfFieldAbsent(op.if_field_absent);
  if (ttl_ms != 0)
    to.setTimeToLiveMs(ttl_ms);
  else
    to.setExpiresAtMs(op.expires_at_ms);
}

op_status read_write(wire::Write::Reader from, std::uint64_t now_ms, operation& op) {
  const auto condition = checked(from.getCondition(), write_condition::if_version);
  if (!condition) return unknown_number("write condition", unsigned(from.getCondition()));
  const auto rank = checked(from.getPriority(), priority::background);
  if (!rank) return unknown_number("priority", unsigned(from.getPriority()));
  const auto pattern = checked(from.getAccessPattern(), access_pattern::cold);
  if (!pattern) return unknown_number("access pattern", unsigned(from.getAccessPattern()));
  const auto type = read_type(from.getType());
  if (!type) return unknown_number("value type", unsigned(from.getType()));

  op.condition = *condition;
  op.rank = *rank;
  op.pattern = *pattern;
  op.type = *type;
  op.if_field_absent = from.getIfFieldAbsent();
  op.keep_expiry = from.getKeepExpiry();
  op.expected_version = from.getExpectedVersion();
  op.expires_at_ms = from.getExpiresAtMs();
  if (const auto ttl_ms = from.getTimeToLiveMs(); ttl_ms != 0) {
    if (op.expires_at_ms != 0)
      return {op_code::invalid_argument, "both expiresAtMs and timeToLiveMs are given: give one"};
    op.expires_at_ms = expiry_of(now_ms, ttl_ms);
  }
  if (op.keep_expiry && op.expires_at_ms != 0)
    return {op_code::invalid_argument, "keepExpiry contradicts a new expiry: give one"};
  return {};
}

void write_operation(const operation& op, std::uint64_t ttl_ms, wire::Operation::Builder to) {
  to.setKind(write_kind(op.kind));
  to.setDurability(write_durability(op.level));
  to.setKey(as_data(op.key));
  if (!op.value.empty()) to.setValue(as_data(op.value));
  if (op.kind == op_kind::increment || op.kind == op_kind::hash_increment) to.setDelta(op.delta);
  if (needs_write(op, ttl_ms)) write_write(op, ttl_ms, to.initWrite());
}

op_status read_operation(wire::Operation::Reader from, std::uint64_t now_ms, operation& op) {
  op = {};
  const auto kind = read_kind(from.getKind());
  if (!kind) return unknown_number("operation kind", unsigned(from.getKind()));
  const auto level = read_durability(from.getDurability());
  if (!level) return unknown_number("durability", unsigned(from.getDurability()));
  op.kind = *kind;
  op.level = *level;
  op.key = as_view(from.getKey());
  if (from.hasValue()) op.value = as_view(from.getValue());
  op.delta = from.getDelta();
  if (!from.hasWrite()) return {};
  return read_write(from.getWrite(), now_ms, op);
}

void write_call(const call_header& call, wire::Call::Builder to) {
  const auto ms =
      std::clamp<std::int64_t>(call.deadline.count(), 0, std::numeric_limits<std::uint32_t>::max());
  to.setDeadlineMs(static_cast<std::uint32_t>(ms));
  to.setClient(call.request.client);
  to.setNumber(call.request.number);
  to.setOldestUnanswered(call.request.oldest_unanswered);
}

call_header read_call(wire::Call::Reader from) {
  return {{from.getClient(), from.getNumber(), from.getOldestUnanswered()},
          std::chrono::milliseconds{from.getDeadlineMs()}};
}

void write_reply(const reply_view& reply, wire::Reply::Builder to) {
  to.setCode(write_code(reply.code));
  to.setShard(reply.shard.value);
  to.setVersion(reply.version);
  to.setNumber(reply.number);
  to.setExpiresAtMs(reply.expires_at_ms);
  to.setType(write_type(reply.type));
  if (!reply.value.empty()) to.setValue(as_data(reply.value));
  if (!reply.message.empty()) {
    auto text = to.initMessage(static_cast<unsigned>(reply.message.size()));
    std::copy(reply.message.begin(), reply.message.end(), text.begin());
  }
}

reply_view read_reply(wire::Reply::Reader from) {
  reply_view reply;
  const auto code = read_code(from.getCode());
  reply.code = code.value_or(op_code::not_supported);
  reply.shard = shard_id{from.getShard()};
  reply.version = from.getVersion();
  reply.number = from.getNumber();
  reply.expires_at_ms = from.getExpiresAtMs();
  reply.type = read_type(from.getType()).value_or(value_type::bytes);
  if (from.hasValue()) reply.value = as_view(from.getValue());
  if (from.hasMessage()) reply.message = as_view(from.getMessage());
  if (!code) reply.message = "the server answered with a code that this version does not know";
  return reply;
}

} // namespace warp
