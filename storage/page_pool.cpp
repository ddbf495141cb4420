#include "storage/page_pool.hpp"

#include <array>
#include <bit>
#include <new>
#include <sys/mman.h>

namespace warp::storage {

namespace {

constexpr std::size_t regions_before_huge_pages = 8;

/// Maps one region aligned to its size: maps twice as much and gives back what lies around it.
char* map_aligned(std::size_t size) {
  void* raw = ::mmap(nullptr, 2 * size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc{};
  auto* begin = static_cast<char*>(raw);
  const auto lead = (size - reinterpret_cast<std::uintptr_t>(begin) % size) % size;
  if (lead != 0) ::munmap(begin, lead);
  ::munmap(begin + lead + size, size - lead);
  return begin + lead;
}

} // namespace

struct page_pool::region {
  char* base = nullptr;
  std::array<std::uint64_t, pages_per_region / 64> free_pages{}; ///< one bit per page
  std::size_t free_count = 0;
  region* previous = nullptr;
  region* next = nullptr;
};

page_pool::page_pool() = default;

page_pool::~page_pool() {
  for (auto& [number, r] : regions_) ::munmap(r->base, region_bytes);
}

void page_pool::link(region* r) noexcept {
  r->previous = nullptr;
  r->next = with_free_pages_;
  if (r->next) r->next->previous = r;
  with_free_pages_ = r;
}

void page_pool::unlink(region* r) noexcept {
  (r->previous ? r->previous->next : with_free_pages_) = r->next;
  if (r->next) r->next->previous = r->previous;
}

page_pool::region* page_pool::map_region() {
  auto fresh = std::make_unique<region>();
  char* const base = map_aligned(region_bytes);
  fresh->base = base;
  fresh->free_pages.fill(~std::uint64_t{0});
  fresh->free_count = pages_per_region;
  ::madvise(base, region_bytes,
            regions_.size() < regions_before_huge_pages ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
  region* r = fresh.get();
  try {
    regions_.emplace(reinterpret_cast<std::uintptr_t>(base) / region_bytes, std::move(fresh));
  } catch (...) {
    ::munmap(base, region_bytes);
    throw;
  }
  link(r);
  ++empty_regions_;
  return r;
}

void* page_pool::allocate() {
  std::lock_guard guard{mutex_};
  region* r = with_free_pages_ ? with_free_pages_ : map_region();
  if (r->free_count == pages_per_region) --empty_regions_;
  if (--r->free_count == 0) unlink(r);
  std::size_t word = 0;
  while (r->free_pages[word] == 0) ++word;
  const auto bit = static_cast<std::size_t>(std::countr_zero(r->free_pages[word]));
  r->free_pages[word] &= r->free_pages[word] - 1;
  return r->base + (word * 64 + bit) * page_bytes;
}

void page_pool::free(void* page) noexcept {
  std::lock_guard guard{mutex_};
  const auto address = reinterpret_cast<std::uintptr_t>(page);
  const auto found = regions_.find(address / region_bytes);
  region* r = found->second.get();
  const auto index = address % region_bytes / page_bytes;
  r->free_pages[index / 64] |= std::uint64_t{1} << index % 64;
  if (++r->free_count == 1) link(r);
  if (r->free_count < pages_per_region) return;
  if (empty_regions_ == 0) {
    ++empty_regions_;
    return;
  }
  unlink(r);
  ::munmap(r->base, region_bytes);
  regions_.erase(found);
}

std::size_t page_pool::mapped_bytes() const {
  std::lock_guard guard{mutex_};
  return regions_.size() * region_bytes;
}

} // namespace warp::storage
