// Marks of keys: has anything changed since?

#include "storage/engine_state.hpp"
#include "storage/key_hash.hpp"
#include "storage/key_mark.hpp"
#include "storage/no_memory.hpp"
#include "storage/pending_transaction.hpp"
#include "storage/transaction_share.hpp"

#include <algorithm>
#include <mutex>

namespace warp::storage {

key_mark::~key_mark() {
  if (engine_) engine_->forget_absence(key_);
}

op_result<key_mark> engine::mark(std::string_view key) {
  if (auto* const e = state_->replicated()) return e->mark(key);
  return unless_no_memory("a mark", [&]() -> op_result<key_mark> {
    auto& state = *state_;
    key_mark made{key};
    auto& s = *state.shards[state.shard_of(key)];
    std::lock_guard hold{s.lock()};
    const auto now_ms = std::max<std::uint64_t>(state.time->now_ms(), 1);
    made.since_ = s.last_lsn();
    if (const auto* r = s.find_live(key_hash(key), key, now_ms)) {
      made.version_ = r->version();
    } else {
      s.absent().watch(key);
      made.engine_ = this;
    }
    return made;
  });
}

void engine::forget_absence(std::string_view key) noexcept {
  auto& s = *state_->shards[state_->shard_of(key)];
  std::lock_guard hold{s.lock()};
  s.absent().forget(key);
}

bool transaction::has_changed(const key_mark& mark) {
  const auto* const r = find(mark.key_);
  if (r || mark.version_ != 0) return !r || r->version() != mark.version_;
  auto* const s = share_of(state_.shard_of(mark.key_));
  if (!s) return true;
  if (pending_) return pending_->came_and_went(mark.key_, mark.since_, mark.reign_);
  // It may have come and expired, and not be removed yet.
  const auto* const left = s->at->records().find(key_hash(mark.key_), mark.key_);
  return std::max(s->at->absent().removed(mark.key_), left ? left->version() : 0) > mark.since_;
}

} // namespace warp::storage
