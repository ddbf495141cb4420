// The part of a shard that knows hashes: reads, changes of fields, and their replay.

#include "storage/hash_builder.hpp"
#include "storage/number.hpp"
#include "storage/shard.hpp"

#include <new>
#include <utility>

namespace warp::storage {

namespace {

hash_view fields_of(const record* r) noexcept {
  if (!r) return {};
  return {r->value(), r->large()};
}

/// A builder for one change, whose memory is used again by the thread's next one.
class borrowed_builder {
public:
  borrowed_builder() : builder_(of_thread()) {}
  ~borrowed_builder() { builder_.rest(); }
  borrowed_builder(const borrowed_builder&) = delete;
  hash_builder& operator*() noexcept { return builder_; }
  hash_builder* operator->() noexcept { return &builder_; }

private:
  static hash_builder& of_thread() {
    thread_local hash_builder builder;
    return builder;
  }
  hash_builder& builder_;
};

/// By how many bytes the packed form grows at most; below 0: it shrinks.
std::int64_t growth_of(const hash_view& fields, std::string_view pairs) noexcept {
  std::int64_t growth = 0;
  for_each_pair(pairs, [&](std::string_view name, std::string_view value) {
    const auto pair = packed_pair_bytes(name.size(), value.size());
    const auto old = fields.find(name);
    const auto before = old ? packed_pair_bytes(name.size(), old->size()) : 0;
    growth += static_cast<std::int64_t>(pair) - static_cast<std::int64_t>(before);
  });
  return growth;
}

bool has_any(const hash_view& fields, std::string_view pairs) noexcept {
  bool any = false;
  for_each_pair(pairs, [&](std::string_view name, std::string_view) {
    any = any || fields.find(name).has_value();
  });
  return any;
}

/// A field and its new number, as packed pairs.
class packed_number {
public:
  packed_number(std::string_view name, std::int64_t number) {
    packer_.add_pair(name, number_text{number}.view());
  }
  [[nodiscard]] std::string_view pairs() noexcept { return packer_.packed(); }

private:
  field_packer packer_;
};

} // namespace

// -- reads
// -------------------------------------------------------------------------------------------------------------

/// The hash that a read is about; null: the reply says why not.
const record* shard::find_hash(const call& c, op_reply& reply) const noexcept {
  const auto* r = find_live(c.hash, c.op.key, c.now_ms);
  describe_record(c, r, reply);
  if (!r || r->is_hash()) return r;
  reply.code = op_code::wrong_type;
  return nullptr;
}

void shard::hash_get(const call& c, op_reply& reply) {
  ++counters_.gets;
  if (!are_packed_names(c.op.value)) {
    reply.code = op_code::invalid_argument;
    return;
  }
  const auto* r = find_hash(c, reply);
  if (!r) return;
  ++counters_.get_hits;
  thread_local field_packer answers;
  answers.clear();
  const auto fields = fields_of(r);
  for_each_name(c.op.value, [&](std::string_view name) { answers.add_answer(fields.find(name)); });
  reply.value = c.arena.copy(answers.packed());
  counters_.bytes_read += c.op.key.size() + reply.value.size();
}

void shard::hash_all(const call& c, op_reply& reply) {
  ++counters_.gets;
  const auto* r = find_hash(c, reply);
  if (!r) return;
  ++counters_.get_hits;
  const auto fields = fields_of(r);
  reply.number = fields.count();
  if (fields.indexed())
    reply.large = blob_ref::share(r->large());
  else
    reply.value = c.arena.copy(fields.pairs());
  counters_.bytes_read += c.op.key.size() + fields.bytes();
}

void shard::hash_length(const call& c, op_reply& reply) {
  ++counters_.other_ops;
  if (const auto* r = find_hash(c, reply)) reply.number = fields_of(r).count();
}

// -- changes
// -----------------------------------------------------------------------------------------------------------

/// The record of a key before a change; false: there is none to be made, and the reply says why.
bool shard::find_hash_to_change(const call& c, record*& raw, record*& live,
                                op_reply& reply) const noexcept {
  raw = table_.find(c.hash, c.op.key);
  live = raw && find_live(c.hash, c.op.key, c.now_ms) ? raw : nullptr;
  if (!holds(c.op, live, reply)) return false;
  reply.type = live ? live->type() : value_type::hash;
  if (reply.type == value_type::hash) return true;
  reply.code = op_code::wrong_type;
  return false;
}

void shard::hash_set(const call& c, op_reply& reply) {
  ++counters_.puts;
  if (!are_packed_pairs(c.op.value)) {
    reply.code = op_code::invalid_argument;
    return;
  }
  record *raw, *live;
  if (!find_hash_to_change(c, raw, live, reply)) return;
  if (c.op.if_field_absent && has_any(fields_of(live), c.op.value)) {
    describe_record(c, live, reply);
    reply.code = op_code::already_exists;
    return;
  }
  set_fields(c, raw, live, c.op.value, reply);
}

void shard::hash_increment(const call& c, op_reply& reply) {
  ++counters_.other_ops;
  if (!are_packed_names(c.op.value) || packed_count(c.op.value) != 1) {
    reply.code = op_code::invalid_argument;
    return;
  }
  record *raw, *live;
  if (!find_hash_to_change(c, raw, live, reply)) return;
  packed_reader in{c.op.value};
  in.number();
  const auto name = in.bytes().value_or(std::string_view{});
  const auto old = fields_of(live).find(name);
  const auto before = old ? parse_number(*old) : 0;
  const auto sum = before ? add(*before, c.op.delta) : std::nullopt;
  if (!sum) {
    reply.code = op_code::wrong_type;
    reply.number = before.value_or(0);
    return;
  }
  reply.number = *sum;
  packed_number changed{name, *sum};
  set_fields(c, raw, live, changed.pairs(), reply);
}

void shard::set_fields(const call& c, record* raw, record* live, std::string_view pairs,
                       op_reply& reply) {
  const auto before = fields_of(live);
  const bool is_set = c.op.kind == op_kind::hash_set;
  if (before.bytes() + pairs.size() > options_.value_bytes_max &&
      static_cast<std::int64_t>(before.bytes()) + growth_of(before, pairs) >
          static_cast<std::int64_t>(options_.value_bytes_max)) {
    reply.code = op_code::invalid_argument;
    return;
  }
  const auto need = c.op.key.size() + hash_change_bytes(pairs.size());
  if (memory_used() + need > memory_taken_) [[unlikely]]
    if (!find_hash_memory(need, !live || growth_of(before, pairs) > 0)) {
      ++counters_.memory_refusals;
      reply.code = op_code::no_space;
      return;
    }
  counters_.bytes_written += c.op.key.size() + pairs.size();
  if (change_in_place(c, live, log_op::fields_set, pairs, reply)) return;

  borrowed_builder builder;
  builder->begin(before, pairs.size());
  const auto fresh = builder->set_all(pairs);
  if (is_set) reply.number = fresh;
  record_meta meta{.expires_at_ms = c.op.expires_at_ms,
                   .type = value_type::hash,
                   .rank = c.op.rank,
                   .pattern = c.op.pattern};
  if (live) meta = live->meta();
  store_hash(c, raw, builder->value(), meta, {.op = log_op::fields_set, .value = pairs},
             live != nullptr, reply);
}

void shard::hash_erase(const call& c, op_reply& reply) {
  ++counters_.erases;
  if (!are_packed_names(c.op.value)) {
    reply.code = op_code::invalid_argument;
    return;
  }
  record *raw, *live;
  if (!find_hash_to_change(c, raw, live, reply)) return;
  if (!live) {
    describe_record(c, nullptr, reply);
    return;
  }
  if (change_in_place(c, live, log_op::fields_erased, c.op.value, reply)) return;

  borrowed_builder builder;
  builder->begin(fields_of(live));
  reply.number = builder->erase_all(c.op.value);
  if (reply.number == 0) {
    describe_record(c, live, reply);
    return;
  }
  if (builder->fields().count() == 0) return remove(c, live, reply);
  store_hash(c, live, builder->value(), live->meta(),
             {.op = log_op::fields_erased, .value = c.op.value}, true, reply);
}

/// A change of one field of an indexed hash that nobody else has a reference to: the only one that
/// is whole or not at all without a copy to take it back with.
bool shard::change_in_place(const call& c, record* live, log_op op, std::string_view fields,
                            op_reply& reply) {
  if (!live || staged_ || packed_count(fields) != 1 || !live->large() ||
      !live->large()->is_unshared())
    return false;
  auto meta = live->meta();
  const bool sets = op == log_op::fields_set;
  const auto now = fields_of(live);
  if (goes_to_log(c.op) && meta.unlogged) return false;                  // the log needs all of it
  if (!sets && now.count() <= packed_again_fields_max + 1) return false; // it may be packed again
  packed_reader in{fields};
  in.number();
  const auto name = in.bytes().value_or(std::string_view{});
  const auto value = sets ? in.bytes().value_or(std::string_view{}) : std::string_view{};
  if (!sets && !now.find(name)) {
    reply.number = 0;
    describe_record(c, live, reply);
    return true;
  }
  reserve_to_finish(c, fields.size());
  meta.version = next_lsn();
  meta.unlogged = !goes_to_log(c.op);
  bool fresh = false;
  table_.change_hash(live, meta, [&](indexed_hash& hash) {
    if (sets)
      fresh = hash.set(name, value);
    else
      hash.erase(name);
  });
  if (c.op.kind != op_kind::hash_increment) reply.number = sets ? fresh : 1;
  reply.version = meta.version;
  reply.expires_at_ms = meta.expires_at_ms;
  const log_record logged{.op = op,
                          .lsn = meta.version,
                          .meta = meta,
                          .request = c.op.request,
                          .number = reply.number,
                          .key = c.op.key,
                          .value = fields};
  finish_write(c, logged, true, reply);
  if (fields.size() >= blob_size_min && goes_to_log(c.op)) log_->commit();
  return true;
}

/// Writes the value of a hash. `logged` says what has changed in a hash that existed; where that is
/// not enough for the log all of it is logged.
void shard::store_hash(const call& c, record* existing, const new_value& value, record_meta meta,
                       log_record logged, bool existed, op_reply& reply) {
  const bool to_log = goes_to_log(c.op);
  if (logged.op != log_op::put && (!existed || (to_log && meta.unlogged))) {
    logged.op = log_op::put;
    if (value.large) {
      logged.large = as_bytes(value.large);
      logged.value = {};
    } else {
      logged.value = value.bytes;
    }
  }
  if (!staged_) {
    if (to_log)
      log_->reserve(c.op.key.size() + logged.value.size(), static_cast<bool>(logged.large));
    if (c.op.request) requests_.reserve();
  }
  meta.unlogged = !to_log;
  meta.version = next_lsn();
  logged.lsn = meta.version;
  logged.meta = meta;
  logged.request = c.op.request;
  logged.number = reply.number;
  logged.key = c.op.key;
  reply.version = meta.version;
  reply.expires_at_ms = meta.expires_at_ms;
  if (staged_) return stage_write(c, existing, value, meta, std::move(logged), existed, reply);
  table_.put(c.hash, c.op.key, existing, value, meta);
  finish_write(c, logged, existed, reply);
  // Each operation stands on its own: a frame may end behind a large value.
  if (to_log && logged.payload().size() >= blob_size_min) log_->commit();
}

/// A put of a whole hash.
void shard::put_hash(const call& c, record* existing, bool existed, const record_meta& meta,
                     op_reply& reply) {
  if (c.op.type != value_type::hash || !are_packed_pairs(c.op.value)) {
    reply.code = op_code::invalid_argument;
    return;
  }
  if (!find_hash_memory(c.op.key.size() + hash_change_bytes(c.op.value.size()), true)) {
    ++counters_.memory_refusals;
    reply.code = op_code::no_space;
    return;
  }
  counters_.bytes_written += c.op.key.size() + c.op.value.size();
  borrowed_builder builder;
  auto value = c.large ? new_value{.bytes = {}, .large = c.large->plain}
                       : hash_value_of(*builder, c.op.value);
  log_record logged{.op = log_op::put, .value = c.op.value};
  if (c.large) {
    logged.value = {};
    logged.compressed = static_cast<bool>(c.large->packed);
    logged.large = logged.compressed ? c.large->packed : c.large->bytes();
  } else if (value.large) {
    logged.value = {};
    logged.large = as_bytes(value.large);
  }
  auto now = meta;
  now.unlogged = false; // whatever was there is not any more
  store_hash(c, existing, value, now, std::move(logged), existed, reply);
}

/// As find_memory(), of a change that takes what it needs at once.
bool shard::find_hash_memory(std::uint64_t bytes, bool grows) noexcept {
  if (reserve_memory(bytes)) return true;
  // Not within a transaction: what it replaces is kept until it is settled.
  return !staged_ && !grows;
}

// -- recovery
// ----------------------------------------------------------------------------------------------------------

void shard::replay_fields(std::uint64_t hash, record* existing, const log_record& r) {
  auto meta = existing->meta();
  meta.version = r.lsn;
  const bool sets = r.op == log_op::fields_set;
  // A log of many changes of one large hash: each in its place.
  if (packed_count(r.value) == 1 && existing->large() && existing->large()->is_unshared() &&
      fields_of(existing).count() > packed_again_fields_max + 1) {
    packed_reader in{r.value};
    in.number();
    const auto name = in.bytes().value_or(std::string_view{});
    table_.change_hash(existing, meta, [&](indexed_hash& all) {
      if (sets)
        all.set(name, in.bytes().value_or(std::string_view{}));
      else
        all.erase(name);
    });
    return;
  }
  borrowed_builder builder;
  builder->begin(fields_of(existing), r.value.size());
  if (sets)
    builder->set_all(r.value);
  else
    builder->erase_all(r.value);
  if (builder->fields().count() == 0) return table_.erase(hash, existing);
  table_.put(hash, r.key, existing, builder->value(), meta);
}

} // namespace warp::storage
