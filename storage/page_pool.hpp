#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace warp::storage {

/// Hands out pages of 16 KiB, aligned to their size, cut from regions of 2 MiB that come from the
/// operating system. The tables of one engine share a pool, so that a region is filled by all of
/// them and memory that one frees serves the others. Thread-safe; called once per hundred records
/// or so. Must outlive its pages.
///
/// From the ninth region on, huge pages are asked for: they make random reads of a large table
/// measurably faster (tests/bench/table_bench.cpp), and then waste at most one part in nine, while
/// a small database stays small.
class page_pool {
public:
  static constexpr std::size_t page_bytes = 16 * 1024;
  static constexpr std::size_t region_bytes = 2 * 1024 * 1024;
  static constexpr std::size_t pages_per_region = region_bytes / page_bytes;

  page_pool();
  ~page_pool();
  page_pool(const page_pool&) = delete;
  page_pool& operator=(const page_pool&) = delete;

  /// One page; what it holds is undefined. Throws std::bad_alloc.
  [[nodiscard]] void* allocate();

  /// Takes back what allocate() gave. A region whose last page comes back is unmapped; one such
  /// region is kept.
  void free(void* page) noexcept;

  /// Address space that is mapped now, bytes, a multiple of region_bytes.
  [[nodiscard]] std::size_t mapped_bytes() const;

private:
  struct region;

  region* map_region();
  void link(region* r) noexcept;
  void unlink(region* r) noexcept;

  mutable std::mutex mutex_;
  std::unordered_map<std::uintptr_t, std::unique_ptr<region>>
      regions_;                       ///< by address / region_bytes
  region* with_free_pages_ = nullptr; ///< doubly linked list
  std::size_t empty_regions_ = 0;
};

} // namespace warp::storage
