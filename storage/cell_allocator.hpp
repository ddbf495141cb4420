#pragma once

#include "storage/block_pool.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace warp::storage {

/// Memory for the records of one table: cells in steps of 8 B up to 512 B, cut from pages of a pool
/// without a header per cell, and malloc above. A size that is rare in this table (below 32 KiB in
/// all) comes from malloc as well, so that 64 tables with 64 sizes each do not hold 4,096 pages
/// that are almost empty. Cells are aligned to 8 B. Used under the shard's lock.
///
/// Cost per cell beyond its size: below 4 B of rounding on average, 64 B in 16 KiB for the page's
/// header, and on average half a page per size and table. glibc's malloc takes 8 B and rounds
/// to 16.
class cell_allocator {
public:
  static constexpr std::size_t cell_bytes_max = 512;
  static constexpr std::size_t page_bytes = 16 * 1024;

  struct cell {
    void* memory;
    bool in_page; ///< to be remembered by the owner and handed to free()
  };

  /// `pool` has blocks of page_bytes and must outlive this.
  explicit cell_allocator(block_pool& pool);
  ~cell_allocator(); ///< every cell must have come back
  cell_allocator(const cell_allocator&) = delete;
  cell_allocator& operator=(const cell_allocator&) = delete;

  /// `size` > 0. Throws std::bad_alloc.
  [[nodiscard]] cell allocate(std::size_t size);
  void free(cell c, std::size_t size) noexcept;

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
    std::uint32_t pages = 0;
    std::uint32_t outside = 0; ///< live cells of this size from malloc
  };
  static constexpr std::size_t step = 8;

  page* add_page(size_class& cls, std::size_t cell_size);
  void link(size_class& cls, page* p) noexcept;
  void unlink(size_class& cls, page* p) noexcept;
  void free_in_page(void* memory, std::size_t size) noexcept;

  block_pool& pool_;
  std::array<size_class, cell_bytes_max / step + 1> classes_{};
  std::uint64_t used_bytes_ = 0;
  std::uint64_t page_bytes_ = 0;
  std::uint64_t page_used_bytes_ = 0;
};

} // namespace warp::storage
