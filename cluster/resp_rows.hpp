#pragma once

#include "cluster/resp_commands.hpp"

#include <cstdint>
#include <string_view>

namespace warp::cluster {

// Rows of the registry for commands on keys, in few words: most name one key, their first argument.

constexpr resp_command data_row(std::string_view group, std::string_view name, int arity,
                                std::uint32_t flags, decltype(resp_command::run) run,
                                decltype(resp_command::gather) gather, std::string_view since,
                                std::string_view syntax, std::string_view summary,
                                std::string_view note = {}) {
  resp_command c;
  c.name = name;
  c.arity = arity;
  c.flags = flags;
  c.first_key = c.last_key = c.key_step = 1;
  c.kind = command_kind::data;
  c.run = run;
  c.gather = gather;
  c.group = group;
  c.since = since;
  c.syntax = syntax;
  c.summary = summary;
  c.note = note;
  return c;
}

/// The same with keys from the first argument to `last` (below 0: from the end).
constexpr resp_command with_keys(resp_command c, int last, int step = 1) {
  c.last_key = last;
  c.key_step = step;
  return c;
}

/// The same for one that stores arguments as values, as they are.
constexpr resp_command storing(resp_command c) {
  c.stores = true;
  return c;
}

/// For resp_command::gather: one operation on one key; false: the command names more.
inline bool gather_one_key(resp_arguments args, op_kind kind, reply_shape as, operation& op,
                           reply_shape& shape) {
  if (args.size() != 2) return false;
  op.kind = kind;
  op.key = args[1];
  shape = as;
  return true;
}

/// The same for one that gives the value of a key to another one.
constexpr resp_command copying(resp_command c) {
  c.copies = true;
  c.last_key = 2;
  return c;
}

} // namespace warp::cluster
