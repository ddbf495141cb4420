#include "physics/entanglement_index.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace warp::physics {

entanglement_index::entanglement_index(const entanglement_options& options)
    : options_(options), keys_(options.keys_max), pairs_(options.keys_max * options.partners_max) {
  assert(options.partners_max > 0 && options.reach > 0);
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

void entanglement_index::observe(std::span<const std::uint64_t> window, double now_s) {
  advance(now_s);
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
    const std::size_t first = i > options_.reach ? i - options_.reach : 0;
    for (std::size_t j = first; j < i; ++j) {
      // A small sketch may have given the slot away within the window.
      if (window[j] == window[i] || keys_.at(slots_[j]).key != window[j]) continue;
      const auto distance = static_cast<double>(i - j);
      bind(slots_[j], window[i], options_.in_order ? unit_ / (distance * distance) : unit_);
      if (!options_.in_order) bind(slot, window[j], unit_);
    }
  }
}

void entanglement_index::bind(std::uint32_t slot, std::uint64_t other, double weight) {
  pair* lightest = &pairs_[slot * options_.partners_max];
  for (auto* p = lightest; p != &pairs_[slot * options_.partners_max] + options_.partners_max;
       ++p) {
    if (p->weight > 0 && p->key == other) {
      p->weight += weight;
      p->seen = 2;
      return;
    }
    if (p->weight < lightest->weight) lightest = p;
  }
  *lightest = {other, lightest->weight + weight, static_cast<float>(lightest->weight), 1};
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

} // namespace warp::physics
