#pragma once

#include "messages/ids.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace warp::storage {

class engine;

/// How a key was at a moment, so that a transaction can tell later whether anything was done to it
/// since, also when it looks the same: see engine::mark() and transaction::has_changed(). That it
/// has expired is a change, too. Costs its shard nothing unless the key was absent. To be gone
/// before the engine is.
class key_mark {
public:
  key_mark(key_mark&& other) noexcept
      : engine_(std::exchange(other.engine_, nullptr)), key_(std::move(other.key_)),
        version_(other.version_), since_(other.since_), reign_(other.reign_) {}
  key_mark& operator=(key_mark&& other) noexcept {
    std::swap(engine_, other.engine_);
    std::swap(key_, other.key_);
    std::swap(version_, other.version_);
    std::swap(since_, other.since_);
    std::swap(reign_, other.reign_);
    return *this;
  }
  ~key_mark();

  [[nodiscard]] std::string_view key() const noexcept { return key_; }

private:
  friend class engine;
  friend class pending_writes;
  friend class transaction;
  explicit key_mark(std::string_view key) : key_(key) {}

  engine* engine_ = nullptr; ///< where its absence is watched; null: it is not
  std::string key_;
  lsn_t version_ = 0;       ///< 0: absent
  lsn_t since_ = 0;         ///< the shard's last LSN then
  std::uint64_t reign_ = 0; ///< of a replicated shard: what was noted since is noted of this one
};

} // namespace warp::storage
