// Commands that change a string: a part of it, or the number that it is.

#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_rows.hpp"
#include "cluster/resp_text.hpp"
#include "storage/number.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace warp::cluster {

namespace {

using storage::number_text;
using storage::parse_number;

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

constexpr resp_command rows[] = {
    data_row("string", "append", 3, write | denyoom | fast, append, nullptr, "2.0.0", "key value",
             "Appends a string to the value of a key. Creates the key if it doesn't exist."),
    data_row("string", "decr", 2, write | denyoom | fast, decr, gather_decr, "1.0.0", "key",
             "Decrements the integer value of a key by one. Uses 0 as initial value if the key "
             "doesn't exist."),
    data_row("string", "decrby", 3, write | denyoom | fast, decrby, gather_decrby, "1.0.0",
             "key decrement",
             "Decrements a number from the integer value of a key. Uses 0 as initial value if "
             "the key doesn't exist."),
    data_row("string", "incr", 2, write | denyoom | fast, incr, gather_incr, "1.0.0", "key",
             "Increments the integer value of a key by one. Uses 0 as initial value if the key "
             "doesn't exist."),
    data_row("string", "incrby", 3, write | denyoom | fast, incrby, gather_incrby, "1.0.0",
             "key increment",
             "Increments the integer value of a key by a number. Uses 0 as initial value if the "
             "key doesn't exist."),
    data_row("string", "incrbyfloat", 3, write | denyoom | fast, incrbyfloat, nullptr, "2.6.0",
             "key increment",
             "Increment the floating point value of a key by a number. Uses 0 as initial value "
             "if the key doesn't exist."),
    data_row("string", "setrange", 4, write | denyoom, setrange, nullptr, "2.2.0",
             "key offset value",
             "Overwrites a part of a string value with another by an offset. Creates the key if "
             "it doesn't exist."),
};

} // namespace

std::span<const resp_command> change_commands() {
  return rows;
}

} // namespace warp::cluster
