#include "storage/file_window.hpp"

#include <algorithm>

namespace warp::storage {

op_result<std::string_view> file_window::at(std::uint64_t offset, std::uint64_t size,
                                            std::uint64_t end) {
  if (offset >= end) return std::string_view{};
  size = std::min(size, end - offset);
  if (offset < begin_ || offset + size > begin_ + size_) {
    const auto wanted = std::min(std::max(size, window_bytes_), end - offset);
    if (capacity_ < wanted) {
      bytes_ = std::make_unique_for_overwrite<char[]>(wanted);
      capacity_ = wanted;
    }
    begin_ = offset;
    size_ = 0;
    auto got = file_->read_at(offset, {bytes_.get(), wanted});
    if (!got) return got.status();
    size_ = *got;
  }
  const auto skip = offset - begin_;
  return std::string_view{bytes_.get() + skip,
                          std::min(size_ - std::min(size_, skip), end - offset)};
}

} // namespace warp::storage
