#pragma once

#include "storage/record_peek.hpp"
#include "storage/shard.hpp"

namespace warp::storage {

// What a GET costs is decided here. A processor overlaps the cache misses of as many calls as its
// window of instructions holds: 320 on Zen 4, counted from the load of one record to the load of
// the next call's bucket, its caller's loop included. So the usual case stands alone, straight,
// within its caller, and keeps little on the stack: a record in its home bucket, in a page, without
// an expiry, its key of 8 B or more. Everything else is for try_read().
inline bool shard::try_get(std::string_view key, std::uint64_t hash, value_arena& arena,
                           read_counters::cell& counted, op_reply& reply) {
  const auto since = sequence_.begin_read() & ~1u; // if odd, it is changed already
  const auto address = table_.likely_record(hash);
  if (!sequence_.unchanged(since) || !readable_.contains(reinterpret_cast<const void*>(address)))
      [[unlikely]]
    return false;
  const record_peek peek{reinterpret_cast<const record*>(address)};
  const auto size = peek.usual_value_size(key.size());
  if (size > cell_allocator::cell_bytes_max || size > arena.left()) [[unlikely]]
    return false;
  const char* const stored = reinterpret_cast<const char*>(address) + sizeof(record);
  const auto differ_at = [&](std::size_t i) __attribute__((always_inline)) {
    return racing_load<std::uint64_t>(stored + i) ^ racing_load<std::uint64_t>(key.data() + i);
  };
  if ((differ_at(0) | differ_at(key.size() - 8)) != 0) [[unlikely]]
    return false;
  for (std::size_t i = 8; i + 8 < key.size(); i += 8)
    if (differ_at(i) != 0) [[unlikely]]
      return false;
  char* const to = arena.next();
  racing_copy_by_steps(to, stored + key.size(), size);
  if (!sequence_.unchanged(since)) [[unlikely]]
    return false;
  reply.code = op_code::ok;
  reply.shard = id_;
  reply.version = peek.version();
  reply.durable_at = 0;
  reply.number = 0;
  reply.expires_at_ms = 0;
  reply.value = {to, size};
  arena.take_like_last(size);
  counted.count_hit(key.size() + size);
  return true;
}

inline void shard::prefetch_rest(std::uint64_t hash) const noexcept {
  const auto address = table_.likely_record(hash);
  if (!readable_.contains(reinterpret_cast<const void*>(address))) return;
  const record_peek peek{reinterpret_cast<const record*>(address)};
  if (!peek.plain()) return;
  const auto end = address + sizeof(record) + peek.value_size();
  for (auto line = address + 128; line < end; line += 64)
    __builtin_prefetch(reinterpret_cast<const void*>(line));
}

} // namespace warp::storage
