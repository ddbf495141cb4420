#include "storage/watch_tap.hpp"

#include <new>

namespace warp::storage {

namespace {

constexpr std::size_t change_bytes = sizeof(tapped_changes::change);
/// Memory that a buffer keeps for the next time.
constexpr std::size_t kept_bytes = 64 * 1024;

} // namespace

watch_kind kind_of(log_op op) noexcept {
  switch (op) {
  case log_op::erase:
    return watch_kind::erase;
  case log_op::meta:
    return watch_kind::expire;
  case log_op::fields_set:
    return watch_kind::fields_set;
  case log_op::fields_erased:
    return watch_kind::fields_erased;
  case log_op::put:
  case log_op::parts:
  case log_op::nothing:
  case log_op::clear:
  case log_op::together:
    break;
  }
  return watch_kind::put;
}

void tapped_changes::clear() noexcept {
  changes.clear();
  bytes.clear();
  if (bytes.capacity() > kept_bytes) bytes = {};
  if (changes.capacity() * change_bytes > kept_bytes) changes = {};
  held_bytes = 0;
  overflowed = false;
  complete_to = 0;
}

void watch_tap::catch_change(std::uint64_t hash, const log_record& r, blob* large) noexcept {
  auto& c = caught_;
  if (c.overflowed) return;
  if (r.op == log_op::clear) return lose(r.lsn - 1); // not told key by key
  const auto value_size = large ? large->size() : r.value.size();
  const auto size = change_bytes + r.key.size() + value_size;
  // One change always fits, however large it is.
  if (!c.changes.empty() && c.held_bytes + size > bytes_max_) return lose(r.lsn - 1);
  try {
    tapped_changes::change change{.kind = kind_of(r.op),
                                  .key_size = static_cast<std::uint32_t>(r.key.size()),
                                  .value_size = 0,
                                  .offset = c.bytes.size(),
                                  .version = r.lsn,
                                  .expires_at_ms = 0,
                                  .hash = hash,
                                  .large = blob_ref::share(large)};
    if (r.op == log_op::put || r.op == log_op::meta) change.expires_at_ms = r.meta.expires_at_ms;
    if (r.op == log_op::put) change.type = r.meta.type;
    c.bytes.append(r.key);
    if (!large && r.op != log_op::erase && r.op != log_op::meta) {
      c.bytes.append(r.value);
      change.value_size = static_cast<std::uint32_t>(r.value.size());
    }
    c.changes.push_back(std::move(change));
  } catch (const std::bad_alloc&) {
    return lose(r.lsn - 1);
  }
  c.held_bytes += size;
  if (c.changes.size() == 1) gate_.mark_dirty(index_);
}

void watch_tap::lose(lsn_t complete_to) noexcept {
  if (caught_.overflowed) return;
  caught_.overflowed = true;
  caught_.complete_to = complete_to;
  gate_.mark_dirty(index_);
}

} // namespace warp::storage
