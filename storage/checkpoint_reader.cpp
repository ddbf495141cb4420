#include "storage/checkpoint_reader.hpp"

#include "storage/crc32c.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

namespace warp::storage {

namespace {

struct context_deleter {
  void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
};

} // namespace

struct checkpoint_reader::state {
  std::string path;
  std::unique_ptr<file> in;
  std::uint64_t file_bytes = 0;
  std::uint64_t blocks_end = 0; ///< where the footer begins
  std::uint32_t header_crc = 0, checksum = 0;
  checkpoint_header header;
  checkpoint_footer footer;

  // Where reading the blocks has come to.
  std::uint64_t offset = 0;
  std::uint32_t blocks = 0, blocks_crc = 0;
  std::uint64_t records = 0;
  bool sections_begun = false;
  checkpoint_block_cursor cursor;
  std::uint64_t block_offset = 0;

  // A block as it was read: `buffer` holds a block's header and payload, and the header of the next
  // one.
  std::unique_ptr<char[]> buffer, raw;
  std::size_t buffer_capacity = 0, raw_capacity = 0;
  std::array<char, checkpoint_block_header_bytes> next_head;
  std::uint64_t next_head_at = 0; ///< where next_head stands in the file; 0: not read
  std::unique_ptr<ZSTD_DCtx, context_deleter> decompressor;

  [[nodiscard]] op_status damaged(std::uint64_t at, std::string_view cause) const {
    return {op_code::corruption, fmt::format("{}: offset {}: {}", path, at, cause)};
  }

  op_status read(std::uint64_t at, std::span<char> to) {
    auto count = in->read_at(at, to);
    if (!count.ok()) return count.status();
    if (*count != to.size()) return damaged(at + *count, "the file ends early");
    return {};
  }

  /// Reads and checks the block at `at`. The payload, decompressed, is valid until the next call.
  op_result<std::pair<checkpoint_block_header, std::string_view>> read_block(std::uint64_t at) {
    if (blocks_end - at < checkpoint_block_header_bytes)
      return damaged(at, "no room for a block before the footer");
    if (next_head_at != at)
      if (auto status = read(at, next_head); !status.ok()) return status;
    next_head_at = 0;
    const auto payload_max = blocks_end - at - checkpoint_block_header_bytes;
    auto header = decode_checkpoint_block_header({next_head.data(), next_head.size()}, payload_max);
    if (!header.ok()) return damaged(at, header.status().message());

    const std::size_t stored = header->stored_bytes;
    const auto ahead = std::min<std::uint64_t>(next_head.size(), payload_max - stored);
    if (buffer_capacity < stored + ahead) {
      buffer_capacity =
          std::max(stored + next_head.size(), checkpoint_block_bytes + 2 * next_head.size());
      buffer = std::make_unique_for_overwrite<char[]>(buffer_capacity);
    }
    if (auto status = read(at + next_head.size(), {buffer.get(), stored + ahead}); !status.ok())
      return status;
    std::string_view payload{buffer.get(), stored};
    const auto crc = crc32c(payload, checkpoint_block_crc(next_head.data(), header_crc));
    if (crc != header->crc)
      return damaged(at, fmt::format("block checksum {:08x}, computed {:08x}", header->crc, crc));
    if (ahead == next_head.size()) {
      std::copy_n(buffer.get() + stored, ahead, next_head.data());
      next_head_at = at + next_head.size() + stored;
    }
    if (header->codec == checkpoint_codec::none) return std::pair{*header, payload};

    if (raw_capacity < header->raw_bytes) {
      raw_capacity = std::max<std::size_t>(header->raw_bytes, checkpoint_block_bytes);
      raw = std::make_unique_for_overwrite<char[]>(raw_capacity);
    }
    if (!decompressor) decompressor.reset(ZSTD_createDCtx());
    if (!decompressor) throw std::bad_alloc{};
    const auto size = ZSTD_decompressDCtx(decompressor.get(), raw.get(), header->raw_bytes,
                                          payload.data(), payload.size());
    if (ZSTD_isError(size) || size != header->raw_bytes)
      return damaged(at, fmt::format("does not decompress to {} bytes", header->raw_bytes));
    return std::pair{*header, std::string_view{raw.get(), size}};
  }
};

checkpoint_reader::checkpoint_reader(std::unique_ptr<state> s) : state_(std::move(s)) {}
checkpoint_reader::checkpoint_reader(checkpoint_reader&&) noexcept = default;
checkpoint_reader& checkpoint_reader::operator=(checkpoint_reader&&) noexcept = default;
checkpoint_reader::~checkpoint_reader() = default;

op_result<checkpoint_reader> checkpoint_reader::open(file_system& files, std::string path) {
  auto s = std::make_unique<state>();
  s->path = std::move(path);
  auto in = files.open(s->path, open_mode::read);
  if (!in.ok()) return in.status();
  s->in = std::move(*in);
  auto size = s->in->size();
  if (!size.ok()) return size.status();
  s->file_bytes = *size;
  if (*size < checkpoint_header_bytes + checkpoint_trailer_bytes)
    return s->damaged(*size, "too short for a checkpoint");

  std::string head(checkpoint_header_bytes, '\0');
  if (auto status = s->read(0, head); !status.ok()) return status;
  auto header = decode_checkpoint_header(head);
  if (!header.ok())
    return op_status{header.code(), fmt::format("{}: {}", s->path, header.status().message())};
  s->header = *header;
  s->header_crc = checkpoint_header_crc(head);

  std::string tail(checkpoint_trailer_bytes, '\0');
  const auto trailer_at = *size - tail.size();
  if (auto status = s->read(trailer_at, tail); !status.ok()) return status;
  auto tail_bytes = checkpoint_footer_bytes(tail);
  if (!tail_bytes.ok()) return s->damaged(trailer_at, tail_bytes.status().message());
  if (*tail_bytes > *size - checkpoint_header_bytes)
    return s->damaged(trailer_at, fmt::format("footer of {} bytes", *tail_bytes));
  s->checksum = checkpoint_checksum(tail);
  s->blocks_end = *size - *tail_bytes;
  tail.resize(*tail_bytes);
  if (auto status = s->read(s->blocks_end, tail); !status.ok()) return status;
  auto footer = decode_checkpoint_footer(tail, head);
  if (!footer.ok()) return s->damaged(s->blocks_end, footer.status().message());
  s->footer = std::move(*footer);
  return checkpoint_reader{std::move(s)};
}

const checkpoint_header& checkpoint_reader::header() const noexcept {
  return state_->header;
}
const checkpoint_end& checkpoint_reader::end() const noexcept {
  return state_->footer.end;
}
std::uint64_t checkpoint_reader::record_count() const noexcept {
  return state_->footer.records;
}
std::uint64_t checkpoint_reader::file_bytes() const noexcept {
  return state_->file_bytes;
}
std::uint32_t checkpoint_reader::checksum() const noexcept {
  return state_->checksum;
}
std::uint64_t checkpoint_reader::position() const noexcept {
  return state_->offset;
}

std::vector<std::string> checkpoint_reader::section_names() const {
  std::vector<std::string> names;
  for (const auto& section : state_->footer.sections) names.push_back(section.name);
  return names;
}

op_result<std::string> checkpoint_reader::section(std::string_view name) {
  auto& s = *state_;
  const auto known = std::ranges::find(s.footer.sections, name, &checkpoint_section::name);
  if (known == s.footer.sections.end())
    return op_status{op_code::not_found, fmt::format("{}: no section '{}'", s.path, name)};
  if (known->offset < checkpoint_header_bytes || known->offset > s.blocks_end)
    return s.damaged(known->offset, "section outside the file");
  auto block = s.read_block(known->offset);
  if (!block.ok()) return block.status();
  const auto& [header, payload] = *block;
  if (header.kind != checkpoint_block_kind::section || payload.substr(0, header.count) != name ||
      payload.size() - name.size() != known->bytes)
    return s.damaged(known->offset, fmt::format("is not section '{}'", name));
  return std::string{payload.substr(name.size())};
}

void checkpoint_reader::rewind() noexcept {
  auto& s = *state_;
  s.offset = checkpoint_header_bytes;
  s.blocks = s.blocks_crc = 0;
  s.records = 0;
  s.sections_begun = false;
}

op_result<checkpoint_block_cursor*> checkpoint_reader::next_block() {
  auto& s = *state_;
  while (s.offset < s.blocks_end) {
    auto block = s.read_block(s.offset);
    if (!block.ok()) return block.status();
    const auto& [header, payload] = *block;
    const bool is_data = header.kind == checkpoint_block_kind::data;
    if (header.index != s.blocks || (is_data && s.sections_begun))
      return s.damaged(s.offset,
                       fmt::format("block {} in the place of block {}", header.index, s.blocks));
    ++s.blocks;
    char crc[4];
    std::memcpy(crc, &header.crc, sizeof crc);
    s.blocks_crc = crc32c({crc, sizeof crc}, s.blocks_crc);
    s.block_offset = s.offset;
    s.offset += checkpoint_block_header_bytes + header.stored_bytes;
    if (is_data) {
      s.records += header.count;
      s.cursor = {payload, header.count};
      return &s.cursor;
    }
    s.sections_begun = true;
  }
  if (s.blocks != s.footer.blocks || s.blocks_crc != s.footer.blocks_crc ||
      s.records != s.footer.records)
    return s.damaged(s.blocks_end,
                     fmt::format("{} blocks with {} records, the footer names {} with {}", s.blocks,
                                 s.records, s.footer.blocks, s.footer.records));
  return nullptr;
}

op_status checkpoint_reader::damaged_block(const checkpoint_block_cursor& cursor) const {
  return state_->damaged(state_->block_offset,
                         fmt::format("record at {} of the block does not fit", cursor.offset()));
}

op_status checkpoint_reader::verify() {
  if (auto status = read_records([](const checkpoint_record&) {}); !status.ok()) return status;
  for (const auto& known : state_->footer.sections)
    if (auto bytes = section(known.name); !bytes) return bytes.status();
  return {};
}

} // namespace warp::storage
