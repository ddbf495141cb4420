#pragma once

#include "storage/file_system.hpp"

#include <cstdint>

namespace warp::testing {

/// Makes the system refuse memory. The program that links this has a malloc (and calloc, realloc,
/// aligned_alloc, and mprotect, by which the tables' pages come) that counts the calls of armed
/// threads and refuses the ones that it is told to; operator new throws std::bad_alloc then. Under
/// a sanitizer, which has a malloc of its own, there is nothing of this.
namespace allocation_faults {

[[nodiscard]] bool available() noexcept;

/// From now on counts from 0 and refuses call number `first` (from 1; 0: none), and those after it
/// up to `times` in all.
void refuse(std::uint64_t first, std::uint64_t times = 1) noexcept;
/// Refuses one call in `one_in` at random; 0: none.
void refuse_some(std::uint64_t one_in) noexcept;
/// Counted since refuse().
[[nodiscard]] std::uint64_t calls() noexcept;
/// Refused since refuse().
[[nodiscard]] std::uint64_t refused() noexcept;

/// This thread's calls count while one of these lives.
class armed {
public:
  armed() noexcept;
  ~armed();
  armed(const armed&) = delete;
  armed& operator=(const armed&) = delete;

private:
  const bool before_;
};
/// They do not, while one of these lives.
class spared {
public:
  spared() noexcept;
  ~spared();
  spared(const spared&) = delete;
  spared& operator=(const spared&) = delete;

private:
  const bool before_;
};

} // namespace allocation_faults

/// A file system whose own memory is never refused: what a test means are the engine's calls.
class spared_file_system final : public storage::file_system {
public:
  explicit spared_file_system(storage::file_system& base) : base_(base) {} ///< borrowed

  op_result<std::unique_ptr<storage::file>> open(const std::string& path,
                                                 storage::open_mode mode) override;
  op_result<std::vector<std::string>> list(const std::string& folder) override;
  op_result<bool> exists(const std::string& path) override;
  op_status create_folder(const std::string& path) override;
  op_status rename(const std::string& from, const std::string& to) override;
  op_status remove(const std::string& path) override;
  op_status sync_folder(const std::string& folder) override;
  op_result<std::uint64_t> free_bytes(const std::string& path) override;
  op_result<std::unique_ptr<storage::folder_lock>> lock(const std::string& folder) override;

private:
  storage::file_system& base_;
};

} // namespace warp::testing
