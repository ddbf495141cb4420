#include "actors/universe.hpp"
#include "actors/universe_state.hpp"
#include "messages/packed_fields.hpp"
#include "storage/hash_view.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace warp {

namespace {

using clock_type = std::chrono::steady_clock;

/// Values are copied out of it before the call returns, so one per thread is enough and a warmed-up
/// reader allocates little.
storage::value_arena& fresh_arena() {
  thread_local storage::value_arena arena;
  arena.clear();
  return arena;
}

std::string_view value_of(const storage::op_reply& reply) {
  return reply.large ? reply.large.view() : reply.value;
}

/// The same of any type.
std::string bytes_of(const storage::op_reply& reply) {
  return std::string{reply.large ? storage::as_bytes(reply.large).view() : reply.value};
}

value_info to_info(const storage::op_reply& reply) {
  return {std::string{value_of(reply)}, reply.version, reply.expires_at_ms};
}

op_status status_of(const storage::engine& engine, const operation& op,
                    const storage::op_reply& reply) {
  if (reply.code == op_code::ok) return {};
  return {reply.code, storage::describe(reply.code, op, engine.options())};
}

/// What it means that the disk did not confirm in time. A write has happened in memory, a read has
/// not been answered.
op_status not_durable(const operation& op, const storage::op_reply& reply, op_code waited) {
  const bool applied = is_write(op.kind) && reply.code == op_code::ok;
  if (applied)
    return {
        op_code::outcome_unknown,
        "applied, but not known to be on disk: retry with the same request id, or read it back"};
  if (waited == op_code::timed_out)
    return {op_code::timed_out, "the disk did not confirm what was read in time: retry"};
  return {op_code::unavailable, "the log of this shard has failed: read at level async"};
}

/// Executes operations on their own and waits for the disk where their levels ask for it.
std::vector<op_status> execute(storage::engine& engine, std::span<const operation> ops,
                               std::span<storage::op_reply> replies, storage::value_arena& arena,
                               std::chrono::milliseconds timeout) {
  engine.execute(ops, replies, arena);
  const auto deadline = clock_type::now() + timeout;
  const bool waits = std::ranges::any_of(replies, [](auto& r) { return r.durable_at != 0; });
  const auto waited = waits ? engine.wait_durable(replies, deadline) : op_code::ok;
  std::vector<op_status> statuses;
  statuses.reserve(ops.size());
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const auto& r = replies[i];
    const bool lost = waited != op_code::ok && r.durable_at != 0 &&
                      engine.durable(r.shard, r.durable_at) != storage::durable_state::durable;
    statuses.push_back(lost ? not_durable(ops[i], r, waited) : status_of(engine, ops[i], r));
  }
  return statuses;
}

op_status execute_one(storage::engine& engine, const operation& op, storage::op_reply& reply,
                      storage::value_arena& arena, std::chrono::milliseconds timeout) {
  return std::move(execute(engine, {&op, 1}, {&reply, 1}, arena, timeout).front());
}

operation read_operation(op_kind kind, std::string_view key, const read_options& options) {
  operation op;
  op.kind = kind;
  op.key = key;
  op.level = options.level;
  return op;
}

/// Fails on a time to live that is not positive: such a record would be gone at once.
op_result<operation> write_operation(op_kind kind, std::string_view key,
                                     const write_options& options, std::uint64_t now_ms) {
  operation op;
  op.kind = kind;
  op.key = key;
  op.level = options.level;
  op.condition = options.condition;
  op.expected_version = options.expected_version;
  op.rank = options.rank;
  op.pattern = options.pattern;
  op.keep_expiry = options.keep_expiry;
  op.request = options.request;
  if (!options.ttl) return op;
  if (options.ttl->count() <= 0)
    return op_status{op_code::invalid_argument,
                     fmt::format("a time to live of {} ms: it must be above 0; use erase to "
                                 "remove a key",
                                 options.ttl->count())};
  if (options.keep_expiry)
    return op_status{op_code::invalid_argument,
                     "a time to live and keep_expiry exclude each other: give one of them"};
  op.expires_at_ms = now_ms + static_cast<std::uint64_t>(options.ttl->count());
  return op;
}

} // namespace

op_result<lsn_t> universe::put(std::string_view key, std::string_view value,
                               const write_options& options) {
  auto op = write_operation(op_kind::put, key, options, state_->now_ms());
  if (!op) return op.status();
  op->value = value;
  storage::op_reply reply;
  auto status = execute_one(engine(), *op, reply, fresh_arena(), options.timeout);
  if (!status.ok()) return status;
  return reply.version;
}

op_result<value_info> universe::get(std::string_view key, const read_options& options) {
  const auto op = read_operation(op_kind::get, key, options);
  storage::op_reply reply;
  auto status = execute_one(engine(), op, reply, fresh_arena(), options.timeout);
  if (!status.ok()) return status;
  return to_info(reply);
}

op_status universe::erase(std::string_view key, const write_options& options) {
  auto op = write_operation(op_kind::erase, key, options, state_->now_ms());
  if (!op) return op.status();
  storage::op_reply reply;
  return execute_one(engine(), *op, reply, fresh_arena(), options.timeout);
}

op_result<key_info> universe::exists(std::string_view key, const read_options& options) {
  const auto op = read_operation(op_kind::exists, key, options);
  storage::op_reply reply;
  auto status = execute_one(engine(), op, reply, fresh_arena(), options.timeout);
  if (!status.ok()) return status;
  return key_info{reply.version, reply.expires_at_ms};
}

op_result<std::optional<std::chrono::milliseconds>> universe::ttl(std::string_view key,
                                                                  const read_options& options) {
  auto info = exists(key, options);
  if (!info) return info.status();
  std::optional<std::chrono::milliseconds> left;
  if (info->expires_at_ms != 0) {
    const auto now = state_->now_ms();
    left = std::chrono::milliseconds{info->expires_at_ms - std::min(now, info->expires_at_ms)};
  }
  return left;
}

op_status universe::expire(std::string_view key, std::optional<std::chrono::milliseconds> ttl,
                           const write_options& options) {
  auto with_ttl = options;
  with_ttl.ttl = ttl;
  with_ttl.keep_expiry = false;
  auto op = write_operation(op_kind::expire, key, with_ttl, state_->now_ms());
  if (!op) return op.status();
  storage::op_reply reply;
  return execute_one(engine(), *op, reply, fresh_arena(), options.timeout);
}

op_result<compare_result> universe::compare_and_set(std::string_view key, std::string_view value,
                                                    lsn_t expected, const write_options& options) {
  auto op = write_operation(op_kind::put, key, options, state_->now_ms());
  if (!op) return op.status();
  op->value = value;
  op->condition = write_condition::if_version;
  op->expected_version = expected;
  storage::op_reply reply;
  auto status = execute_one(engine(), *op, reply, fresh_arena(), options.timeout);
  if (status == op_code::version_mismatch) return compare_result{false, reply.version};
  if (!status.ok()) return status;
  return compare_result{true, reply.version};
}

op_result<std::int64_t> universe::increment(std::string_view key, std::int64_t delta,
                                            const write_options& options) {
  auto op = write_operation(op_kind::increment, key, options, state_->now_ms());
  if (!op) return op.status();
  op->delta = delta;
  storage::op_reply reply;
  auto status = execute_one(engine(), *op, reply, fresh_arena(), options.timeout);
  if (!status.ok()) return status;
  return reply.number;
}

namespace {

std::string packed_name(std::string_view name) {
  field_packer packer;
  packer.add_name(name);
  return std::string{packer.packed()};
}

} // namespace

op_result<std::int64_t> universe::hash_set(std::string_view key, std::span<const key_value> fields,
                                           const write_options& options) {
  auto op = write_operation(op_kind::hash_set, key, options, state_->now_ms());
  if (!op) return op.status();
  field_packer packer;
  for (const auto& field : fields) packer.add_pair(field.key, field.value);
  op->value = packer.packed();
  storage::op_reply reply;
  auto status = execute_one(engine(), *op, reply, fresh_arena(), options.timeout);
  if (!status.ok()) return status;
  return reply.number;
}

op_result<std::int64_t> universe::hash_erase(std::string_view key,
                                             std::span<const std::string_view> names,
                                             const write_options& options) {
  auto op = write_operation(op_kind::hash_erase, key, options, state_->now_ms());
  if (!op) return op.status();
  field_packer packer;
  for (const auto name : names) packer.add_name(name);
  op->value = packer.packed();
  storage::op_reply reply;
  auto status = execute_one(engine(), *op, reply, fresh_arena(), options.timeout);
  if (!status.ok()) return status;
  return reply.number;
}

op_result<std::int64_t> universe::hash_increment(std::string_view key, std::string_view name,
                                                 std::int64_t delta, const write_options& options) {
  auto op = write_operation(op_kind::hash_increment, key, options, state_->now_ms());
  if (!op) return op.status();
  const auto packed = packed_name(name);
  op->value = packed;
  op->delta = delta;
  storage::op_reply reply;
  auto status = execute_one(engine(), *op, reply, fresh_arena(), options.timeout);
  if (!status.ok()) return status;
  return reply.number;
}

op_result<std::optional<std::string>>
universe::hash_get(std::string_view key, std::string_view name, const read_options& options) {
  auto op = read_operation(op_kind::hash_get, key, options);
  const auto packed = packed_name(name);
  op.value = packed;
  storage::op_reply reply;
  auto status = execute_one(engine(), op, reply, fresh_arena(), options.timeout);
  if (!status.ok()) return status;
  std::optional<std::string> value;
  for_each_answer(reply.value, [&](std::optional<std::string_view> answer) {
    if (answer) value.emplace(*answer);
  });
  return value;
}

op_result<hash_fields> universe::hash_all(std::string_view key, const read_options& options) {
  const auto op = read_operation(op_kind::hash_all, key, options);
  storage::op_reply reply;
  auto status = execute_one(engine(), op, reply, fresh_arena(), options.timeout);
  if (!status.ok()) return status;
  hash_fields all{.fields = {}, .version = reply.version, .expires_at_ms = reply.expires_at_ms};
  const storage::hash_view fields{reply.value, reply.large.get()};
  all.fields.reserve(fields.count());
  fields.for_each(
      [&](std::string_view name, std::string_view value) { all.fields.emplace_back(name, value); });
  return all;
}

std::vector<op_result<value_info>> universe::multi_get(std::span<const std::string_view> keys,
                                                       const read_options& options) {
  std::vector<operation> ops;
  ops.reserve(keys.size());
  for (auto key : keys) ops.push_back(read_operation(op_kind::get, key, options));
  std::vector<storage::op_reply> replies(ops.size());
  auto statuses = execute(engine(), ops, replies, fresh_arena(), options.timeout);
  std::vector<op_result<value_info>> results;
  results.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].ok())
      results.emplace_back(to_info(replies[i]));
    else
      results.emplace_back(std::move(statuses[i]));
  }
  return results;
}

std::vector<op_result<lsn_t>> universe::multi_put(std::span<const key_value> pairs,
                                                  const write_options& options) {
  std::vector<op_result<lsn_t>> results;
  results.reserve(pairs.size());
  auto model = write_operation(op_kind::put, {}, options, state_->now_ms());
  if (!model) {
    for (std::size_t i = 0; i < pairs.size(); ++i) results.emplace_back(model.status());
    return results;
  }
  std::vector<operation> ops(pairs.size(), *model);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    ops[i].key = pairs[i].key;
    ops[i].value = pairs[i].value;
    ops[i].request.number += i; // one number per operation
  }
  std::vector<storage::op_reply> replies(ops.size());
  auto statuses = execute(engine(), ops, replies, fresh_arena(), options.timeout);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (statuses[i].ok())
      results.emplace_back(replies[i].version);
    else
      results.emplace_back(std::move(statuses[i]));
  }
  return results;
}

op_result<std::vector<batch_reply>> universe::batch(std::span<const operation> operations,
                                                    std::chrono::milliseconds timeout) {
  if (operations.size() > batch_operations_max)
    return op_status{op_code::invalid_argument,
                     fmt::format("{} operations in a batch: at most {} are allowed",
                                 operations.size(), batch_operations_max)};
  auto& e = engine();
  std::vector<storage::op_reply> replies(operations.size());
  const auto code = e.execute_atomic(operations, replies, fresh_arena());
  if (code != op_code::ok) {
    auto first = std::ranges::find(replies, code, &storage::op_reply::code);
    if (first == replies.end()) return op_status{code, "the batch was not done"};
    const auto index = static_cast<std::size_t>(first - replies.begin());
    return op_status{code, fmt::format("operation {} of the batch: {}", index,
                                       storage::describe(code, operations[index], e.options()))};
  }
  const bool waits = std::ranges::any_of(replies, [](auto& r) { return r.durable_at != 0; });
  if (waits) {
    const auto waited = e.wait_durable(replies, clock_type::now() + timeout);
    const bool writes = std::ranges::any_of(operations, [](auto& o) { return is_write(o.kind); });
    if (waited != op_code::ok)
      return op_status{writes ? op_code::outcome_unknown : waited,
                       "the batch is not known to be on disk: retry with the same request ids"};
  }
  std::vector<batch_reply> answers;
  answers.reserve(replies.size());
  for (auto& r : replies)
    answers.push_back({r.code, r.version, r.number, r.expires_at_ms, bytes_of(r)});
  return answers;
}

op_result<scan_result> universe::scan(std::uint64_t cursor, std::string_view prefix,
                                      std::size_t limit) {
  storage::scan_page page;
  auto status = engine().scan(cursor, prefix, limit, page);
  if (!status.ok()) return status;
  scan_result result;
  result.next_cursor = page.next_cursor;
  result.items.reserve(page.entries.size());
  for (auto& e : page.entries)
    result.items.push_back({std::string{e.key},
                            std::string{e.large ? storage::as_bytes(e.large).view() : e.value},
                            e.version, e.expires_at_ms, e.type});
  return result;
}

} // namespace warp
