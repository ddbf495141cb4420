// SET and its like: commands that write whole strings.

#include "cluster/resp_expiry.hpp"
#include "cluster/resp_lookup.hpp"
#include "cluster/resp_rows.hpp"
#include "cluster/resp_text.hpp"

namespace warp::cluster {

namespace {

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
  if (o.give_old)
    before = look_up_text(c, key);
  else if (o.if_equal)
    before = c.keys.text(key);
  else if (o.if_absent || o.if_present || o.keep_expiry)
    before = c.keys.get(key);
  if (o.give_old) write_text(c, before);
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
  const auto v = look_up_text(c, key);
  if (!v.present) return c.out.null();
  std::uint64_t at = 0;
  if (o.expiry) {
    std::string error;
    const auto resolved = resolve_expiry(*o.expiry, c.keys.now_ms(), "getex", error);
    if (!resolved) return c.out.error(error);
    at = *resolved;
  }
  c.out.bulk(v.value);
  if (o.expiry && at <= c.keys.now_ms())
    c.keys.erase(key);
  else if (o.expiry || (o.persist && v.expires_at_ms != 0))
    c.keys.expire(key, at);
}

void getset(resp_call& c) {
  write_text(c, look_up_text(c, c.args[1]));
  c.keys.put(c.args[1], c.args[2], 0);
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

using namespace command_flags;

constexpr resp_command rows[] = {
    data_row("string", "delifeq", 3, write | fast, delifeq, nullptr, "9.0.0", "key value",
             "Deletes a key if its value is the given one.", "as in Valkey 9"),
    data_row("string", "getex", -2, write | fast, getex, nullptr, "6.2.0",
             "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT "
             "unix-time-milliseconds | PERSIST]",
             "Returns the string value of a key after setting its expiration time."),
    storing(data_row(
        "string", "getset", 3, write | denyoom | fast, getset, nullptr, "1.0.0", "key value",
        "Returns the previous string value of a key after setting it to a new value.")),
    storing(
        with_keys(data_row("string", "mset", -3, write | denyoom, mset, nullptr, "1.0.1",
                           "key value [key value ...]",
                           "Atomically creates or modifies the string values of one or more keys."),
                  -1, 2)),
    storing(with_keys(
        data_row("string", "msetnx", -3, write | denyoom, msetnx, nullptr, "1.0.1",
                 "key value [key value ...]",
                 "Atomically modifies the string values of one or more keys only when all keys "
                 "don't exist."),
        -1, 2)),
    storing(
        data_row("string", "psetex", 4, write | denyoom, psetex, gather_setex<false>, "2.6.0",
                 "key milliseconds value",
                 "Sets both string value and expiration time in milliseconds of a key. The key is "
                 "created if it doesn't exist.")),
    storing(data_row(
        "string", "set", -3, write | denyoom, set, gather_set, "1.0.0",
        "key value [NX | XX | IFEQ comparison-value] [GET] [EX seconds | PX milliseconds | "
        "EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
        "Sets the string value of a key, ignoring its type. The key is created if it "
        "doesn't exist.",
        "IFEQ as in Valkey 8.1")),
    storing(data_row("string", "setex", 4, write | denyoom, setex, gather_setex<true>, "2.0.0",
                     "key seconds value",
                     "Sets the string value and expiration time of a key. Creates the key if it "
                     "doesn't exist.")),
    storing(data_row("string", "setnx", 3, write | denyoom | fast, setnx, gather_setnx, "1.0.0",
                     "key value",
                     "Set the string value of a key only when the key doesn't exist.")),
};

} // namespace

std::span<const resp_command> set_commands() {
  return rows;
}

} // namespace warp::cluster
