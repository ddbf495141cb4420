// Commands on when a key expires.

#include "cluster/resp_lookup.hpp"
#include "cluster/resp_rows.hpp"
#include "cluster/resp_text.hpp"
#include "storage/number.hpp"

#include <fmt/format.h>
#include <limits>

namespace warp::cluster {

namespace {

struct expire_options {
  bool if_none = false, if_some = false, if_later = false, if_sooner = false;
};

bool take_expire_options(resp_call& c, expire_options& o) {
  for (const auto word : c.args.subspan(3)) {
    if (same_word(word, "NX")) {
      o.if_none = true;
    } else if (same_word(word, "XX")) {
      o.if_some = true;
    } else if (same_word(word, "GT")) {
      o.if_later = true;
    } else if (same_word(word, "LT")) {
      o.if_sooner = true;
    } else {
      c.out.error(fmt::format("ERR Unsupported option {}", shown(word)));
      return false;
    }
  }
  if (o.if_none && (o.if_some || o.if_later || o.if_sooner)) {
    c.out.error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if (o.if_later && o.if_sooner) {
    c.out.error("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

/// A time of EXPIRE and its like, which may lie in the past, in ms since 1970; nothing: too far
/// away for 64 bits.
std::optional<std::int64_t> resolve(std::int64_t when, bool seconds, bool absolute,
                                    std::uint64_t now_ms) {
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  constexpr auto least = std::numeric_limits<std::int64_t>::min();
  if (seconds) {
    if (when > most / 1'000 || when < least / 1'000) return std::nullopt;
    when *= 1'000;
  }
  const auto base = absolute ? 0 : static_cast<std::int64_t>(now_ms);
  if (when > most - base) return std::nullopt;
  return when + base;
}

void expire_key(resp_call& c, bool seconds, bool absolute) {
  expire_options o;
  if (!take_expire_options(c, o)) return;
  std::int64_t given = 0;
  if (!take_integer(c, c.args[2], given)) return;
  const auto when = resolve(given, seconds, absolute, c.keys.now_ms());
  if (!when)
    return c.out.error(fmt::format("ERR invalid expire time in '{}' command", c.command.name));
  const auto key = c.args[1];
  const auto v = c.keys.get(key);
  const auto current = static_cast<std::int64_t>(v.expires_at_ms);
  if (!v.present || (o.if_none && current != 0) || (o.if_some && current == 0) ||
      (o.if_later && (current == 0 || *when <= current)) ||
      (o.if_sooner && current != 0 && *when >= current))
    return c.out.integer(0);
  if (*when <= static_cast<std::int64_t>(c.keys.now_ms()))
    c.keys.erase(key);
  else
    c.keys.expire(key, static_cast<std::uint64_t>(*when));
  c.out.integer(1);
}

template <bool Seconds, bool Absolute>
void expire(resp_call& c) {
  expire_key(c, Seconds, Absolute);
}

template <bool Seconds, bool Absolute>
bool gather_expire(resp_arguments args, std::uint64_t now_ms, operation& op, reply_shape& shape) {
  if (args.size() != 3) return false;
  const auto given = storage::parse_number(args[2]);
  if (!given) return false;
  const auto when = resolve(*given, Seconds, Absolute, now_ms);
  // With a margin: what has expired when the engine looks is to be erased instead.
  if (!when || *when <= static_cast<std::int64_t>(now_ms) + 1'000) return false;
  op.kind = op_kind::expire;
  op.key = args[1];
  op.expires_at_ms = static_cast<std::uint64_t>(*when);
  shape = reply_shape::done;
  return true;
}

void write_left(resp_call& c, bool seconds) {
  const auto v = look_up(c, c.args[1]);
  if (!v.present) return c.out.integer(-2);
  if (v.expires_at_ms == 0) return c.out.integer(-1);
  const auto left = static_cast<std::int64_t>(v.expires_at_ms - c.keys.now_ms());
  c.out.integer(seconds ? (left + 500) / 1'000 : left);
}

void ttl(resp_call& c) {
  write_left(c, true);
}
void pttl(resp_call& c) {
  write_left(c, false);
}
bool gather_ttl(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  return gather_one_key(args, op_kind::exists, reply_shape::ttl_s, op, shape);
}
bool gather_pttl(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  return gather_one_key(args, op_kind::exists, reply_shape::ttl_ms, op, shape);
}

template <int Unit_ms>
void expiretime(resp_call& c) {
  const auto v = look_up(c, c.args[1]);
  if (!v.present) return c.out.integer(-2);
  if (v.expires_at_ms == 0) return c.out.integer(-1);
  const auto at = static_cast<std::int64_t>(v.expires_at_ms);
  c.out.integer(Unit_ms == 1 ? at : (at + 500) / 1'000);
}

void persist(resp_call& c) {
  const auto v = c.keys.get(c.args[1]);
  const bool some = v.present && v.expires_at_ms != 0;
  if (some) c.keys.expire(c.args[1], 0);
  c.out.integer(some ? 1 : 0);
}

using namespace command_flags;

constexpr resp_command rows[] = {
    data_row("generic", "expire", -3, write | fast, expire<true, false>, gather_expire<true, false>,
             "1.0.0", "key seconds [NX | XX | GT | LT]",
             "Sets the expiration time of a key in seconds."),
    data_row("generic", "expireat", -3, write | fast, expire<true, true>, gather_expire<true, true>,
             "1.2.0", "key unix-time-seconds [NX | XX | GT | LT]",
             "Sets the expiration time of a key to a Unix timestamp."),
    data_row("generic", "expiretime", 2, readonly | fast, expiretime<1'000>, nullptr, "7.0.0",
             "key", "Returns the expiration time of a key as a Unix timestamp."),
    data_row("generic", "persist", 2, write | fast, persist, nullptr, "2.2.0", "key",
             "Removes the expiration time of a key."),
    data_row("generic", "pexpire", -3, write | fast, expire<false, false>,
             gather_expire<false, false>, "2.6.0", "key milliseconds [NX | XX | GT | LT]",
             "Sets the expiration time of a key in milliseconds."),
    data_row("generic", "pexpireat", -3, write | fast, expire<false, true>,
             gather_expire<false, true>, "2.6.0", "key unix-time-milliseconds [NX | XX | GT | LT]",
             "Sets the expiration time of a key to a Unix milliseconds timestamp."),
    data_row("generic", "pexpiretime", 2, readonly | fast, expiretime<1>, nullptr, "7.0.0", "key",
             "Returns the expiration time of a key as a Unix milliseconds timestamp."),
    data_row("generic", "pttl", 2, readonly | fast, pttl, gather_pttl, "2.6.0", "key",
             "Returns the expiration time in milliseconds of a key."),
    data_row("generic", "ttl", 2, readonly | fast, ttl, gather_ttl, "1.0.0", "key",
             "Returns the expiration time in seconds of a key."),
};

} // namespace

std::span<const resp_command> expire_commands() {
  return rows;
}

} // namespace warp::cluster
