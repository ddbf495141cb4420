#include "storage/checkpoint_salvage.hpp"

#include "storage/checkpoint_block.hpp"
#include "storage/crc32c.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <zstd.h>

namespace warp::storage {

op_result<salvaged_checkpoint>
salvage_checkpoint(file_system& files, const std::string& path,
                   const std::function<void(const checkpoint_record&)>& visit) {
  auto in = files.open(path, open_mode::read);
  if (!in) return in.status();
  auto size = (*in)->size();
  if (!size) return size.status();
  std::string bytes(*size, '\0');
  auto count = (*in)->read_at(0, bytes);
  if (!count) return count.status();
  bytes.resize(*count);
  const std::string_view all{bytes};
  if (auto header = decode_checkpoint_header(all.substr(0, checkpoint_header_bytes)); !header.ok())
    return op_status{header.code(), fmt::format("{}: {}", path, header.status().message())};
  const auto file_crc = checkpoint_header_crc(all.substr(0, checkpoint_header_bytes));

  salvaged_checkpoint found;
  std::string raw;
  for (std::size_t at = checkpoint_header_bytes;
       at + checkpoint_block_header_bytes <= all.size();) {
    // Behind damage a block may begin anywhere; what its header may be is narrow enough to try.
    const auto rest = all.substr(at);
    const auto block =
        decode_checkpoint_block_header(rest, rest.size() - checkpoint_block_header_bytes);
    if (!block.ok() || block->stored_bytes == 0 ||
        crc32c(rest.substr(checkpoint_block_header_bytes, block->stored_bytes),
               checkpoint_block_crc(rest.data(), file_crc)) != block->crc) {
      ++at;
      continue;
    }
    at += checkpoint_block_header_bytes + block->stored_bytes;
    if (block->kind != checkpoint_block_kind::data) continue;
    auto payload = rest.substr(checkpoint_block_header_bytes, block->stored_bytes);
    if (block->codec == checkpoint_codec::zstd) {
      raw.resize(block->raw_bytes);
      const auto n = ZSTD_decompress(raw.data(), raw.size(), payload.data(), payload.size());
      if (ZSTD_isError(n) || n != raw.size()) continue;
      payload = raw;
    }
    ++found.blocks;
    checkpoint_block_cursor cursor{payload, block->count};
    checkpoint_record record;
    while (cursor.next(record)) {
      visit(record);
      ++found.records;
      found.last_version = std::max(found.last_version, record.meta.version);
    }
  }
  return found;
}

} // namespace warp::storage
