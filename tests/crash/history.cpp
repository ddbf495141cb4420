#include "tests/crash/history.hpp"

#include <algorithm>
#include <iterator>
#include <xxhash.h>

namespace warp::testing {

std::uint64_t fingerprint(std::string_view key, std::string_view value, lsn_t version,
                          std::uint64_t expires_at_ms) {
  const auto seed = XXH3_64bits_withSeed(key.data(), key.size(), version);
  return XXH3_64bits_withSeed(value.data(), value.size(),
                              seed + expires_at_ms * 0x9e3779b97f4a7c15u);
}

void shard_history::put(lsn_t lsn, const std::string& key, std::string value,
                        std::uint64_t expires_at_ms) {
  writes_.push_back({lsn, false, key, std::move(value), expires_at_ms});
  apply(writes_.back());
}

void shard_history::erase(lsn_t lsn, const std::string& key) {
  writes_.push_back({lsn, true, key, {}, 0});
  apply(writes_.back());
}

void shard_history::apply(const write& w) {
  if (const auto it = content_.find(w.key); it != content_.end()) {
    const auto& old = it->second;
    fingerprint_ ^= fingerprint(w.key, old.value, old.version, old.expires_at_ms);
    content_.erase(it);
  }
  if (w.erase) return;
  content_[w.key] = {w.value, w.lsn, w.expires_at_ms};
  fingerprint_ ^= fingerprint(w.key, w.value, w.lsn, w.expires_at_ms);
}

void shard_history::end_batch() {
  if (!writes_.empty() && writes_.back().lsn > last())
    boundaries_.emplace_back(writes_.back().lsn, fingerprint_);
}

void shard_history::cut(lsn_t last) {
  std::erase_if(writes_, [last](const write& w) { return w.lsn > last; });
  std::erase_if(boundaries_, [last](const auto& b) { return b.first > last; });
  std::erase_if(requests, [last](const auto& r) { return r.lsn > last; });
  content_.clear();
  fingerprint_ = 0;
  for (const auto& w : writes_) apply(w);
}

bool shard_history::is_boundary(lsn_t last) const {
  const auto above = std::upper_bound(writes_.begin(), writes_.end(), last,
                                      [](lsn_t l, const write& w) { return l < w.lsn; });
  return above == writes_.begin() || std::prev(above)->lsn == whole_up_to(last);
}

bool shard_history::held(lsn_t last, std::uint64_t fingerprint) const {
  return is_boundary(last) && std::binary_search(boundaries_.begin(), boundaries_.end(),
                                                 std::pair{whole_up_to(last), fingerprint});
}

lsn_t shard_history::whole_up_to(lsn_t lsn) const {
  const auto above = std::upper_bound(boundaries_.begin(), boundaries_.end(), lsn,
                                      [](lsn_t l, const auto& b) { return l < b.first; });
  return std::prev(above)->first;
}

std::map<std::string, history_record> shard_history::content(lsn_t last) const {
  auto then = *this;
  then.cut(last);
  return then.content_;
}

void history::cut(const std::vector<lsn_t>& last) {
  for (std::size_t s = 0; s < shards.size(); ++s) shards[s].cut(last[s]);
  std::erase_if(transactions, [&](const history_transaction& t) {
    return std::any_of(t.begin(), t.end(),
                       [&](const auto& part) { return part.second > last[part.first]; });
  });
}

} // namespace warp::testing
