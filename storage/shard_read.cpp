#include "storage/record_peek.hpp"
#include "storage/shard.hpp"

namespace warp::storage {

namespace {

std::uint64_t word_at(const char* p) noexcept {
  return racing_load<std::uint64_t>(p);
}

} // namespace

// What a GET costs is decided here. A processor overlaps the cache misses of as many calls as its
// windows of instructions and of stores hold. So the usual case stands alone, straight, and keeps
// little on the stack: a record in its home bucket, in a page, without an expiry, its key of 8 B or
// more. Everything else is for try_read_any().
bool shard::try_read(const operation& op, std::uint64_t hash, value_arena& arena,
                     read_counters::cell& counted, op_reply& reply) {
  const auto since = sequence_.begin_read();
  const auto address = table_.likely_record(hash);
  if ((since & 1) != 0 || !sequence_.unchanged(since) ||
      !readable_.contains(reinterpret_cast<const void*>(address))) [[unlikely]]
    return try_read_any(op, hash, arena, counted, reply);
  const record_peek peek{reinterpret_cast<const record*>(address)};
  const auto key_size = op.key.size();
  const auto size = peek.value_size();
  if (!peek.is_usual(key_size) || key_size < 8 || op.kind != op_kind::get || size > arena.left())
      [[unlikely]]
    return try_read_any(op, hash, arena, counted, reply);
  const char* const stored = reinterpret_cast<const char*>(address) + sizeof(record);
  const char* const wanted = op.key.data();
  for (std::size_t i = 0; i + 8 < key_size; i += 8)
    if (word_at(stored + i) != word_at(wanted + i)) [[unlikely]]
      return try_read_any(op, hash, arena, counted, reply);
  if (word_at(stored + key_size - 8) != word_at(wanted + key_size - 8)) [[unlikely]]
    return try_read_any(op, hash, arena, counted, reply);
  char* const to = arena.next();
  racing_copy_by_steps(to, stored + key_size, size);
  if (!sequence_.unchanged(since)) [[unlikely]]
    return false;
  reply.code = op_code::ok;
  reply.shard = id_;
  reply.version = peek.version();
  reply.durable_at = 0;
  reply.number = 0;
  reply.expires_at_ms = 0;
  reply.value = {to, size};
  if (reply.large) [[unlikely]]
    reply.large = {};
  arena.take_like_last(size);
  counted.count_hit(key_size + size);
  return true;
}

[[gnu::noinline]] bool shard::try_read_any(const operation& op, std::uint64_t hash,
                                           value_arena& arena, read_counters::cell& counted,
                                           op_reply& reply) {
  const auto since = sequence_.begin_read();
  if ((since & 1) != 0) [[unlikely]]
    return false;
  bool give_up = false;
  reply.value = {};
  reply.version = 0;
  reply.expires_at_ms = 0;
  const auto search = table_.visit_candidates(
      hash, [&](std::uintptr_t address) __attribute__((always_inline)) {
        give_up = true; // until it is clear that there is no need to
        const auto* r = reinterpret_cast<const record*>(address);
        // Only a pointer that was whole may be followed, and only to where memory stays readable.
        if (!sequence_.unchanged(since) || !readable_.contains(r)) [[unlikely]]
          return true;
        const record_peek peek{r};
        if (!peek.plain()) [[unlikely]]
          return true;
        if (!peek.has_key(op.key)) [[unlikely]] {
          give_up = false;
          return false;
        }
        if (peek.expires()) [[unlikely]]
          reply.expires_at_ms = peek.expires_at_ms();
        reply.version = peek.version();
        if (op.kind == op_kind::get) {
          const auto size = peek.value_size();
          if (size > arena.left()) [[unlikely]]
            return true;
          peek.copy_value(arena.next());
          reply.value = {arena.next(), size};
        }
        give_up = false;
        return true;
      });
  if (give_up || search == candidate_search::incomplete || !sequence_.unchanged(since)) [[unlikely]]
    return false;
  reply.code = search == candidate_search::found ? op_code::ok : op_code::not_found;
  reply.shard = id_;
  reply.durable_at = 0;
  reply.number = 0;
  if (reply.large) [[unlikely]]
    reply.large = {};
  if (op.kind != op_kind::get) [[unlikely]] {
    counted.count_other();
    return true;
  }
  if (search != candidate_search::found) [[unlikely]] {
    counted.count_miss();
    return true;
  }
  arena.take_like_last(reply.value.size());
  counted.count_hit(op.key.size() + reply.value.size());
  return true;
}

} // namespace warp::storage
