#include "physics/miniature_set.hpp"

#include <algorithm>
#include <cassert>

namespace warp::physics {

miniature_set::miniature_set(std::uint64_t capacity,
                             const std::vector<horizon_settings>& settings) {
  assert(!settings.empty() && settings.size() <= 32);
  horizons_.reserve(settings.size());
  for (const auto& s : settings) horizons_.emplace_back(capacity, s);
}

std::uint32_t miniature_set::find(std::uint64_t key_hash) const {
  return index_.find(key_hash, [&](std::uint32_t row) { return hashes_[row] == key_hash; });
}

std::uint32_t miniature_set::access(std::uint64_t key_hash, std::uint32_t bytes) {
  auto row = find(key_hash);
  if (row == reference_index::none) row = take_row(key_hash);
  auto* states = states_of(row);
  std::uint32_t hits = 0;
  for (std::size_t i = 0; i < horizons_.size(); ++i) {
    auto& horizon = horizons_[i];
    if ((states[i] & resident) != 0) {
      horizon.hit(states[i] & ~resident);
      hits |= std::uint32_t{1} << i;
      continue;
    }
    const auto id = horizon.admit(row, bytes, horizon.is_ghost(states[i]));
    forget_gone(i);
    states[i] = id == event_horizon::none ? event_horizon::no_stamp : id | resident;
  }
  return hits;
}

void miniature_set::forget_gone(std::size_t horizon) {
  for (const auto& gone : horizons_[horizon].gone()) states_of(gone.owner)[horizon] = gone.stamp;
}

std::uint32_t miniature_set::take_row(std::uint64_t key_hash) {
  if (free_.empty() && hashes_.size() >= rows_enough_) forget_unknown();
  std::uint32_t row = 0;
  if (free_.empty()) {
    row = static_cast<std::uint32_t>(hashes_.size());
    hashes_.push_back(key_hash);
    states_.resize(states_.size() + horizons_.size(), event_horizon::no_stamp);
  } else {
    row = free_.back();
    free_.pop_back();
    hashes_[row] = key_hash;
    std::fill_n(states_of(row), horizons_.size(), event_horizon::no_stamp);
  }
  index_.insert(key_hash, row, [this](std::uint32_t r) { return hashes_[r]; });
  return row;
}

// Called when no row is free, so each is somebody's.
void miniature_set::forget_unknown() {
  for (std::uint32_t row = 0; row < hashes_.size(); ++row) {
    const auto* states = states_of(row);
    bool known = false;
    for (std::size_t i = 0; i < horizons_.size() && !known; ++i)
      known = (states[i] & resident) != 0 || horizons_[i].is_ghost(states[i]);
    if (known) continue;
    index_.erase(hashes_[row], row, [this](std::uint32_t r) { return hashes_[r]; });
    free_.push_back(row);
  }
  rows_enough_ = std::max<std::size_t>(64, 2 * index_.size());
}

void miniature_set::remove(std::uint64_t key_hash) {
  const auto row = find(key_hash);
  if (row == reference_index::none) return;
  auto* states = states_of(row);
  for (std::size_t i = 0; i < horizons_.size(); ++i) {
    if ((states[i] & resident) == 0) continue;
    horizons_[i].remove(states[i] & ~resident);
    states[i] = event_horizon::no_stamp;
  }
}

void miniature_set::set_capacity(std::uint64_t capacity) {
  for (std::size_t i = 0; i < horizons_.size(); ++i) {
    horizons_[i].set_capacity(capacity);
    forget_gone(i);
  }
}

std::size_t miniature_set::residents() const noexcept {
  std::size_t sum = 0;
  for (const auto& h : horizons_) sum += h.residents();
  return sum;
}

} // namespace warp::physics
