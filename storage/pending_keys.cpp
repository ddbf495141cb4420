#include "storage/pending_keys.hpp"

#include <utility>

namespace warp::storage {

namespace {
/// Entries, with texts of that length, that wait for the next keys.
constexpr std::size_t spares_max = 256, spare_text_max = 256;
constexpr std::size_t first_buckets = 64, buckets_kept = 4'096;
} // namespace

pending_keys::~pending_keys() {
  clear();
  while (spare_ != nullptr) delete std::exchange(spare_, spare_->next);
}

pending_key& pending_keys::add(std::uint64_t hash, std::string_view text) {
  if (size_ == buckets_.size()) grow();
  auto* key = spare_;
  if (key == nullptr) {
    auto made = std::make_unique<pending_key>();
    made->text.assign(text);
    key = made.release();
  } else {
    key->text.assign(text);
    spare_ = key->next;
    --spares_;
  }
  key->hash = hash;
  auto& bucket = buckets_[hash & (buckets_.size() - 1)];
  key->next = bucket;
  bucket = key;
  ++size_;
  return *key;
}

void pending_keys::remove(pending_key& key) noexcept {
  auto** at = &buckets_[key.hash & (buckets_.size() - 1)];
  while (*at != &key) at = &(*at)->next;
  *at = key.next;
  --size_;
  drop(&key);
  if (size_ == 0 && buckets_.size() > buckets_kept) buckets_ = {};
}

void pending_keys::drop(pending_key* key) noexcept {
  if (spares_ == spares_max || key->text.capacity() > spare_text_max) {
    delete key;
    return;
  }
  key->lsn = 0;
  key->unmade = {};
  key->in_overlay = false;
  key->next = std::exchange(spare_, key);
  ++spares_;
}

void pending_keys::clear() noexcept {
  for (auto& bucket : buckets_)
    while (bucket != nullptr) drop(std::exchange(bucket, bucket->next));
  size_ = 0;
}

void pending_keys::grow() {
  std::vector<pending_key*> more(buckets_.empty() ? first_buckets : 2 * buckets_.size());
  for (auto* k : buckets_)
    while (k != nullptr) {
      auto& bucket = more[k->hash & (more.size() - 1)];
      auto* const next = std::exchange(k->next, bucket);
      bucket = std::exchange(k, next);
    }
  buckets_ = std::move(more);
}

} // namespace warp::storage
