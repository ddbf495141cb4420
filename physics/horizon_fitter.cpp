#include "physics/horizon_fitter.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <utility>

namespace warp::physics {

namespace {

std::vector<horizon_settings> all_settings(const horizon_settings& start,
                                           const fit_options& options) {
  std::vector<horizon_settings> all{start};
  for (const auto& [small, ghost] : options.tried) {
    auto s = start;
    s.small_share = small;
    s.ghost_share = ghost;
    all.push_back(s);
  }
  return all;
}

} // namespace

horizon_fitter::horizon_fitter(std::uint64_t capacity, const horizon_settings& start,
                               fit_options options)
    : options_(std::move(options)), salt_(mix(options_.seed)),
      settings_(all_settings(start, options_)), miniatures_(scaled(capacity), settings_),
      misses_(settings_.size()) {
  assert(options_.one_in >= 1 && options_.window >= 1);
  watched_below_ = std::numeric_limits<std::uint64_t>::max() / options_.one_in;
}

bool horizon_fitter::observe_watched(std::uint64_t key_hash, std::uint32_t bytes, bool counts) {
  ++seen_.watched;
  // Where there is no room for as many as are believed, it needs no trial.
  if (miniatures_.horizon(current_).capacity() < options_.least_residents) return false;
  const auto hits = miniatures_.access(key_hash, bytes);
  // While there is room for all, the settings don't differ.
  if (!counts || !miniatures_.horizon(current_).filled()) return false;
  const auto hit = [hits](std::size_t i) { return hits >> i & 1; };
  if (current_ != 0) {
    ++proof_.accesses;
    proof_.misses += !hit(current_);
    proof_.misses_of_start += !hit(0);
  }
  for (std::size_t i = 0; i < misses_.size(); ++i) misses_[i] += !hit(i);
  won_ += hit(challenger_) > hit(current_);
  lost_ += hit(challenger_) < hit(current_);
  return ++in_window_ >= options_.window && close_window();
}

bool horizon_fitter::close_window() {
  const bool believed = miniatures_.horizon(current_).residents() >= options_.least_residents;
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

std::uint64_t horizon_fitter::scaled(std::uint64_t capacity) const noexcept {
  return (capacity + options_.one_in / 2) / options_.one_in;
}

} // namespace warp::physics
