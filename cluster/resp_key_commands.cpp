// Commands on keys of any type.

#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_text.hpp"
#include "storage/number.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

namespace warp::cluster {

namespace {

bool gather_one_key(resp_arguments args, op_kind kind, reply_shape as, operation& op,
                    reply_shape& shape) {
  if (args.size() != 2) return false;
  op.kind = kind;
  op.key = args[1];
  shape = as;
  return true;
}

// -- there or not
// --------------------------------------------------------------------------------------------------------

void del(resp_call& c) {
  const auto keys = c.args.subspan(1);
  c.out.integer(std::count_if(keys.begin(), keys.end(),
                              [&](std::string_view key) { return c.keys.erase(key); }));
}

bool gather_del(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  return gather_one_key(args, op_kind::erase, reply_shape::done, op, shape);
}

void exists(resp_call& c) {
  const auto keys = c.args.subspan(1);
  c.out.integer(std::count_if(keys.begin(), keys.end(),
                              [&](std::string_view key) { return c.keys.get(key).present; }));
}

bool gather_exists(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  return gather_one_key(args, op_kind::exists, reply_shape::done, op, shape);
}

void type(resp_call& c) {
  const auto v = c.keys.get(c.args[1]);
  c.out.simple(!v.present ? "none" : v.type == value_type::hash ? "hash" : "string");
}

bool gather_type(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  return gather_one_key(args, op_kind::exists, reply_shape::type, op, shape);
}

// -- expiry
// --------------------------------------------------------------------------------------------------------------

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
  const auto v = c.keys.get(c.args[1]);
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
  const auto v = c.keys.get(c.args[1]);
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

// -- other names
// ---------------------------------------------------------------------------------------------------------

/// Moves the value of args[1] to args[2].
void move_value(resp_call& c) {
  const auto v = c.keys.get(c.args[1]);
  c.keys.erase(c.args[1]);
  c.keys.put_like(c.args[2], v, v.expires_at_ms);
}

void rename(resp_call& c) {
  if (!c.keys.get(c.args[1]).present) return c.out.error("ERR no such key");
  if (c.args[1] != c.args[2]) move_value(c);
  c.out.ok();
}

void renamenx(resp_call& c) {
  if (!c.keys.get(c.args[1]).present) return c.out.error("ERR no such key");
  if (c.args[1] == c.args[2] || c.keys.get(c.args[2]).present) return c.out.integer(0);
  move_value(c);
  c.out.integer(1);
}

void copy(resp_call& c) {
  bool replace = false;
  for (std::size_t i = 3; i < c.args.size(); ++i) {
    if (same_word(c.args[i], "REPLACE")) {
      replace = true;
    } else if (same_word(c.args[i], "DB") && i + 1 < c.args.size()) {
      std::int64_t db = 0;
      if (!take_integer(c, c.args[++i], db)) return;
      if (db != 0) return c.out.error("ERR DB index is out of range");
    } else {
      return c.out.error(syntax_error);
    }
  }
  if (c.args[1] == c.args[2]) return c.out.error("ERR source and destination objects are the same");
  const auto v = c.keys.get(c.args[1]);
  if (!v.present || (c.keys.get(c.args[2]).present && !replace)) return c.out.integer(0);
  c.keys.put_like(c.args[2], v, v.expires_at_ms);
  c.out.integer(1);
}

// -- what it is made of
// --------------------------------------------------------------------------------------------------

/// As Redis would have it, which looks at what a hash holds, not at what it held.
std::string_view encoding_of(const storage::hash_view& fields) {
  constexpr std::size_t listpack_entries_max = 512, listpack_value_max = 64;
  if (fields.count() > listpack_entries_max) return "hashtable";
  bool small = true;
  fields.for_each([&](std::string_view name, std::string_view value) {
    small = small && name.size() <= listpack_value_max && value.size() <= listpack_value_max;
  });
  return small ? "listpack" : "hashtable";
}

std::string_view encoding_of(std::string_view value) {
  if (value.size() <= 20 && storage::parse_number(value)) return "int";
  return value.size() <= 44 ? "embstr" : "raw";
}

/// Of the key args[2], or writes null.
bool has_key(resp_call& c) {
  if (c.keys.get(c.args[2]).present) return true;
  c.out.null();
  return false;
}

constexpr resp_subcommand object_parts[] = {
    {"ENCODING", 3,
     [](resp_call& c) {
       if (!has_key(c)) return;
       const auto v = c.keys.get(c.args[2]);
       c.out.bulk(v.type == value_type::hash ? encoding_of(v.fields) : encoding_of(v.value));
     }},
    {"REFCOUNT", 3,
     [](resp_call& c) {
       if (has_key(c)) c.out.integer(1);
     }},
    {"IDLETIME", 3,
     [](resp_call& c) {
       if (has_key(c)) c.out.integer(0);
     }},
    {"FREQ", 3,
     [](resp_call& c) {
       if (has_key(c))
         c.out.error("ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                     "Please note that when switching between policies at runtime LRU and LFU "
                     "data will take some time to adjust.");
     }},
};

void object(resp_call& c) {
  constexpr std::string_view help[] = {
      "ENCODING <key>",
      "    Return the kind of internal representation used in order to store the "
      "value associated with a <key>.",
      "FREQ <key>",
      "    Return the access frequency index of the <key>.",
      "IDLETIME <key>",
      "    Return the idle time of the <key>.",
      "REFCOUNT <key>",
      "    Return the number of references of the value associated with the "
      "specified <key>."};
  run_subcommand(c, help);
}

using namespace command_flags;
using enum command_kind;

constexpr resp_command rows[] = {
    {.name = "copy",
     .arity = -3,
     .flags = write | denyoom,
     .first_key = 1,
     .last_key = 2,
     .key_step = 1,
     .kind = data,
     .run = copy,
     .group = "generic",
     .since = "6.2.0",
     .syntax = "source destination [DB destination-db] [REPLACE]",
     .summary = "Copies the value of a key to a new key.",
     .note = "one database"},
    {.name = "del",
     .arity = -2,
     .flags = write,
     .first_key = 1,
     .last_key = -1,
     .key_step = 1,
     .kind = data,
     .run = del,
     .gather = gather_del,
     .group = "generic",
     .since = "1.0.0",
     .syntax = "key [key ...]",
     .summary = "Deletes one or more keys.",
     .note = {}},
    {.name = "exists",
     .arity = -2,
     .flags = readonly | fast,
     .first_key = 1,
     .last_key = -1,
     .key_step = 1,
     .kind = data,
     .run = exists,
     .gather = gather_exists,
     .group = "generic",
     .since = "1.0.0",
     .syntax = "key [key ...]",
     .summary = "Determines whether one or more keys exist.",
     .note = {}},
    {.name = "expire",
     .arity = -3,
     .flags = write | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = expire<true, false>,
     .gather = gather_expire<true, false>,
     .group = "generic",
     .since = "1.0.0",
     .syntax = "key seconds [NX | XX | GT | LT]",
     .summary = "Sets the expiration time of a key in seconds.",
     .note = {}},
    {.name = "expireat",
     .arity = -3,
     .flags = write | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = expire<true, true>,
     .gather = gather_expire<true, true>,
     .group = "generic",
     .since = "1.2.0",
     .syntax = "key unix-time-seconds [NX | XX | GT | LT]",
     .summary = "Sets the expiration time of a key to a Unix timestamp.",
     .note = {}},
    {.name = "expiretime",
     .arity = 2,
     .flags = readonly | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = expiretime<1'000>,
     .group = "generic",
     .since = "7.0.0",
     .syntax = "key",
     .summary = "Returns the expiration time of a key as a Unix timestamp.",
     .note = {}},
    {.name = "object",
     .arity = -2,
     .flags = readonly,
     .first_key = 2,
     .last_key = 2,
     .key_step = 1,
     .kind = data,
     .run = object,
     .parts = object_parts,
     .group = "generic",
     .since = "2.2.3",
     .syntax = "ENCODING | FREQ | IDLETIME | REFCOUNT key",
     .summary = "A container for object introspection commands.",
     .note = "the encoding follows from the value alone; idle times are not kept"},
    {.name = "persist",
     .arity = 2,
     .flags = write | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = persist,
     .group = "generic",
     .since = "2.2.0",
     .syntax = "key",
     .summary = "Removes the expiration time of a key.",
     .note = {}},
    {.name = "pexpire",
     .arity = -3,
     .flags = write | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = expire<false, false>,
     .gather = gather_expire<false, false>,
     .group = "generic",
     .since = "2.6.0",
     .syntax = "key milliseconds [NX | XX | GT | LT]",
     .summary = "Sets the expiration time of a key in milliseconds.",
     .note = {}},
    {.name = "pexpireat",
     .arity = -3,
     .flags = write | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = expire<false, true>,
     .gather = gather_expire<false, true>,
     .group = "generic",
     .since = "2.6.0",
     .syntax = "key unix-time-milliseconds [NX | XX | GT | LT]",
     .summary = "Sets the expiration time of a key to a Unix milliseconds timestamp.",
     .note = {}},
    {.name = "pexpiretime",
     .arity = 2,
     .flags = readonly | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = expiretime<1>,
     .group = "generic",
     .since = "7.0.0",
     .syntax = "key",
     .summary = "Returns the expiration time of a key as a Unix milliseconds timestamp.",
     .note = {}},
    {.name = "pttl",
     .arity = 2,
     .flags = readonly | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = pttl,
     .gather = gather_pttl,
     .group = "generic",
     .since = "2.6.0",
     .syntax = "key",
     .summary = "Returns the expiration time in milliseconds of a key.",
     .note = {}},
    {.name = "rename",
     .arity = 3,
     .flags = write,
     .first_key = 1,
     .last_key = 2,
     .key_step = 1,
     .kind = data,
     .run = rename,
     .group = "generic",
     .since = "1.0.0",
     .syntax = "key newkey",
     .summary = "Renames a key and overwrites the destination.",
     .note = {}},
    {.name = "renamenx",
     .arity = 3,
     .flags = write | fast,
     .first_key = 1,
     .last_key = 2,
     .key_step = 1,
     .kind = data,
     .run = renamenx,
     .group = "generic",
     .since = "1.0.0",
     .syntax = "key newkey",
     .summary = "Renames a key only when the target key name doesn't exist.",
     .note = {}},
    {.name = "touch",
     .arity = -2,
     .flags = readonly | fast,
     .first_key = 1,
     .last_key = -1,
     .key_step = 1,
     .kind = data,
     .run = exists,
     .gather = gather_exists,
     .group = "generic",
     .since = "3.2.1",
     .syntax = "key [key ...]",
     .summary = "Returns the number of existing keys out of those specified after updating the "
                "time they were last accessed.",
     .note = "the time of the last access is not kept"},
    {.name = "ttl",
     .arity = 2,
     .flags = readonly | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = ttl,
     .gather = gather_ttl,
     .group = "generic",
     .since = "1.0.0",
     .syntax = "key",
     .summary = "Returns the expiration time in seconds of a key.",
     .note = {}},
    {.name = "type",
     .arity = 2,
     .flags = readonly | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = type,
     .gather = gather_type,
     .group = "generic",
     .since = "1.0.0",
     .syntax = "key",
     .summary = "Determines the type of value stored at a key.",
     .note = {}},
    {.name = "unlink",
     .arity = -2,
     .flags = write | fast,
     .first_key = 1,
     .last_key = -1,
     .key_step = 1,
     .kind = data,
     .run = del,
     .gather = gather_del,
     .group = "generic",
     .since = "4.0.0",
     .syntax = "key [key ...]",
     .summary = "Asynchronously deletes one or more keys.",
     .note = "as DEL"},
};

} // namespace

std::span<const resp_command> key_commands() {
  return rows;
}

} // namespace warp::cluster
