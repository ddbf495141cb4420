#pragma once

#include "storage/block_pool.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace warp::storage {

/// Where a cell came from; its owner remembers it and hands it to free().
enum class cell_source : std::uint8_t { heap = 0, small_page = 1, large_page = 2 };

/// The pages that the allocators of an engine's tables share. Thread-safe.
struct cell_pages {
  static constexpr std::size_t small_bytes = 8 * 1024, large_bytes = 32 * 1024;
  explicit cell_pages(memory_range& range, huge_pages pages = huge_pages::automatic)
      : small(range, small_bytes, pages), large(range, large_bytes, pages) {}
  block_pool small, large;
};

/// Memory for the records of one table: cells up to 3.5 KiB, cut from pages without a header per
/// cell, and malloc above. Aligned to 8 B. Used under the shard's lock.
///
/// Sizes go up in steps of 8 B to 512 B, of 32 B to 1 KiB, of 64 B to 2 KiB, and of 128 B. Each has
/// its own pages, so what is not used of the last one counts 64 tables times as many sizes as there
/// are. So a size comes from malloc until this table has 16 KiB of it (128 KiB above 1 KiB), from
/// small pages until it has 256 KiB (not above 1 KiB), and from large ones then: half a page is at
/// most a quarter of what is used, and mostly below a twentieth.
///
/// Cost per cell beyond its size: rounding, below 4 B on average (3 % above 512 B), 64 B per page
/// for its header, what is left at a page's end (3 % above 1 KiB), and that half page. malloc takes
/// 8 B and rounds to 16.
class cell_allocator {
public:
  static constexpr std::size_t cell_bytes_max =
      3584; ///< a ninth of a large page: little is lost at its end
  /// Bytes of a cell beyond what was asked for, at most.
  static constexpr std::size_t rounding_max = 127;

  struct cell {
    void* memory;
    cell_source source;
  };

  /// `pages` must outlive this.
  explicit cell_allocator(cell_pages& pages);
  ~cell_allocator(); ///< every cell must have come back
  cell_allocator(const cell_allocator&) = delete;
  cell_allocator& operator=(const cell_allocator&) = delete;

  /// `size` > 0. Throws std::bad_alloc.
  [[nodiscard]] cell allocate(std::size_t size);
  void free(cell c, std::size_t size) noexcept;

  /// Exchanges what the two hold; of the same pages.
  void swap(cell_allocator& other) noexcept;

  /// May an owner of `size` bytes use the cell for `new_size` bytes from now on? No where that
  /// needs more room, and where it would leave more than half unused.
  [[nodiscard]] static bool fits(cell c, std::size_t size, std::size_t new_size) noexcept;

  /// Of the cells handed out, with their rounding and malloc's header.
  [[nodiscard]] std::uint64_t used_bytes() const noexcept { return used_bytes_; }
  /// Of the pages held, without a cell in use: headers, ends, and cells that wait for reuse.
  [[nodiscard]] std::uint64_t free_bytes() const noexcept { return page_bytes_ - page_used_bytes_; }

private:
  struct page;
  struct size_class {
    page* with_room = nullptr; ///< doubly linked list of the pages that are not full
    std::uint64_t page_bytes = 0;
    std::uint64_t heap_cells = 0; ///< live ones
  };
  static constexpr std::size_t class_count = 109; ///< see class_of()

  page* add_page(size_class& cls, std::size_t cell_size);
  void link(size_class& cls, page* p) noexcept;
  void unlink(size_class& cls, page* p) noexcept;
  void free_page(size_class& cls, page* p) noexcept;
  void free_in_page(cell c, std::size_t size) noexcept;

  cell_pages& pages_;
  std::array<size_class, class_count> classes_{};
  std::uint64_t used_bytes_ = 0;
  std::uint64_t page_bytes_ = 0;
  std::uint64_t page_used_bytes_ = 0;
};

} // namespace warp::storage
