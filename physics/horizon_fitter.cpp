#include "physics/horizon_fitter.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <utility>

namespace warp::physics {

horizon_fitter::horizon_fitter(std::uint64_t capacity, const horizon_settings& start,
                               fit_options options)
    : options_(std::move(options)), salt_(mix(options_.seed)) {
  assert(options_.one_in >= 1 && options_.window >= 1);
  watched_below_ = std::numeric_limits<std::uint64_t>::max() / options_.one_in;
  settings_.push_back(start);
  for (const auto& [small, ghost] : options_.tried) {
    auto s = start;
    s.small_share = small;
    s.ghost_share = ghost;
    settings_.push_back(s);
  }
  for (const auto& s : settings_) miniatures_.emplace_back(scaled(capacity), s);
  challenger_ = current_;
  hit_.resize(settings_.size());
  misses_.resize(settings_.size());
}

bool horizon_fitter::observe_watched(std::uint64_t key_hash, std::uint32_t bytes, bool counts) {
  ++seen_.watched;
  for (std::size_t i = 0; i < miniatures_.size(); ++i)
    hit_[i] = miniatures_[i].access(key_hash, bytes);
  // While there is room for all, the settings don't differ.
  if (!counts || !miniatures_[current_].horizon().filled()) return false;
  if (current_ != 0) {
    ++proof_.accesses;
    proof_.misses += hit_[current_] == 0;
    proof_.misses_of_start += hit_[0] == 0;
  }
  for (std::size_t i = 0; i < misses_.size(); ++i) misses_[i] += hit_[i] == 0;
  won_ += hit_[challenger_] > hit_[current_];
  lost_ += hit_[challenger_] < hit_[current_];
  return ++in_window_ >= options_.window && close_window();
}

void horizon_fitter::remove(std::uint64_t key_hash) {
  for (auto& m : miniatures_) m.remove(key_hash);
}

bool horizon_fitter::close_window() {
  const bool believed = miniatures_[current_].horizon().residents() >= options_.least_residents;
  bool changed = false;
  if (challenger_ != current_) {
    changed = believed && is_sure();
    if (changed) {
      current_ = challenger_;
      ++seen_.applied;
      proof_ = {};
    }
    challenger_ = current_;
  } else if (believed) {
    const auto least = static_cast<std::size_t>(std::min_element(misses_.begin(), misses_.end()) -
                                                misses_.begin());
    if (misses_[least] < misses_[current_]) {
      challenger_ = least;
      ++seen_.named;
    }
  }
  std::fill(misses_.begin(), misses_.end(), 0);
  in_window_ = won_ = lost_ = 0;
  return changed;
}

bool horizon_fitter::is_sure() const noexcept {
  const auto won = static_cast<double>(won_), lost = static_cast<double>(lost_);
  return won - lost > options_.sureness * std::sqrt(won + lost);
}

void horizon_fitter::set_capacity(std::uint64_t capacity) {
  for (auto& m : miniatures_) m.set_capacity(scaled(capacity));
}

std::size_t horizon_fitter::residents() const noexcept {
  std::size_t sum = 0;
  for (const auto& m : miniatures_) sum += m.horizon().residents();
  return sum;
}

std::uint64_t horizon_fitter::scaled(std::uint64_t capacity) const noexcept {
  return (capacity + options_.one_in / 2) / options_.one_in;
}

} // namespace warp::physics
