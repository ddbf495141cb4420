#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::testing {

/// The bytes of a file, in blocks that copies share until one of them writes. A copy costs a
/// reference per block, so thousands of states of one disk differ only where they differ. Reads and
/// hashes of different copies are not for different threads.
class file_content {
public:
  static constexpr std::size_t block_bytes = 4'096;

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// Bytes read; fewer than asked for only at the end.
  std::size_t read(std::uint64_t offset, std::span<char> to) const;
  /// Grows as needed; what lies between the old end and `offset` is zeros.
  void write(std::uint64_t offset, std::string_view bytes);
  /// Longer: zeros are added.
  void resize(std::uint64_t size);
  /// Takes over [begin, end) of `from`, as far as that reaches.
  void take(const file_content& from, std::uint64_t begin, std::uint64_t end);
  /// The same for the same bytes, however they came about.
  [[nodiscard]] std::uint64_t hash() const;

private:
  struct block {
    std::array<char, block_bytes> bytes;
    std::uint64_t hash = 0; ///< 0: not known
  };
  block& own(std::size_t index); ///< one that no copy shares
  void clear_behind_end();

  std::vector<std::shared_ptr<block>> blocks_; ///< null: zeros; behind the end too
  std::uint64_t size_ = 0;
};

/// All files and folders of a disk at rest, by path.
struct disk_image {
  std::map<std::string, file_content> files;
  std::set<std::string> folders;

  [[nodiscard]] std::uint64_t hash() const;
};

} // namespace warp::testing
