#include "storage/memory_range.hpp"

#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace warp::storage {

memory_range::memory_range() {
  constexpr std::size_t least = 64 * region_bytes;
  auto want = 2 * static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) *
              static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  for (;; want /= 2) {
    if (want < least) throw std::bad_alloc{};
    void* const got =
        ::mmap(nullptr, want, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (got == MAP_FAILED) continue;
    mapped_ = static_cast<char*>(got);
    mapped_size_ = want;
    break;
  }
  const auto lead =
      (region_bytes - reinterpret_cast<std::uintptr_t>(mapped_) % region_bytes) % region_bytes;
  begin_ = mapped_ + lead;
  size_ = (mapped_size_ - lead) / region_bytes * region_bytes - region_bytes; // one behind the last
}

memory_range::~memory_range() {
  ::munmap(mapped_, mapped_size_);
}

char* memory_range::take(bool huge) {
  char* region = nullptr;
  {
    std::lock_guard guard{mutex_};
    if (!free_.empty()) {
      region = free_.back();
      free_.pop_back();
    } else {
      if (used_ == size_) throw std::bad_alloc{};
      free_.reserve(used_ / region_bytes + 1); // so that give_back() cannot fail
      region = begin_ + used_;
      if (::mprotect(region, 2 * region_bytes, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc{};
      used_ += region_bytes;
    }
  }
  // Only advice: where there are no huge pages nothing is lost but speed.
  ::madvise(region, region_bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  return region;
}

void memory_range::give_back(char* region) noexcept {
  ::madvise(region, region_bytes, MADV_DONTNEED);
  std::lock_guard guard{mutex_};
  free_.push_back(region);
}

} // namespace warp::storage
