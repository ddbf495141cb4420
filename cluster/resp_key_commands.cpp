// Commands on keys of any type: whether they are there, and other names for them.

#include "cluster/resp_lookup.hpp"
#include "cluster/resp_rows.hpp"
#include "cluster/resp_text.hpp"

#include <algorithm>

namespace warp::cluster {

namespace {

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
                              [&](std::string_view key) { return look_up(c, key).present; }));
}

bool gather_exists(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  return gather_one_key(args, op_kind::exists, reply_shape::there, op, shape);
}

void type(resp_call& c) {
  const auto v = look_up(c, c.args[1]);
  c.out.simple(!v.present ? "none" : v.type == value_type::hash ? "hash" : "string");
}

bool gather_type(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  return gather_one_key(args, op_kind::exists, reply_shape::type, op, shape);
}

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
  const auto v = look_up(c, c.args[1]);
  if (!v.present || (c.keys.get(c.args[2]).present && !replace)) return c.out.integer(0);
  c.keys.put_like(c.args[2], v, v.expires_at_ms);
  c.out.integer(1);
}

using namespace command_flags;

constexpr resp_command rows[] = {
    copying(data_row("generic", "copy", -3, write | denyoom, copy, nullptr, "6.2.0",
                     "source destination [DB destination-db] [REPLACE]",
                     "Copies the value of a key to a new key.", "one database")),
    with_keys(data_row("generic", "del", -2, write, del, gather_del, "1.0.0", "key [key ...]",
                       "Deletes one or more keys."),
              -1),
    with_keys(data_row("generic", "exists", -2, readonly | fast, exists, gather_exists, "1.0.0",
                       "key [key ...]", "Determines whether one or more keys exist."),
              -1),
    copying(data_row("generic", "rename", 3, write, rename, nullptr, "1.0.0", "key newkey",
                     "Renames a key and overwrites the destination.")),
    copying(data_row("generic", "renamenx", 3, write | fast, renamenx, nullptr, "1.0.0",
                     "key newkey", "Renames a key only when the target key name doesn't exist.")),
    with_keys(
        data_row("generic", "touch", -2, readonly | fast, exists, gather_exists, "3.2.1",
                 "key [key ...]",
                 "Returns the number of existing keys out of those specified after updating the "
                 "time they were last accessed.",
                 "the time of the last access is not kept"),
        -1),
    data_row("generic", "type", 2, readonly | fast, type, gather_type, "1.0.0", "key",
             "Determines the type of value stored at a key."),
    with_keys(data_row("generic", "unlink", -2, write | fast, del, gather_del, "4.0.0",
                       "key [key ...]", "Asynchronously deletes one or more keys.", "as DEL"),
              -1),
};

} // namespace

std::span<const resp_command> key_commands() {
  return rows;
}

} // namespace warp::cluster
