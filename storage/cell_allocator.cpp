#include "storage/cell_allocator.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <new>
#include <utility>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace warp::storage {

namespace {

constexpr std::uint16_t no_cell = 0xffff;
constexpr std::size_t wide_from = 1024; // cells above it do not fill small pages well

/// Bytes of one size that come from malloc, and then from small pages.
constexpr std::uint64_t heap_bytes_max(std::size_t cell_size) noexcept {
  return cell_size <= wide_from ? 16 * 1024 : 128 * 1024;
}
constexpr std::uint64_t small_page_bytes_max(std::size_t cell_size) noexcept {
  return cell_size <= wide_from ? 256 * 1024 : 0;
}

/// Sizes between 2^n and twice as much, from 512 B on, are 16.
constexpr std::size_t step_of(std::size_t size) noexcept {
  if (size <= 512 || size > cell_allocator::cell_bytes_max) return 8;
  return std::bit_floor(size - 1) / 16;
}
constexpr std::size_t rounded(std::size_t size) noexcept {
  if (size <= 16) return 16;
  const auto step = step_of(size);
  return (size + step - 1) & ~(step - 1);
}
/// Of a rounded size: one number for each, from 2 on.
constexpr std::size_t class_of(std::size_t cell_size) noexcept {
  if (cell_size <= 512) return cell_size / 8;
  const auto step = step_of(cell_size);
  const auto octave = static_cast<std::size_t>(std::countr_zero(step)) - 5; // 32 B: 0
  return 64 + octave * 16 + (cell_size - 16 * step) / step;
}
static_assert(class_of(512) == 64 && class_of(rounded(513)) == 65 && class_of(1024) == 80 &&
              class_of(rounded(1025)) == 81 && class_of(cell_allocator::cell_bytes_max) == 108);
static_assert(rounded(3457) - 3457 == cell_allocator::rounding_max);

/// What malloc really took: it keeps 8 B of its own before each block.
std::size_t malloc_bytes(void* memory) noexcept {
  return ::malloc_usable_size(memory) + 8;
}

/// A freed cell is out of bounds for the address sanitizer, but for the link to the next one.
void poison([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(memory, size);
#endif
}
void unpoison([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(memory, size);
#endif
}

} // namespace

/// Header of a page; cells of one size follow. Freed cells form a list through their first two
/// bytes; cells that were never used are not on it, so that a page is touched from its start as it
/// fills.
struct alignas(64) cell_allocator::page {
  page* previous = nullptr;
  page* next = nullptr;
  cell_source source;
  std::uint16_t cell_size;
  std::uint16_t capacity;
  std::uint16_t live = 0;
  std::uint16_t carved = 0; ///< cells that were ever handed out
  std::uint16_t first_free = no_cell;

  page(cell_source from, std::size_t cell)
      : source(from), cell_size(static_cast<std::uint16_t>(cell)),
        capacity(static_cast<std::uint16_t>((bytes() - sizeof(page)) / cell)) {}

  static page* of(cell c) noexcept {
    return reinterpret_cast<page*>(reinterpret_cast<std::uintptr_t>(c.memory) &
                                   ~(bytes(c.source) - 1));
  }
  static std::size_t bytes(cell_source source) noexcept {
    return source == cell_source::small_page ? cell_pages::small_bytes : cell_pages::large_bytes;
  }
  std::size_t bytes() const noexcept { return bytes(source); }
  char* cell_at(std::size_t number) noexcept {
    return reinterpret_cast<char*>(this + 1) + number * cell_size;
  }
  bool full() const noexcept { return live == capacity; }

  void* take() noexcept {
    ++live;
    if (first_free == no_cell) {
      auto* memory = cell_at(carved++);
      unpoison(memory, cell_size);
      return memory;
    }
    auto* memory = cell_at(first_free);
    unpoison(memory, cell_size);
    std::memcpy(&first_free, memory, sizeof first_free);
    return memory;
  }

  void give_back(void* memory) noexcept {
    --live;
    std::memcpy(memory, &first_free, sizeof first_free);
    const auto offset = static_cast<char*>(memory) - reinterpret_cast<char*>(this + 1);
    first_free = static_cast<std::uint16_t>(static_cast<std::size_t>(offset) / cell_size);
    poison(memory, cell_size);
  }
};

cell_allocator::cell_allocator(cell_pages& pages) : pages_(pages) {}

cell_allocator::~cell_allocator() {
  for (auto& cls : classes_)
    while (cls.with_room) free_page(cls, cls.with_room);
}

void cell_allocator::swap(cell_allocator& other) noexcept {
  std::swap(classes_, other.classes_);
  std::swap(used_bytes_, other.used_bytes_);
  std::swap(page_bytes_, other.page_bytes_);
  std::swap(page_used_bytes_, other.page_used_bytes_);
}

void cell_allocator::link(size_class& cls, page* p) noexcept {
  p->previous = nullptr;
  p->next = cls.with_room;
  if (p->next) p->next->previous = p;
  cls.with_room = p;
}

void cell_allocator::unlink(size_class& cls, page* p) noexcept {
  (p->previous ? p->previous->next : cls.with_room) = p->next;
  if (p->next) p->next->previous = p->previous;
}

cell_allocator::page* cell_allocator::add_page(size_class& cls, std::size_t cell_size) {
  const bool large = cls.page_bytes >= small_page_bytes_max(cell_size);
  void* const memory = (large ? pages_.large : pages_.small).allocate();
  auto* p = new (memory) page(large ? cell_source::large_page : cell_source::small_page, cell_size);
  poison(p + 1, p->bytes() - sizeof(page));
  link(cls, p);
  cls.page_bytes += p->bytes();
  page_bytes_ += p->bytes();
  return p;
}

void cell_allocator::free_page(size_class& cls, page* p) noexcept {
  unlink(cls, p);
  cls.page_bytes -= p->bytes();
  page_bytes_ -= p->bytes();
  unpoison(p, p->bytes());
  (p->source == cell_source::large_page ? pages_.large : pages_.small).free(p);
}

cell_allocator::cell cell_allocator::allocate(std::size_t size) {
  const auto cell_size = rounded(size);
  if (cell_size <= cell_bytes_max) {
    auto& cls = classes_[class_of(cell_size)];
    if (cls.page_bytes != 0 || cls.heap_cells * cell_size >= heap_bytes_max(cell_size)) {
      page* p = cls.with_room ? cls.with_room : add_page(cls, cell_size);
      void* memory = p->take();
      if (p->full()) unlink(cls, p);
      used_bytes_ += cell_size;
      page_used_bytes_ += cell_size;
      return {memory, p->source};
    }
  }
  void* memory = std::malloc(cell_size); // rounded, so that fits() need not ask for the size
  if (!memory) throw std::bad_alloc{};
  if (cell_size <= cell_bytes_max) ++classes_[class_of(cell_size)].heap_cells;
  used_bytes_ += malloc_bytes(memory);
  return {memory, cell_source::heap};
}

void cell_allocator::free(cell c, std::size_t size) noexcept {
  if (c.source != cell_source::heap) return free_in_page(c, size);
  const auto cell_size = rounded(size);
  if (cell_size <= cell_bytes_max) --classes_[class_of(cell_size)].heap_cells;
  used_bytes_ -= malloc_bytes(c.memory);
  std::free(c.memory);
}

void cell_allocator::free_in_page(cell c, std::size_t size) noexcept {
  const auto cell_size = rounded(size);
  auto& cls = classes_[class_of(cell_size)];
  page* p = page::of(c);
  if (p->full()) link(cls, p);
  p->give_back(c.memory);
  used_bytes_ -= cell_size;
  page_used_bytes_ -= cell_size;
  // An empty page goes back to the pool unless it is all the room that this size has left.
  const bool only_room = p->previous == nullptr && p->next == nullptr;
  if (p->live != 0 || (only_room && cls.page_bytes != p->bytes())) return;
  free_page(cls, p);
  // One that stayed empty as the only room goes with the last cell of its size.
  if (auto* left = cls.with_room; left && left->live == 0 && cls.page_bytes == left->bytes())
    free_page(cls, left);
}

bool cell_allocator::fits(cell c, std::size_t size, std::size_t new_size) noexcept {
  if (rounded(new_size) == rounded(size)) return true;
  if (rounded(std::min(size, new_size)) <= cell_bytes_max) return false; // sizes are counted
  const auto room = ::malloc_usable_size(c.memory);
  return new_size <= room && new_size * 2 >= room;
}

} // namespace warp::storage
