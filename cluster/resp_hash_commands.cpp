// Commands on hashes. Nearly all are one operation of the engine: their arguments are packed for it
// (see messages/packed_fields.hpp), and its reply is taken apart again, whether they come in a
// batch or one by one.

#include "cluster/resp_hash_commands.hpp"

#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_lookup.hpp"
#include "cluster/resp_random_fields.hpp"
#include "cluster/resp_rows.hpp"
#include "cluster/resp_text.hpp"
#include "messages/packed_fields.hpp"
#include "storage/number.hpp"

#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <new>

namespace warp::cluster {

namespace {

// -- from arguments to operations
// ------------------------------------------------------------------------------------------------

/// Lets `add` fill a packer, and keeps what it makes for the operation. False: there is no memory.
template <class Add>
bool pack(operation& op, Add&& add) {
  thread_local field_packer packer;
  try {
    packer.clear();
    add(packer);
    op.value = gathered_arguments().copy(packer.packed());
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

bool pack_names(resp_arguments names, operation& op) {
  return pack(op, [&](field_packer& to) {
    for (const auto name : names) to.add_name(name);
  });
}

/// `words` are names and values in turns.
bool pack_pairs(resp_arguments words, operation& op) {
  return pack(op, [&](field_packer& to) {
    for (std::size_t i = 0; i < words.size(); i += 2) to.add_pair(words[i], words[i + 1]);
  });
}

template <reply_shape Shape>
bool gather_set(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  if (args.size() % 2 != 0) return false;
  op.kind = op_kind::hash_set;
  op.key = args[1];
  shape = Shape;
  return pack_pairs(args.subspan(2), op);
}

bool gather_setnx(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  op.kind = op_kind::hash_set;
  op.key = args[1];
  op.if_field_absent = true;
  shape = reply_shape::hash_done;
  return pack_pairs(args.subspan(2), op);
}

/// The fields from args[2] on.
template <op_kind Kind, reply_shape Shape>
bool gather_fields(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  op.kind = Kind;
  op.key = args[1];
  shape = Shape;
  return pack_names(args.subspan(2), op);
}

/// Nothing but the key.
template <op_kind Kind, reply_shape Shape>
bool gather_whole(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  op.kind = Kind;
  op.key = args[1];
  shape = Shape;
  return true;
}

bool gather_random(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  op.kind = op_kind::hash_all;
  op.key = args[1];
  shape = reply_shape::hash_random;
  if (args.size() == 2) return true;
  const auto count = storage::parse_number(args[2]);
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  if (!count || *count < -most || args.size() > 4) return false;
  op.delta = *count;
  shape = reply_shape::hash_random_names;
  if (args.size() == 3) return true;
  shape = reply_shape::hash_random_pairs;
  return same_word(args[3], "WITHVALUES") && *count >= -most / 2 && *count <= most / 2;
}

bool gather_incrby(resp_arguments args, std::uint64_t, operation& op, reply_shape& shape) {
  const auto by = storage::parse_number(args[3]);
  if (!by) return false;
  op.kind = op_kind::hash_increment;
  op.key = args[1];
  op.delta = *by;
  shape = reply_shape::hash_number;
  return pack_names(args.subspan(2, 1), op);
}

// -- one by one
// ----------------------------------------------------------------------------------------------------------

/// Of commands whose arguments are right.
void run_operation(resp_call& c) {
  operation op{.key = {}, .value = {}, .request = {}};
  reply_shape shape{};
  if (!c.command.gather(c.args, c.keys.now_ms(), op, shape))
    return c.out.error(failure_text(op_code::no_space, c.shared.engine));
  const auto& reply = c.keys.apply(op);
  if (!is_write(op.kind)) c.thread.note_lookup(reply.code != op_code::not_found);
  if (!write_hash_reply(c.out, shape, op, reply))
    c.out.error(failure_text(reply.code, c.shared.engine));
}

void hset(resp_call& c) {
  if (c.args.size() % 2 != 0) return arity_error(c.out, c.command.name);
  run_operation(c);
}

void hincrby(resp_call& c) {
  if (std::int64_t by = 0; take_integer(c, c.args[3], by)) run_operation(c);
}

void hrandfield(resp_call& c) {
  if (c.args.size() > 2) {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    std::int64_t count = 0;
    if (!take_integer(c, c.args[2], count)) return;
    if (count < -most)
      return c.out.error(
          fmt::format("ERR value is out of range, value must between {} and {}", -most, most));
    if (c.args.size() > 4 || (c.args.size() == 4 && !same_word(c.args[3], "WITHVALUES")))
      return c.out.error(syntax_error);
    if (c.args.size() == 4 && (count < -most / 2 || count > most / 2))
      return c.out.error("ERR value is out of range");
  }
  run_operation(c);
}

void hincrbyfloat(resp_call& c) {
  const auto by = parse_real(c.args[3]);
  if (!by) return c.out.error("ERR value is not a valid float");
  const auto v = c.keys.get(c.args[1]);
  if (v.present && v.type != value_type::hash) return c.out.error(wrong_type_error);
  const auto old = v.fields.find(c.args[2]);
  const auto before = old ? parse_real(*old) : std::optional<long double>{0};
  if (!before) return c.out.error("ERR hash value is not a float");
  const auto sum = *before + *by;
  if (std::isnan(sum) || std::isinf(sum))
    return c.out.error("ERR increment would produce NaN or Infinity");
  const auto text = format_real(sum);
  field_packer packer;
  packer.add_pair(c.args[2], text);
  const auto& reply = c.keys.apply(
      {.kind = op_kind::hash_set, .key = c.args[1], .value = packer.packed(), .request = {}});
  if (reply.code != op_code::ok) return c.out.error(failure_text(reply.code, c.shared.engine));
  c.out.bulk(text);
}

void hscan(resp_call& c) {
  const auto cursor = take_cursor(c, c.args[2]);
  if (!cursor) return;
  const auto v = look_up(c, c.args[1]);
  if (!v.present) {
    c.out.array(2);
    c.out.bulk("0");
    return c.out.array(0);
  }
  if (v.type != value_type::hash) return c.out.error(wrong_type_error);
  std::string_view pattern = "*";
  std::int64_t count = 10;
  for (std::size_t i = 3; i < c.args.size(); i += 2) {
    if (i + 1 == c.args.size()) return c.out.error(syntax_error);
    if (same_word(c.args[i], "COUNT")) {
      if (!take_integer(c, c.args[i + 1], count)) return;
      if (count < 1) return c.out.error(syntax_error);
    } else if (same_word(c.args[i], "MATCH")) {
      pattern = c.args[i + 1];
    } else {
      return c.out.error(syntax_error);
    }
  }
  std::vector<std::string_view> found;
  std::int64_t seen = 0;
  auto at = reversed_bits(*cursor);
  do
    at = v.fields.walk(at, [&](std::string_view name, std::string_view value) {
      ++seen;
      if (!matches_pattern(pattern, name)) return;
      found.push_back(name);
      found.push_back(value);
    });
  while (at != 0 && seen < count);
  c.out.array(2);
  c.out.bulk(fmt::format("{}", reversed_bits(at)));
  c.out.array(found.size());
  for (const auto word : found) c.out.bulk(word);
}

using namespace command_flags;

constexpr std::string_view order_note =
    "above 128 fields or 2 KiB in an order of its own, which is not Redis's";

constexpr resp_command rows[] = {
    data_row(
        "hash", "hdel", -3, write | fast, run_operation,
        gather_fields<op_kind::hash_erase, reply_shape::hash_number>, "2.0.0",
        "key field [field ...]",
        "Deletes one or more fields and their values from a hash. Deletes the hash if no fields "
        "remain."),
    data_row("hash", "hexists", 3, readonly | fast, run_operation,
             gather_fields<op_kind::hash_get, reply_shape::hash_has>, "2.0.0", "key field",
             "Determines whether a field exists in a hash."),
    data_row("hash", "hget", 3, readonly | fast, run_operation,
             gather_fields<op_kind::hash_get, reply_shape::hash_value>, "2.0.0", "key field",
             "Returns the value of a field in a hash."),
    data_row("hash", "hgetall", 2, readonly, run_operation,
             gather_whole<op_kind::hash_all, reply_shape::hash_pairs>, "2.0.0", "key",
             "Returns all fields and values in a hash.", order_note),
    data_row(
        "hash", "hincrby", 4, write | denyoom | fast, hincrby, gather_incrby, "2.0.0",
        "key field increment",
        "Increments the integer value of a field in a hash by a number. Uses 0 as initial value if "
        "the field doesn't exist."),
    data_row(
        "hash", "hincrbyfloat", 4, write | denyoom | fast, hincrbyfloat, nullptr, "2.6.0",
        "key field increment",
        "Increments the floating point value of a field by a number. Uses 0 as initial value if "
        "the field doesn't exist."),
    data_row("hash", "hkeys", 2, readonly, run_operation,
             gather_whole<op_kind::hash_all, reply_shape::hash_names>, "2.0.0", "key",
             "Returns all fields in a hash.", order_note),
    data_row("hash", "hlen", 2, readonly | fast, run_operation,
             gather_whole<op_kind::hash_length, reply_shape::hash_number>, "2.0.0", "key",
             "Returns the number of fields in a hash."),
    data_row("hash", "hmget", -3, readonly | fast, run_operation,
             gather_fields<op_kind::hash_get, reply_shape::hash_values_of>, "2.0.0",
             "key field [field ...]", "Returns the values of all fields in a hash."),
    data_row("hash", "hmset", -4, write | denyoom | fast, hset, gather_set<reply_shape::hash_ok>,
             "2.0.0", "key field value [field value ...]", "Sets the values of multiple fields."),
    data_row("hash", "hrandfield", -2, readonly, hrandfield, gather_random, "6.2.0",
             "key [count [WITHVALUES]]", "Returns one or more random fields from a hash.",
             "a negative count is at most 1000000"),
    data_row("hash", "hscan", -3, readonly, hscan, nullptr, "2.8.0",
             "key cursor [MATCH pattern] [COUNT count]",
             "Iterates over fields and values of a hash.",
             "a hash of at most 128 fields and 2 KiB comes whole"),
    data_row("hash", "hset", -4, write | denyoom | fast, hset, gather_set<reply_shape::hash_number>,
             "2.0.0", "key field value [field value ...]",
             "Creates or modifies the value of a field in a hash."),
    data_row("hash", "hsetnx", 4, write | denyoom | fast, run_operation, gather_setnx, "2.0.0",
             "key field value",
             "Sets the value of a field in a hash only when the field doesn't exist."),
    data_row("hash", "hstrlen", 3, readonly | fast, run_operation,
             gather_fields<op_kind::hash_get, reply_shape::hash_size>, "3.2.0", "key field",
             "Returns the length of the value of a field."),
    data_row("hash", "hvals", 2, readonly, run_operation,
             gather_whole<op_kind::hash_all, reply_shape::hash_values>, "2.0.0", "key",
             "Returns all values in a hash.", order_note),
};

/// The only answer; nothing for an absent hash.
std::optional<std::string_view> answer_of(const storage::op_reply& reply) {
  std::optional<std::string_view> only;
  if (reply.code == op_code::ok)
    for_each_answer(reply.value, [&](std::optional<std::string_view> answer) { only = answer; });
  return only;
}

} // namespace

std::span<const resp_command> hash_commands() {
  return rows;
}

storage::value_arena& gathered_arguments() noexcept {
  thread_local storage::value_arena arena;
  return arena;
}

bool write_hash_reply(resp_writer& out, reply_shape shape, const operation& op,
                      const storage::op_reply& reply) {
  const bool present = reply.code == op_code::ok || reply.code == op_code::already_exists;
  if (reply.code == op_code::wrong_type) {
    if (reply.type != value_type::hash)
      out.error(wrong_type_error);
    else
      out.error(reply.number != 0 ? "ERR increment or decrement would overflow"
                                  : "ERR hash value is not an integer");
    return true;
  }
  if (!present && reply.code != op_code::not_found) return false;
  const storage::hash_view fields{reply.value, reply.large.get()};
  switch (shape) {
  case reply_shape::hash_number:
    out.integer(present ? reply.number : 0);
    return true;
  case reply_shape::hash_ok:
    out.ok();
    return true;
  case reply_shape::hash_done:
    out.integer(reply.code == op_code::ok ? 1 : 0);
    return true;
  case reply_shape::hash_value:
    if (const auto value = answer_of(reply))
      out.bulk(*value);
    else
      out.null();
    return true;
  case reply_shape::hash_has:
    out.integer(answer_of(reply) ? 1 : 0);
    return true;
  case reply_shape::hash_size:
    out.integer(static_cast<std::int64_t>(answer_of(reply).value_or(std::string_view{}).size()));
    return true;
  case reply_shape::hash_values_of:
    out.array(packed_count(op.value));
    if (!present)
      for (auto n = packed_count(op.value); n != 0; --n) out.null();
    for_each_answer(present ? reply.value : std::string_view{},
                    [&](std::optional<std::string_view> value) {
                      if (value)
                        out.bulk(*value);
                      else
                        out.null();
                    });
    return true;
  case reply_shape::hash_pairs:
    out.map(present ? fields.count() : 0);
    if (present)
      fields.for_each([&](std::string_view name, std::string_view value) {
        out.bulk(name);
        out.bulk(value);
      });
    return true;
  case reply_shape::hash_random:
  case reply_shape::hash_random_names:
  case reply_shape::hash_random_pairs:
    if (present)
      write_random_fields(out, fields, shape, op.delta);
    else if (shape == reply_shape::hash_random)
      out.null();
    else
      out.array(0);
    return true;
  case reply_shape::hash_names:
    out.array(present ? fields.count() : 0);
    if (present) fields.for_each([&](std::string_view name, std::string_view) { out.bulk(name); });
    return true;
  case reply_shape::hash_values:
    out.array(present ? fields.count() : 0);
    if (present)
      fields.for_each([&](std::string_view, std::string_view value) { out.bulk(value); });
    return true;
  default:
    return false;
  }
}

} // namespace warp::cluster
