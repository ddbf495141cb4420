#include "tests/fuzz/seals.hpp"

#include "storage/backup_format.hpp"
#include "storage/byte_order.hpp"
#include "storage/checkpoint_format.hpp"
#include "storage/crc32c.hpp"
#include "storage/wal_format.hpp"

#include <algorithm>
#include <string_view>

namespace warp::fuzzing {

using namespace storage;

namespace {

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  return load_le<std::uint32_t>(bytes.data() + at);
}
void set_number(std::string& bytes, std::size_t at, std::uint32_t value) {
  store_le<std::uint32_t>(bytes.data() + at, value);
}

} // namespace

void seal_segment(std::string& bytes, const segment_home& home) {
  if (bytes.size() < segment_header_bytes) return;
  const auto wide = [&](std::size_t at) { return load_le<std::uint64_t>(bytes.data() + at); };
  segment_header header;
  header.universe = home.universe;
  header.generation = home.generation;
  header.stream = number_at(bytes, 12) % home.streams;
  header.id = std::max<std::uint64_t>(wide(40), 1);
  header.start = (wide(48) + home.starts - 1) % home.starts + 1;
  header.sequence = std::max<std::uint64_t>(wide(56) % 1'000, 1);
  header.after_failure = (number_at(bytes, 64) & 1) != 0;
  header.file_bytes = wide(68) == 0 ? 0 : bytes.size();
  encode(header, bytes.data());
  std::uint64_t at = segment_header_bytes;
  while (at + frame_header_bytes <= bytes.size()) {
    char* const frame = bytes.data() + at;
    store_le<std::uint64_t>(frame, header.id);
    const auto length = load_le<std::uint32_t>(frame + 12);
    if (length < frame_header_bytes || length > bytes.size() - at) return;
    set_frame_crc(frame, crc32c({frame + frame_header_bytes, length - frame_header_bytes},
                                frame_crc_begin(frame, at)));
    at += padded(length);
  }
}

void seal_checkpoint(std::string& bytes) {
  constexpr std::size_t footer_fixed = 56;
  if (bytes.size() < checkpoint_header_bytes + footer_fixed + checkpoint_trailer_bytes) return;
  bytes.replace(0, checkpoint_magic.size(), checkpoint_magic);
  set_number(bytes, 8, checkpoint_format_version);
  const auto header_crc = checkpoint_header_crc({bytes.data(), checkpoint_header_bytes});
  set_number(bytes, 68, header_crc);

  const auto trailer = bytes.size() - checkpoint_trailer_bytes;
  std::size_t footer_bytes = number_at(bytes, trailer);
  if (footer_bytes < footer_fixed || footer_bytes > trailer - checkpoint_header_bytes) {
    footer_bytes = footer_fixed;
    set_number(bytes, trailer, footer_fixed);
  }
  const auto footer = trailer - footer_bytes;
  std::uint32_t blocks = 0, blocks_crc = 0;
  std::uint64_t records = 0;
  for (std::size_t at = checkpoint_header_bytes; at + checkpoint_block_header_bytes <= footer;) {
    char* const block = bytes.data() + at;
    const auto stored = load_le<std::uint32_t>(block + 4);
    if (stored > footer - at - checkpoint_block_header_bytes) break;
    store_le<std::uint32_t>(block + 16, blocks);
    store_le<std::uint32_t>(block, crc32c({block + checkpoint_block_header_bytes, stored},
                                          checkpoint_block_crc(block, header_crc)));
    if (block[20] == static_cast<char>(checkpoint_block_kind::data))
      records += load_le<std::uint32_t>(block + 12);
    blocks_crc = crc32c({block, 4}, blocks_crc);
    ++blocks;
    at += checkpoint_block_header_bytes + stored;
  }
  store_le<std::uint64_t>(bytes.data() + footer, records);
  set_number(bytes, footer + 8, blocks);
  set_number(bytes, footer + 12, blocks_crc);
  set_number(bytes, trailer + 4, crc32c({bytes.data() + footer, footer_bytes + 4}, header_crc));
  bytes.replace(trailer + 8, checkpoint_end_magic.size(), checkpoint_end_magic);
}

void seal_backup_object(std::string& bytes) {
  if (bytes.size() < backup_header_bytes + backup_trailer_bytes) return;
  bytes.replace(0, backup_magic.size(), backup_magic);
  set_number(bytes, 8, backup_format_version);
  const auto header_crc = backup_header_crc({bytes.data(), backup_header_bytes});
  set_number(bytes, backup_header_bytes - 4, header_crc);
  const auto trailer = bytes.size() - backup_trailer_bytes;
  const auto chunks = number_at(bytes, trailer + 8);
  if (chunks > (trailer - backup_header_bytes) / backup_index_entry_bytes) return;
  const auto index = trailer - chunks * backup_index_entry_bytes;
  std::size_t at = backup_header_bytes;
  for (std::uint32_t i = 0; i < chunks && at + backup_chunk_header_bytes <= index; ++i) {
    const auto entry = index + i * backup_index_entry_bytes;
    const auto room = index - at - backup_chunk_header_bytes;
    const auto stored =
        i + 1 == chunks ? room : std::min<std::size_t>(number_at(bytes, entry + 4), room);
    set_number(bytes, entry + 4, static_cast<std::uint32_t>(stored));
    set_number(bytes, at + 4, static_cast<std::uint32_t>(stored));
    set_number(bytes, at + 12, i);
    const auto crc =
        backup_chunk_crc({bytes.data() + at, backup_chunk_header_bytes},
                         {bytes.data() + at + backup_chunk_header_bytes, stored}, header_crc);
    set_number(bytes, at, crc);
    set_number(bytes, entry, crc);
    at += backup_chunk_header_bytes + stored;
  }
  backup_trailer end;
  end.raw_bytes = load_le<std::uint64_t>(bytes.data() + trailer);
  end.chunks = chunks;
  const auto sealed = encode(end, {bytes.data() + index, trailer - index}, header_crc);
  bytes.replace(trailer, sealed.size(), sealed);
}

} // namespace warp::fuzzing
