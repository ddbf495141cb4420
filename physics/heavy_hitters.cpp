#include "physics/heavy_hitters.hpp"

#include <cassert>
#include <cmath>
#include <utility>

namespace warp::physics {

heavy_hitters::heavy_hitters(std::size_t capacity) : capacity_(capacity) {
  assert(capacity > 0);
}

heavy_hitters::added heavy_hitters::add(std::uint64_t key, double weight) {
  assert(weight > 0);
  total_ += weight;
  if (const auto known = slot_of_.find(key); known != slot_of_.end()) {
    items_[known->second].weight += weight;
    sink(position_[known->second]);
    return {known->second, false};
  }
  if (items_.size() < capacity_) {
    const auto slot = static_cast<std::uint32_t>(items_.size());
    items_.push_back({key, weight, 0});
    position_.push_back(static_cast<std::uint32_t>(heap_.size()));
    heap_.push_back(slot);
    rise(heap_.size() - 1);
    slot_of_.emplace(key, slot);
    return {slot, true};
  }
  const auto slot = heap_[0];
  auto& lightest = items_[slot];
  slot_of_.erase(lightest.key);
  slot_of_.emplace(key, slot);
  lightest = {key, lightest.weight + weight, lightest.weight};
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
}

std::optional<std::uint32_t> heavy_hitters::find(std::uint64_t key) const {
  const auto known = slot_of_.find(key);
  if (known == slot_of_.end()) return std::nullopt;
  return known->second;
}

double heavy_hitters::unknown_max() const noexcept {
  return items_.size() < capacity_ ? 0 : items_[heap_[0]].weight;
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
           !slot_of_.contains(key);
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

void heavy_hitters::sink(std::size_t position) noexcept {
  for (;;) {
    std::size_t least = position;
    for (const std::size_t child : {2 * position + 1, 2 * position + 2})
      if (child < heap_.size() && items_[heap_[child]].weight < items_[heap_[least]].weight)
        least = child;
    if (least == position) return;
    std::swap(heap_[position], heap_[least]);
    position_[heap_[position]] = static_cast<std::uint32_t>(position);
    position_[heap_[least]] = static_cast<std::uint32_t>(least);
    position = least;
  }
}

void heavy_hitters::rise(std::size_t position) noexcept {
  while (position > 0) {
    const std::size_t above = (position - 1) / 2;
    if (items_[heap_[above]].weight <= items_[heap_[position]].weight) return;
    std::swap(heap_[position], heap_[above]);
    position_[heap_[position]] = static_cast<std::uint32_t>(position);
    position_[heap_[above]] = static_cast<std::uint32_t>(above);
    position = above;
  }
}

} // namespace warp::physics
