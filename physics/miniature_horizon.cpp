#include "physics/miniature_horizon.hpp"

namespace warp::physics {

bool miniature_horizon::access(std::uint64_t key_hash, std::uint32_t bytes) {
  const auto found = index_.find(key_hash, [&](resident_id id) { return hashes_[id] == key_hash; });
  if (found != reference_index::none) {
    horizon_.hit(found);
    return true;
  }
  const auto id = horizon_.admit(key_hash, bytes, horizon_.is_ghost(ghosts_.take(key_hash)));
  forget_gone();
  if (id == event_horizon::none) return false;
  if (id >= hashes_.size()) hashes_.resize(id + 1);
  hashes_[id] = key_hash;
  index_.insert(key_hash, id, [this](resident_id r) { return hashes_[r]; });
  return false;
}

void miniature_horizon::remove(std::uint64_t key_hash) {
  const auto found = index_.find(key_hash, [&](resident_id id) { return hashes_[id] == key_hash; });
  if (found == reference_index::none) return;
  index_.erase(key_hash, found, [this](resident_id r) { return hashes_[r]; });
  horizon_.remove(found);
}

void miniature_horizon::set_capacity(std::uint64_t capacity) {
  horizon_.set_capacity(capacity);
  forget_gone();
}

void miniature_horizon::forget_gone() {
  const auto room = static_cast<std::size_t>(horizon_.settings().ghost_share *
                                             static_cast<double>(horizon_.residents()));
  for (const auto& [id, hash, stamp] : horizon_.gone()) {
    index_.erase(hash, id, [this](resident_id r) { return hashes_[r]; });
    if (stamp != event_horizon::no_stamp) ghosts_.remember(hash, stamp, room);
  }
}

} // namespace warp::physics
