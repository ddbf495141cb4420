#include "messages/limits.hpp"
#include "messages/packed_fields.hpp"
#include "storage/engine.hpp"

#include <fmt/format.h>

namespace warp::storage {

std::string describe(op_code code, const operation& op, const engine_options& options) {
  switch (code) {
  case op_code::ok:
  case op_code::not_found:
    return {};
  case op_code::invalid_argument:
    if (op.key.size() < key_size_min) return "the key is empty: a key has 1 to 65,536 bytes";
    if (op.key.size() > key_size_max)
      return fmt::format("the key has {} bytes: at most {} are allowed", op.key.size(),
                         key_size_max);
    if (op.value.size() > options.value_bytes_max)
      return fmt::format("the value has {} bytes: this server allows {} (storage.value_max)",
                         op.value.size(), options.value_bytes_max);
    if (is_of_hash(op.kind) || op.type == value_type::hash)
      return fmt::format("the packed fields are malformed, a name has more than {} bytes, or the "
                         "hash would have more than {} bytes (storage.value_max)",
                         field_name_size_max, options.value_bytes_max);
    return "the operation is not one this server knows, or its options contradict each other";
  case op_code::no_replicas:
    return options.folder.empty()
               ? "this universe lives in memory only and cannot log: use durability 'memory'"
               : "this universe is a single node: durability 'replicated' and 'durable' need a "
                 "cluster";
  case op_code::version_mismatch:
    return "the key has another version: read it and try again with the version it has now";
  case op_code::already_exists:
    return "the key is there already";
  case op_code::wrong_type:
    if (is_of_hash(op.kind) && op.kind != op_kind::hash_increment) return "the value is not a hash";
    if (op.kind == op_kind::hash_increment)
      return "the value is not a hash, or that field not a decimal 64-bit integer, or the result "
             "would not fit one";
    if (op.kind == op_kind::get) return "the value is a hash: read its fields";
    return "the value is not a decimal 64-bit integer, or the result would not fit one";
  case op_code::overloaded:
    return "the log buffer stayed full, or the log at its limit (storage.wal_max): the disk is "
           "slower than the writes; retry after a moment";
  case op_code::no_space:
    return "no space is left on the disk, or within the memory limit (storage.max_memory): nothing "
           "was done; free some and retry, nobody needs to restart anything";
  case op_code::io_error:
    return "the log of this shard failed and refuses writes; reads go on: see the server's log for "
           "the cause";
  case op_code::shutting_down:
    return "the server is stopping: retry when it is back";
  case op_code::unavailable:
    return "not done, because another operation of the same atomic batch failed, or this part is "
           "restarting";
  case op_code::outcome_unknown:
    return "the write may or may not have happened; a retry with the same request id has one "
           "effect";
  case op_code::timed_out:
    return "the deadline passed before the answer was safe to give; a retry is safe";
  default:
    return std::string{to_string(code)};
  }
}

} // namespace warp::storage
