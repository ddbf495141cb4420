#pragma once

#include "messages/ids.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace warp::storage {

/// Keys of a shard that somebody has found absent, and wants to hear of when they have come and
/// gone since: what is there tells by its version that it has changed, what is not there tells
/// nothing. Under the shard's lock.
class absent_keys {
public:
  [[nodiscard]] bool empty() const noexcept { return keys_.empty(); }

  /// Each watch() is to be followed by a forget(). Throws std::bad_alloc.
  void watch(std::string_view key) { ++keys_.try_emplace(std::string{key}).first->second.watched; }
  void forget(std::string_view key) noexcept {
    if (const auto at = keys_.find(key); at != keys_.end() && --at->second.watched == 0)
      keys_.erase(at);
  }

  /// A record of this version has been removed.
  void note_removal(std::string_view key, lsn_t version) noexcept {
    if (const auto at = keys_.find(key); at != keys_.end())
      at->second.removed = std::max(at->second.removed, version);
  }
  /// All records are removed; `find` is to answer a key's version, 0 where there is none.
  template <class Find>
  void note_removals(Find&& find) noexcept {
    for (auto& [key, e] : keys_) e.removed = std::max<lsn_t>(e.removed, find(key));
  }
  /// The newest version of a watched key that was removed since it is watched; 0: none.
  [[nodiscard]] lsn_t removed(std::string_view key) const noexcept {
    const auto at = keys_.find(key);
    return at == keys_.end() ? 0 : at->second.removed;
  }

private:
  struct entry {
    std::uint32_t watched = 0;
    lsn_t removed = 0;
  };
  std::map<std::string, entry, std::less<>> keys_;
};

} // namespace warp::storage
