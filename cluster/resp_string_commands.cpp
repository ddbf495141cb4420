// Commands on strings.

#include "cluster/resp_expiry.hpp"
#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_text.hpp"
#include "storage/number.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace warp::cluster {

namespace {

using storage::number_text;
using storage::parse_number;

// -- get and set
// ---------------------------------------------------------------------------------------------------------

void write_value(resp_call& c, std::string_view key) {
  const auto v = c.keys.text(key);
  auto& counts = c.thread.counts();
  bump(v.present ? counts.hits : counts.misses);
  if (v.present)
    c.out.bulk(v.value);
  else
    c.out.null();
}

void get(resp_call& c) {
  write_value(c, c.args[1]);
}

bool gather_get(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  op.kind = op_kind::get;
  op.key = args[1];
  shape = reply_shape::value;
  return true;
}

struct set_options {
  bool if_absent = false, if_present = false, give_old = false, keep_expiry = false,
       persist = false;
  std::optional<std::string_view> if_equal;
  std::optional<expiry_option> expiry;
};

/// The options of SET (or of GETEX) from args[from] on; false: a syntax error was written.
bool take_options(resp_call& c, std::size_t from, bool of_getex, set_options& o) {
  for (auto i = from; i < c.args.size(); ++i) {
    const auto word = c.args[i];
    const bool more = i + 1 < c.args.size();
    const auto expiry = expiry_option_named(word);
    // The same option may come twice, and the last one counts; different ones exclude each other.
    if (!of_getex && !o.if_present && !o.if_equal && same_word(word, "NX")) {
      o.if_absent = true;
    } else if (!of_getex && !o.if_absent && !o.if_equal && same_word(word, "XX")) {
      o.if_present = true;
    } else if (!of_getex && !o.if_absent && !o.if_present && more && same_word(word, "IFEQ")) {
      o.if_equal = c.args[++i];
    } else if (!of_getex && same_word(word, "GET")) {
      o.give_old = true;
    } else if (!of_getex && !o.expiry && same_word(word, "KEEPTTL")) {
      o.keep_expiry = true;
    } else if (of_getex && !o.expiry && same_word(word, "PERSIST")) {
      o.persist = true;
    } else if (expiry && more && !o.keep_expiry && !o.persist &&
               (!o.expiry || o.expiry->is_like(*expiry))) {
      o.expiry = expiry;
      o.expiry->text = c.args[++i];
    } else {
      c.out.error(syntax_error);
      return false;
    }
  }
  return true;
}

void set(resp_call& c) {
  set_options o;
  if (!take_options(c, 3, false, o)) return;
  const auto key = c.args[1], value = c.args[2];
  std::uint64_t expires_at_ms = 0;
  if (o.expiry) {
    std::string error;
    const auto at = resolve_expiry(*o.expiry, c.keys.now_ms(), "set", error);
    if (!at) return c.out.error(error);
    expires_at_ms = *at;
  }
  resp_view::key_view before;
  const bool asks = o.give_old || o.if_equal;
  if (asks)
    before = c.keys.text(key);
  else if (o.if_absent || o.if_present || o.keep_expiry)
    before = c.keys.get(key);
  if (o.give_old) write_value(c, key);
  if ((o.if_absent && before.present) || (o.if_present && !before.present) ||
      (o.if_equal && !(before.present && before.value == *o.if_equal))) {
    if (!o.give_old) c.out.null();
    return;
  }
  if (expires_at_ms != 0 && expires_at_ms <= c.keys.now_ms())
    c.keys.erase(key); // it would never be seen
  else
    c.keys.put(key, value, o.keep_expiry ? before.expires_at_ms : expires_at_ms);
  if (!o.give_old) c.out.ok();
}

bool gather_set(resp_arguments args, std::uint64_t now_ms, operation& op, reply_shape& shape) {
  op.kind = op_kind::put;
  op.key = args[1];
  op.value = args[2];
  shape = reply_shape::ok;
  if (args.size() == 3) [[likely]]
    return true;
  if (args.size() == 4) {
    shape = reply_shape::ok_or_null;
    if (same_word(args[3], "NX"))
      op.condition = write_condition::if_absent;
    else if (same_word(args[3], "XX"))
      op.condition = write_condition::if_present;
    else
      return false;
    return true;
  }
  if (args.size() != 5) return false;
  auto expiry = expiry_option_named(args[3]);
  if (!expiry) return false;
  expiry->text = args[4];
  std::string error;
  const auto at = resolve_expiry(*expiry, now_ms, "set", error);
  if (!at || *at <= now_ms) return false;
  op.expires_at_ms = *at;
  return true;
}

bool gather_setnx(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  op.kind = op_kind::put;
  op.key = args[1];
  op.value = args[2];
  op.condition = write_condition::if_absent;
  shape = reply_shape::done;
  return true;
}

void setnx(resp_call& c) {
  const bool absent = !c.keys.get(c.args[1]).present;
  if (absent) c.keys.put(c.args[1], c.args[2], 0);
  c.out.integer(absent ? 1 : 0);
}

void set_expiring(resp_call& c, bool seconds) {
  std::string error;
  const auto at = resolve_expiry({.text = c.args[2], .seconds = seconds}, c.keys.now_ms(),
                                 c.command.name, error);
  if (!at) return c.out.error(error);
  c.keys.put(c.args[1], c.args[3], *at);
  c.out.ok();
}

void setex(resp_call& c) {
  set_expiring(c, true);
}
void psetex(resp_call& c) {
  set_expiring(c, false);
}

template <bool Seconds>
bool gather_setex(resp_arguments args, std::uint64_t now_ms, operation& op, reply_shape& shape) {
  std::string error;
  const auto at = resolve_expiry({.text = args[2], .seconds = Seconds}, now_ms, {}, error);
  if (!at) return false;
  op.kind = op_kind::put;
  op.key = args[1];
  op.value = args[3];
  op.expires_at_ms = *at;
  shape = reply_shape::ok;
  return true;
}

void getset(resp_call& c) {
  write_value(c, c.args[1]);
  c.keys.put(c.args[1], c.args[2], 0);
}

void getdel(resp_call& c) {
  const bool present = c.keys.text(c.args[1]).present;
  write_value(c, c.args[1]);
  if (present) c.keys.erase(c.args[1]);
}

void delifeq(resp_call& c) {
  const auto v = c.keys.text(c.args[1]);
  const bool equal = v.present && v.value == c.args[2];
  if (equal) c.keys.erase(c.args[1]);
  c.out.integer(equal ? 1 : 0);
}

void getex(resp_call& c) {
  set_options o;
  if (!take_options(c, 2, true, o)) return;
  const auto key = c.args[1];
  const auto v = c.keys.text(key);
  if (!v.present) return write_value(c, key);
  std::uint64_t at = 0;
  if (o.expiry) {
    std::string error;
    const auto resolved = resolve_expiry(*o.expiry, c.keys.now_ms(), "getex", error);
    if (!resolved) return c.out.error(error);
    at = *resolved;
  }
  write_value(c, key);
  if (o.expiry && at <= c.keys.now_ms())
    c.keys.erase(key);
  else if (o.expiry || (o.persist && v.expires_at_ms != 0))
    c.keys.expire(key, at);
}

// -- several keys
// --------------------------------------------------------------------------------------------------------

void mget(resp_call& c) {
  const auto keys = c.args.subspan(1);
  c.out.array(keys.size());
  for (const auto key : keys) {
    const auto v = c.keys.get(key);
    const bool is_text = v.present && v.type == value_type::bytes;
    bump(v.present ? c.thread.counts().hits : c.thread.counts().misses);
    if (is_text)
      c.out.bulk(v.value);
    else
      c.out.null();
  }
}

void put_pairs(resp_call& c) {
  for (std::size_t i = 1; i + 1 < c.args.size(); i += 2) c.keys.put(c.args[i], c.args[i + 1], 0);
}

void mset(resp_call& c) {
  if (c.args.size() % 2 == 0) return arity_error(c.out, "mset");
  put_pairs(c);
  c.out.ok();
}

void msetnx(resp_call& c) {
  if (c.args.size() % 2 == 0) return arity_error(c.out, "msetnx");
  bool any = false;
  for (std::size_t i = 1; i < c.args.size() && !any; i += 2) any = c.keys.get(c.args[i]).present;
  if (!any) put_pairs(c);
  c.out.integer(any ? 0 : 1);
}

// -- parts of a value
// ---------------------------------------------------------------------------------------------------

/// Is a value of that size allowed? Else the error is written.
bool size_fits(resp_call& c, std::uint64_t bytes) {
  const auto most =
      std::min<std::uint64_t>(c.shared.settings.bulk_bytes_max.load(std::memory_order_relaxed),
                              c.shared.engine.options().value_bytes_max);
  if (bytes <= most) return true;
  c.out.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  return false;
}

void append(resp_call& c) {
  const auto key = c.args[1];
  const auto v = c.keys.text(key);
  const auto size = v.value.size() + c.args[2].size();
  if (!size_fits(c, size)) return;
  if (v.present) {
    std::string whole;
    whole.reserve(size);
    whole.append(v.value).append(c.args[2]);
    c.keys.put(key, whole, v.expires_at_ms);
  } else {
    c.keys.put(key, c.args[2], 0);
  }
  c.out.integer(static_cast<std::int64_t>(size));
}

void strlen_of(resp_call& c) {
  c.out.integer(static_cast<std::int64_t>(c.keys.text(c.args[1]).value.size()));
}

void getrange(resp_call& c) {
  std::int64_t start = 0, end = 0;
  if (!take_integer(c, c.args[2], start) || !take_integer(c, c.args[3], end)) return;
  const auto value = c.keys.text(c.args[1]).value;
  const auto size = static_cast<std::int64_t>(value.size());
  if (start < 0 && end < 0 && start > end) return c.out.bulk({});
  if (start < 0) start = std::max<std::int64_t>(start + size, 0);
  if (end < 0) end = std::max<std::int64_t>(end + size, 0);
  end = std::min(end, size - 1);
  if (start > end || size == 0) return c.out.bulk({});
  c.out.bulk(
      value.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start + 1)));
}

void setrange(resp_call& c) {
  std::int64_t offset = 0;
  if (!take_integer(c, c.args[2], offset)) return;
  if (offset < 0) return c.out.error("ERR offset is out of range");
  const auto key = c.args[1], piece = c.args[3];
  const auto v = c.keys.text(key);
  if (piece.empty()) return c.out.integer(static_cast<std::int64_t>(v.value.size()));
  const auto at = static_cast<std::uint64_t>(offset);
  if (!size_fits(c, at + piece.size())) return;
  std::string whole{v.value};
  whole.resize(std::max<std::size_t>(whole.size(), at + piece.size()));
  whole.replace(at, piece.size(), piece);
  const auto size = whole.size();
  c.keys.put(key, whole, v.expires_at_ms);
  c.out.integer(static_cast<std::int64_t>(size));
}

// -- numbers
// -------------------------------------------------------------------------------------------------------------

void increment(resp_call& c, std::int64_t by) {
  const auto key = c.args[1];
  const auto v = c.keys.text(key);
  const auto before = v.present ? parse_number(v.value) : std::optional<std::int64_t>{0};
  if (!before) return c.out.error(not_an_integer);
  const auto sum = storage::add(*before, by);
  if (!sum) return c.out.error("ERR increment or decrement would overflow");
  c.keys.put(key, number_text{*sum}.view(), v.expires_at_ms);
  c.out.integer(*sum);
}

void incr(resp_call& c) {
  increment(c, 1);
}
void decr(resp_call& c) {
  increment(c, -1);
}
void incrby(resp_call& c) {
  if (std::int64_t by = 0; take_integer(c, c.args[2], by)) increment(c, by);
}
void decrby(resp_call& c) {
  std::int64_t by = 0;
  if (!take_integer(c, c.args[2], by)) return;
  if (by == std::numeric_limits<std::int64_t>::min())
    return c.out.error("ERR decrement would overflow");
  increment(c, -by);
}

bool gather_increment(resp_arguments args, std::int64_t by, operation& op, reply_shape& shape) {
  op.kind = op_kind::increment;
  op.key = args[1];
  op.delta = by;
  shape = reply_shape::number;
  return true;
}
bool gather_incr(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  return gather_increment(args, 1, op, shape);
}
bool gather_decr(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  return gather_increment(args, -1, op, shape);
}
bool gather_incrby(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  const auto by = parse_number(args[2]);
  return by && gather_increment(args, *by, op, shape);
}
bool gather_decrby(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  const auto by = parse_number(args[2]);
  return by && *by != std::numeric_limits<std::int64_t>::min() &&
         gather_increment(args, -*by, op, shape);
}

void incrbyfloat(resp_call& c) {
  const auto key = c.args[1];
  const auto v = c.keys.text(key);
  const auto before = v.present ? parse_real(v.value) : std::optional<long double>{0};
  const auto by = parse_real(c.args[2]);
  if (!before || !by) return c.out.error("ERR value is not a valid float");
  const auto sum = *before + *by;
  if (std::isnan(sum) || std::isinf(sum))
    return c.out.error("ERR increment would produce NaN or Infinity");
  const auto text = format_real(sum);
  c.keys.put(key, text, v.expires_at_ms);
  c.out.bulk(text);
}

using namespace command_flags;
using enum command_kind;

constexpr resp_command rows[] = {
    {.name = "append",
     .arity = 3,
     .flags = write | denyoom | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = append,
     .group = "string",
     .since = "2.0.0",
     .syntax = "key value",
     .summary = "Appends a string to the value of a key. Creates the key if it doesn't exist.",
     .note = {}},
    {.name = "decr",
     .arity = 2,
     .flags = write | denyoom | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = decr,
     .gather = gather_decr,
     .group = "string",
     .since = "1.0.0",
     .syntax = "key",
     .summary = "Decrements the integer value of a key by one. Uses 0 as initial value if the key "
                "doesn't exist.",
     .note = {}},
    {.name = "decrby",
     .arity = 3,
     .flags = write | denyoom | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = decrby,
     .gather = gather_decrby,
     .group = "string",
     .since = "1.0.0",
     .syntax = "key decrement",
     .summary = "Decrements a number from the integer value of a key. Uses 0 as initial value if "
                "the key doesn't exist.",
     .note = {}},
    {.name = "delifeq",
     .arity = 3,
     .flags = write | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = delifeq,
     .group = "string",
     .since = "9.0.0",
     .syntax = "key value",
     .summary = "Deletes a key if its value is the given one.",
     .note = "as in Valkey 9"},
    {.name = "get",
     .arity = 2,
     .flags = readonly | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = get,
     .gather = gather_get,
     .group = "string",
     .since = "1.0.0",
     .syntax = "key",
     .summary = "Returns the string value of a key.",
     .note = {}},
    {.name = "getdel",
     .arity = 2,
     .flags = write | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = getdel,
     .group = "string",
     .since = "6.2.0",
     .syntax = "key",
     .summary = "Returns the string value of a key after deleting the key.",
     .note = {}},
    {.name = "getex",
     .arity = -2,
     .flags = write | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = getex,
     .group = "string",
     .since = "6.2.0",
     .syntax = "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT "
               "unix-time-milliseconds | PERSIST]",
     .summary = "Returns the string value of a key after setting its expiration time.",
     .note = {}},
    {.name = "getrange",
     .arity = 4,
     .flags = readonly,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = getrange,
     .group = "string",
     .since = "2.4.0",
     .syntax = "key start end",
     .summary = "Returns a substring of the string stored at a key.",
     .note = {}},
    {.name = "getset",
     .arity = 3,
     .flags = write | denyoom | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = getset,
     .stores = true,
     .group = "string",
     .since = "1.0.0",
     .syntax = "key value",
     .summary = "Returns the previous string value of a key after setting it to a new value.",
     .note = {}},
    {.name = "incr",
     .arity = 2,
     .flags = write | denyoom | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = incr,
     .gather = gather_incr,
     .group = "string",
     .since = "1.0.0",
     .syntax = "key",
     .summary = "Increments the integer value of a key by one. Uses 0 as initial value if the key "
                "doesn't exist.",
     .note = {}},
    {.name = "incrby",
     .arity = 3,
     .flags = write | denyoom | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = incrby,
     .gather = gather_incrby,
     .group = "string",
     .since = "1.0.0",
     .syntax = "key increment",
     .summary = "Increments the integer value of a key by a number. Uses 0 as initial value if the "
                "key doesn't exist.",
     .note = {}},
    {.name = "incrbyfloat",
     .arity = 3,
     .flags = write | denyoom | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = incrbyfloat,
     .group = "string",
     .since = "2.6.0",
     .syntax = "key increment",
     .summary = "Increment the floating point value of a key by a number. Uses 0 as initial value "
                "if the key doesn't exist.",
     .note = {}},
    {.name = "mget",
     .arity = -2,
     .flags = readonly | fast,
     .first_key = 1,
     .last_key = -1,
     .key_step = 1,
     .kind = data,
     .run = mget,
     .group = "string",
     .since = "1.0.0",
     .syntax = "key [key ...]",
     .summary = "Atomically returns the string values of one or more keys.",
     .note = {}},
    {.name = "mset",
     .arity = -3,
     .flags = write | denyoom,
     .first_key = 1,
     .last_key = -1,
     .key_step = 2,
     .kind = data,
     .run = mset,
     .stores = true,
     .group = "string",
     .since = "1.0.1",
     .syntax = "key value [key value ...]",
     .summary = "Atomically creates or modifies the string values of one or more keys.",
     .note = {}},
    {.name = "msetnx",
     .arity = -3,
     .flags = write | denyoom,
     .first_key = 1,
     .last_key = -1,
     .key_step = 2,
     .kind = data,
     .run = msetnx,
     .stores = true,
     .group = "string",
     .since = "1.0.1",
     .syntax = "key value [key value ...]",
     .summary = "Atomically modifies the string values of one or more keys only when all keys "
                "don't exist.",
     .note = {}},
    {.name = "psetex",
     .arity = 4,
     .flags = write | denyoom,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = psetex,
     .gather = gather_setex<false>,
     .stores = true,
     .group = "string",
     .since = "2.6.0",
     .syntax = "key milliseconds value",
     .summary = "Sets both string value and expiration time in milliseconds of a key. The key is "
                "created if it doesn't exist.",
     .note = {}},
    {.name = "set",
     .arity = -3,
     .flags = write | denyoom,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = set,
     .gather = gather_set,
     .stores = true,
     .group = "string",
     .since = "1.0.0",
     .syntax = "key value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds | "
               "EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
     .summary = "Sets the string value of a key, ignoring its type. The key is created if it "
                "doesn't exist.",
     .note = "IFEQ as in Valkey 8.1"},
    {.name = "setex",
     .arity = 4,
     .flags = write | denyoom,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = setex,
     .gather = gather_setex<true>,
     .stores = true,
     .group = "string",
     .since = "2.0.0",
     .syntax = "key seconds value",
     .summary =
         "Sets the string value and expiration time of a key. Creates the key if it doesn't exist.",
     .note = {}},
    {.name = "setnx",
     .arity = 3,
     .flags = write | denyoom | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = setnx,
     .gather = gather_setnx,
     .stores = true,
     .group = "string",
     .since = "1.0.0",
     .syntax = "key value",
     .summary = "Set the string value of a key only when the key doesn't exist.",
     .note = {}},
    {.name = "setrange",
     .arity = 4,
     .flags = write | denyoom,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = setrange,
     .group = "string",
     .since = "2.2.0",
     .syntax = "key offset value",
     .summary = "Overwrites a part of a string value with another by an offset. Creates the key if "
                "it doesn't exist.",
     .note = {}},
    {.name = "strlen",
     .arity = 2,
     .flags = readonly | fast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = strlen_of,
     .group = "string",
     .since = "2.2.0",
     .syntax = "key",
     .summary = "Returns the length of a string value.",
     .note = {}},
    {.name = "substr",
     .arity = 4,
     .flags = readonly,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .kind = data,
     .run = getrange,
     .group = "string",
     .since = "1.0.0",
     .syntax = "key start end",
     .summary = "Returns a substring from a string value.",
     .note = {}},
};

} // namespace

std::span<const resp_command> string_commands() {
  return rows;
}

} // namespace warp::cluster
