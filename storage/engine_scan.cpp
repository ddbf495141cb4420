// The records in hash order, page by page.

#include "storage/engine_state.hpp"

#include <bit>
#include <mutex>

namespace warp::storage {

void engine::state::scan(std::uint64_t cursor, std::string_view prefix, std::size_t limit,
                         scan_page& page, std::size_t buckets_max, bool locked) const {
  page.entries.clear();
  page.arena.clear();
  // A cursor is the shard above the position in hash order; the shard's share of the bits follows
  // from the shard count.
  const auto count = shard_count();
  const auto bits = static_cast<unsigned>(std::countr_zero(count));
  auto shard_at = bits == 0 ? 0u : static_cast<std::uint32_t>(cursor >> (64 - bits));
  auto position = cursor << bits;
  const auto now_ms = time->now_ms();
  const auto* const asked = replicated();
  for (std::size_t bucket = 0; bucket < buckets_max && page.entries.size() < limit; ++bucket) {
    auto& s = *shards[shard_at];
    if (asked && !asked->serves(s.id())) {
      position = 0;
    } else {
      std::unique_lock hold{s.lock(), std::defer_lock};
      if (!locked) hold.lock();
      position = s.records().walk(position, [&](const record& r) {
        if (r.expires_at_ms() != 0 && r.expires_at_ms() <= now_ms) return;
        if (!r.key().starts_with(prefix)) return;
        scan_entry entry{.key = page.arena.copy(r.key()),
                         .type = r.type(),
                         .version = r.version(),
                         .expires_at_ms = r.expires_at_ms()};
        if (auto* large = r.large()) {
          entry.large = blob_ref::share(large);
          entry.value = entry.large.view();
        } else {
          entry.value = page.arena.copy(r.value());
        }
        page.entries.push_back(std::move(entry));
      });
    }
    if (position == 0 && ++shard_at == count) {
      page.next_cursor = 0;
      return;
    }
  }
  page.next_cursor =
      bits == 0 ? position : (std::uint64_t{shard_at} << (64 - bits)) | (position >> bits);
}

} // namespace warp::storage
