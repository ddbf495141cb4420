#include "physics/ghost_list.hpp"

#include <algorithm>

namespace warp::physics {

void ghost_list::remember(std::uint64_t key_hash, std::size_t limit) {
  if (limit == 0) return shrink(0);
  const auto print = print_of(key_hash);
  if (const auto row = row_of(print); row != reference_index::none) forget(row);
  shrink(limit - 1);
  if (count_ == ring_.size()) make_room();
  const auto row = static_cast<std::uint32_t>((first_ + count_) & (ring_.size() - 1));
  ring_[row] = print;
  ++count_;
  index_.insert(print, row, [this](std::uint32_t r) { return ring_[r]; });
}

bool ghost_list::take(std::uint64_t key_hash) {
  const auto row = row_of(print_of(key_hash));
  if (row == reference_index::none) return false;
  forget(row);
  return true;
}

void ghost_list::shrink(std::size_t limit) {
  while (index_.size() > limit) forget_oldest();
}

std::uint32_t ghost_list::row_of(std::uint32_t print) const {
  return index_.find(print, [&](std::uint32_t row) { return ring_[row] == print; });
}

void ghost_list::forget(std::uint32_t row) {
  index_.erase(ring_[row], row, [this](std::uint32_t r) { return ring_[r]; });
  ring_[row] = gap;
}

void ghost_list::forget_oldest() {
  const auto row = static_cast<std::uint32_t>(first_);
  if (ring_[row] != gap) forget(row);
  first_ = (first_ + 1) & (ring_.size() - 1);
  --count_;
}

// Gaps are closed first; the ring grows only when more than half of it is keys.
void ghost_list::make_room() {
  std::vector<std::uint32_t> kept;
  kept.reserve(count_);
  for (std::size_t i = 0; i < count_; ++i)
    if (const auto print = ring_[(first_ + i) & (ring_.size() - 1)]; print != gap)
      kept.push_back(print);
  const auto size =
      std::max<std::size_t>(16, kept.size() * 2 > ring_.size() ? ring_.size() * 2 : ring_.size());
  count_ = kept.size();
  first_ = 0;
  kept.resize(size, gap);
  ring_.swap(kept);
  index_ = {};
  for (std::uint32_t row = 0; row < count_; ++row)
    index_.insert(ring_[row], row, [this](std::uint32_t r) { return ring_[r]; });
}

} // namespace warp::physics
