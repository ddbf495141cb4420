#include "tests/support/disk_image.hpp"

#include <algorithm>
#include <cstring>
#include <xxhash.h>

namespace warp::testing {

namespace {

constexpr std::array<char, file_content::block_bytes> zero_block{};

bool all_zeros(std::string_view bytes) {
  return std::memcmp(bytes.data(), zero_block.data(), bytes.size()) == 0;
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 29);
}

} // namespace

file_content::block& file_content::own(std::size_t index) {
  auto& at = blocks_[index];
  if (!at) {
    at = std::make_shared<block>();
  } else if (at.use_count() > 1) {
    at = std::make_shared<block>(*at);
  }
  at->hash = 0;
  return *at;
}

std::size_t file_content::read(std::uint64_t offset, std::span<char> to) const {
  if (offset >= size_) return 0;
  const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), size_ - offset));
  for (std::size_t done = 0; done < n;) {
    const auto at = offset + done;
    const auto skip = static_cast<std::size_t>(at % block_bytes);
    const auto part = std::min(block_bytes - skip, n - done);
    const auto& b = blocks_[at / block_bytes];
    std::memcpy(to.data() + done, (b ? b->bytes.data() : zero_block.data()) + skip, part);
    done += part;
  }
  return n;
}

void file_content::resize(std::uint64_t size) {
  const bool shorter = size < size_;
  blocks_.resize((size + block_bytes - 1) / block_bytes);
  size_ = size;
  if (shorter) clear_behind_end();
}

void file_content::clear_behind_end() {
  const auto used = static_cast<std::ptrdiff_t>(size_ % block_bytes);
  if (used == 0 || !blocks_.back()) return;
  auto& last = own(blocks_.size() - 1);
  std::fill(last.bytes.begin() + used, last.bytes.end(), '\0');
}

void file_content::write(std::uint64_t offset, std::string_view bytes) {
  if (offset + bytes.size() > size_) resize(offset + bytes.size());
  for (std::size_t done = 0; done < bytes.size();) {
    const auto at = offset + done;
    const auto skip = static_cast<std::size_t>(at % block_bytes);
    const auto part = bytes.substr(done, block_bytes - skip);
    done += part.size();
    const auto index = static_cast<std::size_t>(at / block_bytes);
    if (!blocks_[index] && all_zeros(part)) continue;
    std::memcpy(own(index).bytes.data() + skip, part.data(), part.size());
  }
}

void file_content::take(const file_content& from, std::uint64_t begin, std::uint64_t end) {
  end = std::min(end, from.size_);
  if (begin >= end) return;
  if (end > size_) resize(end);
  while (begin < end) {
    const auto index = static_cast<std::size_t>(begin / block_bytes);
    const auto block_end = (index + 1) * block_bytes;
    const auto stop = std::min<std::uint64_t>(end, block_end);
    const auto skip = static_cast<std::size_t>(begin % block_bytes);
    if (skip == 0 && (stop == block_end || stop >= size_)) {
      blocks_[index] = from.blocks_[index];
    } else if (blocks_[index] != from.blocks_[index]) {
      const auto& b = from.blocks_[index];
      std::memcpy(own(index).bytes.data() + skip, (b ? b->bytes.data() : zero_block.data()) + skip,
                  static_cast<std::size_t>(stop - begin));
    }
    begin = stop;
  }
  if (size_ < from.size_) clear_behind_end(); // the last block was perhaps taken whole
}

std::uint64_t file_content::hash() const {
  static const std::uint64_t of_zeros = XXH3_64bits(zero_block.data(), zero_block.size());
  auto hash = mixed(0, size_);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const auto& b = blocks_[i];
    if (!b) continue;
    if (b->hash == 0) b->hash = XXH3_64bits(b->bytes.data(), b->bytes.size());
    if (b->hash != of_zeros) hash = mixed(hash, b->hash + i);
  }
  return hash;
}

std::uint64_t disk_image::hash() const {
  std::uint64_t hash = 0;
  for (const auto& [path, content] : files)
    hash ^= mixed(XXH3_64bits(path.data(), path.size()), content.hash());
  for (const auto& path : folders) hash ^= mixed(XXH3_64bits(path.data(), path.size()), 1);
  return hash;
}

} // namespace warp::testing
