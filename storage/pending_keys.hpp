#pragma once

#include "messages/ids.hpp"
#include "messages/shared_bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

/// A key with pending writes, and the newest of them.
struct pending_key {
  std::uint64_t hash = 0; ///< table::hash() of the text
  lsn_t lsn = 0;
  shared_bytes unmade;     ///< the record of a put that the overlay does not have; empty: it has it
  bool in_overlay = false; ///< the overlay has, or had, a record of the key
  pending_key* next = nullptr; ///< of those that share a bucket, or are spare
  std::string text;
};

/// Those of a shard. Each comes and goes with a write, so what it takes is used again: entries with
/// the memory of their texts, and the buckets. An entry stays where it is until it is removed.
///
/// One thread at a time.
class pending_keys {
public:
  pending_keys() = default;
  pending_keys(const pending_keys&) = delete;
  pending_keys& operator=(const pending_keys&) = delete;
  ~pending_keys();

  [[nodiscard]] pending_key* find(std::uint64_t hash, std::string_view text) const noexcept {
    if (buckets_.empty()) return nullptr;
    for (auto* k = buckets_[hash & (buckets_.size() - 1)]; k != nullptr; k = k->next)
      if (k->hash == hash && k->text == text) return k;
    return nullptr;
  }
  /// One that is not there. Throws std::bad_alloc, having changed nothing.
  pending_key& add(std::uint64_t hash, std::string_view text);
  void remove(pending_key& key) noexcept;
  void clear() noexcept;

  template <class Use>
  void each(Use&& use) {
    for (auto* k : buckets_)
      for (; k != nullptr; k = k->next) use(*k);
  }

private:
  void grow();
  void drop(pending_key* key) noexcept;

  std::vector<pending_key*> buckets_; ///< a power of two, or none
  std::size_t size_ = 0;
  pending_key* spare_ = nullptr;
  std::size_t spares_ = 0;
};

} // namespace warp::storage
