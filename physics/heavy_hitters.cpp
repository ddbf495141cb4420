#include "physics/heavy_hitters.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

namespace warp::physics {

heavy_hitters::heavy_hitters(std::size_t capacity) : capacity_(capacity) {
  assert(capacity > 0);
}

std::uint32_t heavy_hitters::slot_of(std::uint64_t key) const {
  return index_.find(key, [&](std::uint32_t slot) { return items_[slot].key == key; });
}

heavy_hitters::added heavy_hitters::add(std::uint64_t key, double weight) {
  assert(weight > 0);
  const auto key_of = [this](std::uint32_t slot) { return items_[slot].key; };
  total_ += weight;
  if (const auto known = slot_of(key); known != reference_index::none) {
    const auto position = position_[known];
    heap_[position].weight = items_[known].weight += weight;
    sink(position);
    return {known, false};
  }
  if (items_.size() < capacity_) {
    const auto slot = static_cast<std::uint32_t>(items_.size());
    items_.push_back({key, weight, 0});
    position_.push_back(slot);
    heap_.push_back({weight, slot});
    rise(heap_.size() - 1);
    index_.insert(key, slot, key_of);
    return {slot, true};
  }
  const auto slot = heap_[0].slot;
  auto& lightest = items_[slot];
  index_.erase(lightest.key, slot, key_of);
  lightest = {key, lightest.weight + weight, lightest.weight};
  index_.insert(key, slot, key_of);
  heap_[0].weight = lightest.weight;
  sink(0);
  return {slot, true};
}

void heavy_hitters::scale(double factor) noexcept {
  assert(factor > 0);
  total_ *= factor;
  for (auto& i : items_) {
    i.weight *= factor;
    i.error *= factor;
  }
  for (auto& n : heap_) n.weight = items_[n.slot].weight;
}

std::optional<std::uint32_t> heavy_hitters::find(std::uint64_t key) const {
  const auto known = slot_of(key);
  if (known == reference_index::none) return std::nullopt;
  return known;
}

double heavy_hitters::unknown_max() const noexcept {
  return items_.size() < capacity_ ? 0 : heap_[0].weight;
}

void heavy_hitters::save(byte_writer& out) const {
  out.f64(total_);
  out.u32(static_cast<std::uint32_t>(items_.size()));
  for (const auto& i : items_) {
    out.u64(i.key);
    out.f64(i.weight);
    out.f64(i.error);
  }
}

bool heavy_hitters::load(byte_reader& in) {
  *this = heavy_hitters{capacity_};
  const double total = in.f64();
  const auto count = in.u32();
  bool well = std::isfinite(total) && total >= 0 && count <= capacity_;
  for (std::uint32_t i = 0; i < count && well; ++i) {
    const auto key = in.u64();
    const double weight = in.f64(), error = in.f64();
    well = in.good() && weight > 0 && std::isfinite(weight) && error >= 0 && error <= weight &&
           slot_of(key) == reference_index::none;
    if (!well) break;
    add(key, weight); // a free slot: the next one
    items_.back().error = error;
  }
  well = well && in.good();
  if (!well)
    *this = heavy_hitters{capacity_};
  else
    total_ = total;
  return well;
}

void heavy_hitters::put(std::size_t position, node n) noexcept {
  heap_[position] = n;
  position_[n.slot] = static_cast<std::uint32_t>(position);
}

void heavy_hitters::sink(std::size_t position) noexcept {
  const auto sinking = heap_[position];
  for (;;) {
    const auto first = children * position + 1, end = std::min(first + children, heap_.size());
    auto least = first;
    for (auto child = first + 1; child < end; ++child)
      if (heap_[child].weight < heap_[least].weight) least = child;
    if (first >= end || heap_[least].weight >= sinking.weight) break;
    put(position, heap_[least]);
    position = least;
  }
  put(position, sinking);
}

void heavy_hitters::rise(std::size_t position) noexcept {
  const auto rising = heap_[position];
  while (position > 0) {
    const auto above = (position - 1) / children;
    if (heap_[above].weight <= rising.weight) break;
    put(position, heap_[above]);
    position = above;
  }
  put(position, rising);
}

} // namespace warp::physics
