#include "physics/entanglement_index.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace warp::physics {

entanglement_index::entanglement_index(const entanglement_options& options)
    : options_(options), keys_(options.keys_max), pairs_(options.keys_max * options.partners_max) {
  assert(options.partners_max > 0 && options.reach > 0 && options.reach_together > 0);
  assert(options.period_s > 0 && options.decay > 0 && options.decay <= 1);
}

void entanglement_index::advance(double now_s) {
  const double period = std::floor(now_s / options_.period_s);
  if (!started_ || period <= period_) {
    if (!started_) period_ = period;
    started_ = true;
    return;
  }
  unit_ *= std::pow(options_.decay, period_ - period);
  period_ = period;
  constexpr double large = 1e15; // beside it an old event of 1 still has a digit
  if (unit_ < large) return;
  const double factor = 1 / std::min(unit_, 1e300);
  keys_.scale(factor);
  for (auto& p : pairs_) {
    p.weight *= factor;
    p.error = static_cast<float>(p.error * factor);
  }
  unit_ = 1;
}

void entanglement_index::observe(std::span<const std::uint64_t> window, double now_s,
                                 bool in_order) {
  advance(now_s);
  const std::size_t reach = in_order ? options_.reach : options_.reach_together;
  slots_.clear();
  for (std::size_t i = 0; i < window.size(); ++i) {
    if (i > 0 && window[i] == window[i - 1]) {
      slots_.push_back(slots_.back());
      continue;
    }
    const auto [slot, fresh] = keys_.add(window[i], unit_);
    if (fresh)
      std::fill_n(pairs_.begin() + static_cast<std::ptrdiff_t>(slot * options_.partners_max),
                  options_.partners_max, pair{});
    slots_.push_back(slot);
    const std::size_t first = i > reach ? i - reach : 0;
    for (std::size_t j = first; j < i; ++j) {
      // A small sketch may have given the slot away within the window.
      if (window[j] == window[i] || keys_.at(slots_[j]).key != window[j]) continue;
      const auto distance = static_cast<double>(i - j);
      bind(slots_[j], window[i], in_order ? unit_ / (distance * distance) : unit_);
      if (!in_order) bind(slot, window[j], unit_);
    }
  }
}

void entanglement_index::bind(std::uint32_t slot, std::uint64_t other, double weight) {
  const auto begin = pairs_.begin() + static_cast<std::ptrdiff_t>(slot * options_.partners_max);
  const auto end = begin + static_cast<std::ptrdiff_t>(options_.partners_max);
  const auto known = std::find_if(begin, end, [&](const pair& p) { return p.key == other; });
  if (known != end && known->weight > 0) {
    known->weight += weight;
    known->seen = 2;
    // Who is met often moves to the front, where it is found soon.
    if (known != begin) std::iter_swap(known, known - 1);
    return;
  }
  // A free one weighs nothing; keys of free ones are 0, which may also be a key.
  auto& lightest = known != end ? *known : *std::ranges::min_element(begin, end, {}, &pair::weight);
  lightest = {other, lightest.weight + weight, static_cast<float>(lightest.weight), 1};
}

double entanglement_index::strength_of(const heavy_hitters::item& key, const pair& p) const {
  if (p.weight <= 0 || p.seen < 2 || key.sure() <= 0) return 0;
  const double likely = std::clamp((p.weight - p.error) / key.sure(), 0.0, 1.0);
  const auto other = keys_.find(p.key);
  const double weight = other ? keys_.at(*other).weight : keys_.unknown_max();
  const double by_chance = weight / keys_.total();
  return likely >= options_.lift_min * by_chance ? likely : 0;
}

void entanglement_index::declare(std::uint64_t primary, std::uint64_t other, double strength) {
  assert(strength >= 0 && strength <= 1);
  auto& links = declared_[primary];
  std::erase_if(links, [&](const partner& l) { return l.key == other; });
  if (strength > 0) links.push_back({other, strength, true});
  if (links.empty()) declared_.erase(primary);
}

std::vector<partner> entanglement_index::partners(std::uint64_t key, std::size_t max,
                                                  double strength_min) const {
  std::vector<partner> out;
  if (const auto links = declared_.find(key); links != declared_.end()) out = links->second;
  const auto declared = out.size();
  if (const auto slot = keys_.find(key))
    for (const auto& p : pairs_of(*slot)) {
      const double learned = strength_of(keys_.at(*slot), p);
      if (learned <= 0) continue;
      const auto end = out.begin() + static_cast<std::ptrdiff_t>(declared);
      const auto known =
          std::find_if(out.begin(), end, [&](const partner& l) { return l.key == p.key; });
      if (known != end)
        known->strength = std::max(known->strength, learned);
      else
        out.push_back({p.key, learned});
    }
  std::erase_if(out, [&](const partner& p) { return p.strength < strength_min; });
  std::ranges::sort(out, [](const partner& a, const partner& b) {
    return a.strength != b.strength ? a.strength > b.strength : a.key < b.key;
  });
  if (out.size() > max) out.resize(max);
  return out;
}

double entanglement_index::strength(std::uint64_t key, std::uint64_t other) const {
  double most = 0;
  if (const auto links = declared_.find(key); links != declared_.end())
    for (const auto& l : links->second)
      if (l.key == other) most = l.strength;
  if (const auto slot = keys_.find(key))
    for (const auto& p : pairs_of(*slot))
      if (p.weight > 0 && p.key == other) most = std::max(most, strength_of(keys_.at(*slot), p));
  return most;
}

void entanglement_index::save(byte_writer& out) const {
  keys_.save(out);
  out.f64(unit_);
  out.f64(period_);
  out.u8(started_);
  for (std::uint32_t slot = 0; slot < keys_.size(); ++slot) {
    const auto known = pairs_of(slot);
    out.u32(static_cast<std::uint32_t>(
        std::ranges::count_if(known, [](const pair& p) { return p.weight > 0; })));
    for (const auto& p : known) {
      if (p.weight <= 0) continue;
      out.u64(p.key);
      out.f64(p.weight);
      out.f64(p.error);
      out.f64(p.seen);
    }
  }
  out.u32(static_cast<std::uint32_t>(declared_.size()));
  std::vector<std::uint64_t> primaries;
  for (const auto& [primary, links] : declared_) primaries.push_back(primary);
  std::ranges::sort(primaries); // the same bytes for the same knowledge
  for (const auto primary : primaries) {
    const auto& links = declared_.at(primary);
    out.u64(primary);
    out.u32(static_cast<std::uint32_t>(links.size()));
    for (const auto& l : links) {
      out.u64(l.key);
      out.f64(l.strength);
    }
  }
}

bool entanglement_index::load(byte_reader& in) {
  const auto nothing = [this] {
    *this = entanglement_index{options_};
    return false;
  };
  *this = entanglement_index{options_};
  if (!keys_.load(in)) return nothing();
  unit_ = in.f64();
  period_ = in.f64();
  started_ = in.u8() != 0;
  if (!(unit_ > 0) || !std::isfinite(unit_) || !std::isfinite(period_)) return nothing();
  for (std::uint32_t slot = 0; slot < keys_.size(); ++slot) {
    const auto count = in.u32();
    for (std::uint32_t i = 0; i < count && in.good(); ++i) {
      pair p{in.u64(), in.f64()};
      p.error = static_cast<float>(in.f64());
      p.seen = static_cast<float>(in.f64());
      if (!(p.weight > 0) || !std::isfinite(p.weight) || !(p.error >= 0) || !(p.seen >= 0))
        return nothing();
      if (i < options_.partners_max) pairs_[slot * options_.partners_max + i] = p;
    }
  }
  const auto primaries = in.u32();
  for (std::uint32_t i = 0; i < primaries && in.good(); ++i) {
    const auto primary = in.u64();
    const auto links = in.u32();
    for (std::uint32_t l = 0; l < links && in.good(); ++l) {
      const auto other = in.u64();
      const double strength = in.f64();
      if (!(strength > 0 && strength <= 1)) return nothing();
      declare(primary, other, strength);
    }
  }
  return in.good() || nothing();
}

} // namespace warp::physics
