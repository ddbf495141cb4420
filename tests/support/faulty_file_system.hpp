#pragma once

#include "storage/forwarding_file_system.hpp"
#include "tests/support/memory_file_system.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace warp::testing {

/// The calls that can be counted and made to fail.
enum class file_operation {
  open,
  read,
  write,
  sync,
  truncate,
  rename,
  remove,
  sync_folder,
  create_folder
};
inline constexpr std::size_t file_operation_count = 9;

/// Hits calls of one kind on paths that contain `path_part`: passes over `skip` of them, then hits
/// `times` in a row.
struct fault {
  file_operation operation = file_operation::write;
  std::string path_part; ///< empty: every path
  std::uint64_t skip = 0;
  std::uint64_t times = ~std::uint64_t{0}; ///< default: from then on for ever
  op_code code = op_code::io_error;        ///< what the call answers
  std::uint64_t bytes_written = 0; ///< of a write: so many bytes of it get there all the same
};

/// A file system that fails on demand and counts its calls: files in memory (with crashes, see
/// memory()), or a wrapper around another file system. Thread-safe.
class faulty_file_system final : public storage::forwarding_file_system {
public:
  faulty_file_system();                                    ///< in memory
  explicit faulty_file_system(storage::file_system& base); ///< borrowed
  explicit faulty_file_system(std::unique_ptr<memory_file_system> files);
  ~faulty_file_system() override;

  op_result<std::unique_ptr<storage::file>> open(const std::string& path,
                                                 storage::open_mode mode) override;
  op_status rename(const std::string& from, const std::string& to) override;

  void inject(fault f);
  void clear_faults(); ///< power_off_after() included
  /// After so many more calls that change something (write, sync, truncate, rename, remove, create,
  /// sync_folder) all calls fail with io_error and do nothing, as if the machine had lost power
  /// just then. Then crash() and go on.
  void power_off_after(std::uint64_t changes);
  [[nodiscard]] bool power_is_off() const;

  [[nodiscard]] std::uint64_t count(file_operation operation) const;
  [[nodiscard]] std::uint64_t
  changes() const; ///< calls that change something, as power_off_after() counts them
  /// Called before each call, outside of locks: to stop the world at a point, or to watch.
  void set_observer(std::function<void(file_operation, const std::string& path)> observer);

  /// The files, when they are in memory.
  [[nodiscard]] memory_file_system& memory() noexcept { return *memory_; }
  /// memory().crash() and clear_faults().
  void crash(crash_policy policy, std::uint64_t seed = 0);

private:
  friend class faulty_file;
  [[nodiscard]] op_status ask(call what, const std::string& path) override;
  /// Says what is to become of a call: ok, or the failure; for a write how much of it is done.
  op_status meet(file_operation operation, const std::string& path,
                 std::uint64_t* bytes_written = nullptr);

  std::unique_ptr<memory_file_system> memory_;
  mutable std::mutex mutex_;
  std::vector<fault> faults_;
  std::array<std::uint64_t, file_operation_count> counts_{};
  std::uint64_t changes_ = 0;
  std::uint64_t changes_max_ = ~std::uint64_t{0};
  std::function<void(file_operation, const std::string&)> observer_;
};

} // namespace warp::testing
