#include "physics/horizon_advice.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

namespace warp::physics {

namespace {

/// Watched keys may hold more than their part of the bytes, by chance.
constexpr double room_for_all = 1.25;
constexpr double telling_min = 100;

} // namespace

horizon_advice::horizon_advice(advice_options options)
    : options_(std::move(options)), known_(1, {}), fitter_(1, {}, options_.fit) {
  begin(1);
}

void horizon_advice::begin(std::uint32_t one_in) {
  assert(one_in >= 1);
  one_in_ = one_in;
  known_ = miniature_horizon{scaled(room_for_all), {}};
  fitter_ = horizon_fitter{scaled(options_.fit_share), {}, options_.fit};
  parts_.clear();
  for (const auto share : options_.shares)
    parts_.push_back({.memory = miniature_horizon{scaled(share), fitter_.settings()}});
  reads_ = unknown_ = telling_ = 0;
  unknown_since_ = telling_since_ = 0;
}

void horizon_advice::set_store(std::uint64_t bytes) {
  if (bytes == store_bytes_) return;
  store_bytes_ = bytes;
  known_.set_capacity(scaled(room_for_all));
  fitter_.set_capacity(scaled(options_.fit_share));
  for (std::size_t i = 0; i < parts_.size(); ++i)
    parts_[i].memory.set_capacity(scaled(options_.shares[i]));
}

std::uint64_t horizon_advice::scaled(double share) const noexcept {
  return static_cast<std::uint64_t>(
      std::max(1.0, std::round(share * static_cast<double>(store_bytes_) / one_in_)));
}

void horizon_advice::read(std::uint64_t key_hash, std::uint64_t bytes) {
  touch(key_hash, bytes, true);
}

void horizon_advice::write(std::uint64_t key_hash, std::uint64_t bytes) {
  touch(key_hash, bytes, false);
}

void horizon_advice::touch(std::uint64_t key_hash, std::uint64_t bytes, bool is_read) {
  const auto size =
      static_cast<std::uint32_t>(std::clamp<std::uint64_t>(bytes, 1, event_horizon::bytes_max));
  const bool known = known_.access(key_hash, size);
  const bool counts = is_read && known;
  telling_since_ += counts;
  unknown_since_ += is_read && !known;
  for (auto& p : parts_) {
    const bool hit = p.memory.access(key_hash, size);
    p.misses_since += counts && !hit;
  }
  if (fitter_.observe_watched(key_hash, size, counts))
    for (auto& p : parts_) p.memory.apply(fitter_.settings());
}

void horizon_advice::remove(std::uint64_t key_hash) {
  known_.remove(key_hash);
  for (auto& p : parts_) p.memory.remove(key_hash);
  fitter_.remove(key_hash);
}

void horizon_advice::count_reads(double reads, double told, double now_s) {
  const double kept = std::exp2(std::min(0.0, counted_at_s_ - now_s) / options_.half_life_s);
  counted_at_s_ = std::max(counted_at_s_, now_s);
  const auto fold = [kept](double& count, std::uint64_t& since) {
    count = count * kept + static_cast<double>(std::exchange(since, 0));
  };
  reads_ = reads_ * kept + reads * told;
  fold(unknown_, unknown_since_);
  fold(telling_, telling_since_);
  for (auto& p : parts_) fold(p.misses, p.misses_since);
}

double horizon_advice::reads() const noexcept {
  return std::max(0.0, reads_ - unknown_ * one_in_);
}

std::vector<horizon_advice::point> horizon_advice::curve() const {
  std::vector<point> out;
  if (telling_ < telling_min || reads() <= 0) return out;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const auto share = options_.shares[i];
    const auto& p = parts_[i];
    out.push_back({.share = share,
                   .bytes = static_cast<std::uint64_t>(share * static_cast<double>(store_bytes_)),
                   .miss_ratio = std::clamp(p.misses * one_in_ / reads(), 0.0, 1.0),
                   .keys = p.memory.horizon().residents()});
  }
  return out;
}

} // namespace warp::physics
