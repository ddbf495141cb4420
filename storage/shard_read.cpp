#include "storage/shard_read.hpp"

namespace warp::storage {

bool shard::try_read(const operation& op, std::uint64_t hash, value_arena& arena,
                     read_counters::cell& counted, op_reply& reply) {
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
    reply.type = value_type::bytes; // others are left to the lock
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
