#include "storage/block_pool.hpp"

#include <array>
#include <bit>
#include <new>

namespace warp::storage {

namespace {

constexpr std::size_t regions_before_huge_pages = 2;

} // namespace

struct block_pool::region {
  char* base = nullptr;
  std::array<std::uint64_t, region_bytes / block_bytes_min / 64>
      free_blocks{}; ///< one bit per block
  std::size_t free_count = 0;
  region* previous = nullptr;
  region* next = nullptr;
};

block_pool::block_pool(memory_range& range, std::size_t block_bytes, huge_pages pages)
    : range_(range), pages_(pages), block_bytes_(block_bytes),
      blocks_per_region_(region_bytes / block_bytes) {}

block_pool::~block_pool() {
  for (auto& [number, r] : regions_) range_.give_back(r->base);
}

void block_pool::link(region* r) noexcept {
  r->previous = nullptr;
  r->next = with_free_blocks_;
  if (r->next) r->next->previous = r;
  with_free_blocks_ = r;
}

void block_pool::unlink(region* r) noexcept {
  (r->previous ? r->previous->next : with_free_blocks_) = r->next;
  if (r->next) r->next->previous = r->previous;
}

block_pool::region* block_pool::add_region() {
  auto fresh = std::make_unique<region>();
  const bool huge = pages_ == huge_pages::always || (pages_ == huge_pages::automatic &&
                                                     regions_.size() >= regions_before_huge_pages);
  char* const base = range_.take(huge);
  fresh->base = base;
  for (std::size_t i = 0; i < blocks_per_region_; ++i)
    fresh->free_blocks[i / 64] |= std::uint64_t{1} << i % 64;
  fresh->free_count = blocks_per_region_;
  region* r = fresh.get();
  try {
    regions_.emplace(reinterpret_cast<std::uintptr_t>(base) / region_bytes, std::move(fresh));
  } catch (...) {
    range_.give_back(base);
    throw;
  }
  link(r);
  ++empty_regions_;
  return r;
}

void* block_pool::allocate() {
  std::lock_guard guard{mutex_};
  region* r = with_free_blocks_ ? with_free_blocks_ : add_region();
  if (r->free_count == blocks_per_region_) --empty_regions_;
  if (--r->free_count == 0) unlink(r);
  std::size_t word = 0;
  while (r->free_blocks[word] == 0) ++word;
  const auto bit = static_cast<std::size_t>(std::countr_zero(r->free_blocks[word]));
  r->free_blocks[word] &= r->free_blocks[word] - 1;
  return r->base + (word * 64 + bit) * block_bytes_;
}

void block_pool::free(void* block) noexcept {
  std::lock_guard guard{mutex_};
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  const auto found = regions_.find(address / region_bytes);
  region* r = found->second.get();
  const auto index = address % region_bytes / block_bytes_;
  r->free_blocks[index / 64] |= std::uint64_t{1} << index % 64;
  if (++r->free_count == 1) link(r);
  if (r->free_count < blocks_per_region_) return;
  if (empty_regions_ == 0) {
    ++empty_regions_;
    return;
  }
  unlink(r);
  range_.give_back(r->base);
  regions_.erase(found);
}

std::size_t block_pool::mapped_bytes() const {
  std::lock_guard guard{mutex_};
  return regions_.size() * region_bytes;
}

} // namespace warp::storage
