// Commands that read strings.

#include "cluster/resp_lookup.hpp"
#include "cluster/resp_rows.hpp"

#include <algorithm>

namespace warp::cluster {

namespace {

void get(resp_call& c) {
  write_text(c, look_up_text(c, c.args[1]));
}

bool gather_get(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  op.kind = op_kind::get;
  op.key = args[1];
  shape = reply_shape::value;
  return true;
}

void getdel(resp_call& c) {
  const auto v = look_up_text(c, c.args[1]);
  write_text(c, v);
  if (v.present) c.keys.erase(c.args[1]);
}

void mget(resp_call& c) {
  const auto keys = c.args.subspan(1);
  c.out.array(keys.size());
  for (const auto key : keys) {
    const auto v = look_up(c, key);
    write_text(c, v.type == value_type::bytes ? v : resp_view::key_view{});
  }
}

void strlen_of(resp_call& c) {
  c.out.integer(static_cast<std::int64_t>(look_up_text(c, c.args[1]).value.size()));
}

void getrange(resp_call& c) {
  std::int64_t start = 0, end = 0;
  if (!take_integer(c, c.args[2], start) || !take_integer(c, c.args[3], end)) return;
  const auto value = look_up_text(c, c.args[1]).value;
  const auto size = static_cast<std::int64_t>(value.size());
  if (start < 0 && end < 0 && start > end) return c.out.bulk({});
  if (start < 0) start = std::max<std::int64_t>(start + size, 0);
  if (end < 0) end = std::max<std::int64_t>(end + size, 0);
  end = std::min(end, size - 1);
  if (start > end || size == 0) return c.out.bulk({});
  c.out.bulk(
      value.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start + 1)));
}

using namespace command_flags;

constexpr resp_command rows[] = {
    data_row("string", "get", 2, readonly | fast, get, gather_get, "1.0.0", "key",
             "Returns the string value of a key."),
    data_row("string", "getdel", 2, write | fast, getdel, nullptr, "6.2.0", "key",
             "Returns the string value of a key after deleting the key."),
    data_row("string", "getrange", 4, readonly, getrange, nullptr, "2.4.0", "key start end",
             "Returns a substring of the string stored at a key."),
    with_keys(data_row("string", "mget", -2, readonly | fast, mget, nullptr, "1.0.0",
                       "key [key ...]",
                       "Atomically returns the string values of one or more keys."),
              -1),
    data_row("string", "strlen", 2, readonly | fast, strlen_of, nullptr, "2.2.0", "key",
             "Returns the length of a string value."),
    data_row("string", "substr", 4, readonly, getrange, nullptr, "1.0.0", "key start end",
             "Returns a substring from a string value."),
};

} // namespace

std::span<const resp_command> get_commands() {
  return rows;
}

} // namespace warp::cluster
