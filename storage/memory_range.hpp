#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace warp::storage {

/// A range of addresses that is reserved once and given memory region by region. What was ever
/// handed out stays readable until the range is destroyed, also after it was given back (as zeros):
/// so a reader without a lock may follow a pointer into it that has just become stale. So does the
/// first region behind it, for a reader that goes by a length that is no longer true. Thread-safe.
class memory_range {
public:
  static constexpr std::size_t region_bytes = 2 * 1024 * 1024;

  /// Reserves twice the machine's memory, or less where the process may not have so much (ulimit
  /// -v). Reserved addresses cost nothing. Throws std::bad_alloc when there is next to nothing.
  memory_range();
  ~memory_range(); ///< every region must be out of use
  memory_range(const memory_range&) = delete;
  memory_range& operator=(const memory_range&) = delete;

  /// A region, aligned to its size; what it holds is undefined. `huge`: asks for a huge page.
  /// Throws std::bad_alloc.
  [[nodiscard]] char* take(bool huge);
  /// Its memory goes back to the operating system; its addresses wait for the next take().
  void give_back(char* region) noexcept;

  /// Does the address lie in what was reserved? Lock-free.
  [[nodiscard]] bool contains(const void* address) const noexcept {
    return reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(begin_) <
           size_;
  }

private:
  char* mapped_ = nullptr; ///< begin_ before it is aligned
  std::size_t mapped_size_ = 0;
  char* begin_ = nullptr;
  std::size_t size_ = 0; ///< a multiple of region_bytes

  std::mutex mutex_;
  std::size_t used_ = 0; ///< bytes from begin_ that were ever handed out
  std::vector<char*> free_;
};

} // namespace warp::storage
