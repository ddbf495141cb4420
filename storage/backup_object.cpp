#include "storage/backup_object.hpp"

#include "storage/byte_order.hpp"
#include "storage/crc32c.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <new>
#include <vector>

namespace warp::storage {

namespace {

/// As fast as a disk, and half to a fifth of the bytes of text; higher levels cost a server the
/// processor time that its clients want.
constexpr int zstd_level = 1;

struct compressor_deleter {
  void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
};
struct decompressor_deleter {
  void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
};

} // namespace

// -- writing
// --------------------------------------------------------------------------------------------------------

struct backup_object_writer::state {
  std::string name;
  std::unique_ptr<backup_upload> out;
  std::unique_ptr<ZSTD_CCtx, compressor_deleter> compressor;
  std::uint32_t crc = 0; ///< of the header
  std::string raw;       ///< of the chunk that is being filled
  std::string chunk;     ///< as it is stored
  std::string index;
  backup_trailer totals;
  std::uint64_t stored = 0;

  op_status put(std::string_view bytes) {
    stored += bytes.size();
    return out->append(bytes);
  }

  op_status write_chunk() {
    if (raw.empty()) return {};
    backup_chunk_header header;
    header.raw_bytes = static_cast<std::uint32_t>(raw.size());
    header.index = totals.chunks;
    chunk.resize(backup_chunk_header_bytes + raw.size());
    auto* const payload = chunk.data() + backup_chunk_header_bytes;
    // No room for more than what is worth it.
    const auto room = raw.size() - raw.size() / 16;
    const auto size =
        ZSTD_compressCCtx(compressor.get(), payload, room, raw.data(), raw.size(), zstd_level);
    if (ZSTD_isError(size)) {
      std::copy(raw.begin(), raw.end(), payload);
      header.stored_bytes = header.raw_bytes;
    } else {
      header.codec = backup_codec::zstd;
      header.stored_bytes = static_cast<std::uint32_t>(size);
    }
    chunk.resize(backup_chunk_header_bytes + header.stored_bytes);
    encode(header, std::string_view{chunk}.substr(backup_chunk_header_bytes), crc, chunk.data());
    index.append(chunk.data(), 4); // its checksum
    char bytes[4];
    store_le<std::uint32_t>(bytes, header.stored_bytes);
    index.append(bytes, sizeof bytes);
    totals.raw_bytes += raw.size();
    ++totals.chunks;
    raw.clear();
    return put(chunk);
  }
};

backup_object_writer::backup_object_writer(std::unique_ptr<state> s) : state_(std::move(s)) {}
backup_object_writer::~backup_object_writer() = default;

op_result<std::unique_ptr<backup_object_writer>>
backup_object_writer::create(backup_store& store, std::string name, const backup_header& header) {
  auto s = std::make_unique<state>();
  s->name = std::move(name);
  auto out = store.put("objects/" + s->name);
  if (!out) return out.status();
  s->out = std::move(*out);
  s->compressor.reset(ZSTD_createCCtx());
  if (!s->compressor) throw std::bad_alloc{};
  s->raw.reserve(backup_chunk_bytes);
  const auto bytes = encode(header);
  s->crc = backup_header_crc(bytes);
  if (auto status = s->put(bytes); !status.ok()) return status;
  return std::unique_ptr<backup_object_writer>{new backup_object_writer{std::move(s)}};
}

op_status backup_object_writer::append(std::string_view bytes) {
  auto& s = *state_;
  while (!bytes.empty()) {
    const auto part = bytes.substr(0, backup_chunk_bytes - s.raw.size());
    s.raw.append(part);
    bytes.remove_prefix(part.size());
    if (s.raw.size() == backup_chunk_bytes)
      if (auto status = s.write_chunk(); !status.ok()) return status;
  }
  return {};
}

std::uint64_t backup_object_writer::raw_bytes() const noexcept {
  return state_->totals.raw_bytes + state_->raw.size();
}

op_result<backup_object> backup_object_writer::finish() {
  auto& s = *state_;
  if (auto status = s.write_chunk(); !status.ok()) return status;
  const auto trailer = encode(s.totals, s.index, s.crc);
  if (auto status = s.put(s.index); !status.ok()) return status;
  if (auto status = s.put(trailer); !status.ok()) return status;
  if (auto status = s.out->finish(); !status.ok()) return status;
  return backup_object{s.name, s.stored, s.totals.raw_bytes, decode_backup_trailer(trailer)->crc};
}

// -- reading
// --------------------------------------------------------------------------------------------------------

struct backup_object_reader::state {
  std::string path; ///< for messages
  std::unique_ptr<file> in;
  backup_header header;
  backup_object object;
  std::uint32_t crc = 0; ///< of the header
  struct place {
    std::uint64_t offset;
    std::uint32_t stored, crc;
  };
  std::vector<place> chunks;

  std::unique_ptr<ZSTD_DCtx, decompressor_deleter> decompressor;
  std::string stored;           ///< the chunk as it is stored
  std::string raw;              ///< and as it was
  std::size_t raw_index = ~0ul; ///< which one `raw` is

  [[nodiscard]] op_status damaged(std::uint64_t at, std::string_view cause) const {
    return {op_code::corruption, fmt::format("{}: offset {}: {}", path, at, cause)};
  }

  op_status read(std::uint64_t at, std::span<char> to) {
    auto count = in->read_at(at, to);
    if (!count) return count.status();
    if (*count != to.size()) return damaged(at + *count, "the object ends early");
    return {};
  }

  [[nodiscard]] std::uint64_t raw_bytes_of(std::size_t index) const noexcept {
    return std::min<std::uint64_t>(backup_chunk_bytes,
                                   object.raw_bytes - index * backup_chunk_bytes);
  }

  op_status open() {
    auto size = in->size();
    if (!size) return size.status();
    object.bytes = *size;
    if (*size < backup_header_bytes + backup_trailer_bytes)
      return damaged(*size, "too short for an object of a backup");
    std::string head(backup_header_bytes, '\0');
    if (auto status = read(0, head); !status.ok()) return status;
    auto decoded = decode_backup_header(head);
    if (!decoded) return {decoded.code(), fmt::format("{}: {}", path, decoded.status().message())};
    header = *decoded;
    crc = backup_header_crc(head);

    const auto trailer_at = *size - backup_trailer_bytes;
    std::string tail(backup_trailer_bytes, '\0');
    if (auto status = read(trailer_at, tail); !status.ok()) return status;
    const auto trailer = decode_backup_trailer(tail);
    if (!trailer) return damaged(trailer_at, trailer.status().message());
    const auto index_bytes = std::uint64_t{trailer->chunks} * backup_index_entry_bytes;
    if (index_bytes > trailer_at - backup_header_bytes)
      return damaged(trailer_at, fmt::format("{} chunks do not fit", trailer->chunks));
    std::string index(index_bytes, '\0');
    const auto index_at = trailer_at - index_bytes;
    if (auto status = read(index_at, index); !status.ok()) return status;
    if (encode(*trailer, index, crc) != tail)
      return damaged(trailer_at, fmt::format("wrong checksum {:08x} of the index", trailer->crc));
    object.raw_bytes = trailer->raw_bytes;
    object.checksum = trailer->crc;
    auto offset = std::uint64_t{backup_header_bytes};
    for (std::size_t i = 0; i < trailer->chunks; ++i) {
      const auto* entry = index.data() + i * backup_index_entry_bytes;
      chunks.push_back({offset, load_le<std::uint32_t>(entry + 4), load_le<std::uint32_t>(entry)});
      offset += backup_chunk_header_bytes + chunks.back().stored;
      if (offset > index_at || i * backup_chunk_bytes >= object.raw_bytes)
        return damaged(trailer_at, fmt::format("chunk {} does not fit", i));
    }
    if (offset != index_at || object.raw_bytes > chunks.size() * backup_chunk_bytes)
      return damaged(trailer_at, "the chunks do not add up");
    return {};
  }

  op_status load(std::size_t index) {
    if (raw_index == index) return {};
    raw_index = ~0ul;
    const auto& at = chunks[index];
    stored.resize(backup_chunk_header_bytes + at.stored);
    if (auto status = read(at.offset, stored); !status.ok()) return status;
    auto chunk = decode_backup_chunk_header(stored);
    if (!chunk) return damaged(at.offset, chunk.status().message());
    const auto payload = std::string_view{stored}.substr(backup_chunk_header_bytes);
    const auto computed = backup_chunk_crc(stored, payload, crc);
    if (chunk->crc != computed || chunk->crc != at.crc)
      return damaged(at.offset, fmt::format("chunk checksum {:08x}, computed {:08x}, the index has "
                                            "{:08x}",
                                            chunk->crc, computed, at.crc));
    if (chunk->index != index || chunk->stored_bytes != at.stored ||
        chunk->raw_bytes != raw_bytes_of(index))
      return damaged(at.offset,
                     fmt::format("chunk {} in the place of chunk {}", chunk->index, index));
    if (chunk->codec == backup_codec::none) {
      raw.assign(payload);
    } else {
      if (!decompressor) decompressor.reset(ZSTD_createDCtx());
      if (!decompressor) throw std::bad_alloc{};
      raw.resize(chunk->raw_bytes);
      const auto size = ZSTD_decompressDCtx(decompressor.get(), raw.data(), raw.size(),
                                            payload.data(), payload.size());
      if (ZSTD_isError(size) || size != raw.size())
        return damaged(at.offset, fmt::format("does not decompress to {} bytes", raw.size()));
    }
    raw_index = index;
    return {};
  }
};

backup_object_reader::backup_object_reader(std::unique_ptr<state> s) : state_(std::move(s)) {}
backup_object_reader::~backup_object_reader() = default;

op_result<std::unique_ptr<backup_object_reader>>
backup_object_reader::open(backup_store& store, const std::string& name) {
  auto s = std::make_unique<state>();
  s->object.name = name;
  s->path = store.describe() + "/objects/" + name;
  auto in = store.get("objects/" + name);
  if (!in) return in.status();
  s->in = std::move(*in);
  if (auto status = s->open(); !status.ok()) return status;
  return std::unique_ptr<backup_object_reader>{new backup_object_reader{std::move(s)}};
}

const backup_header& backup_object_reader::header() const noexcept {
  return state_->header;
}
const backup_object& backup_object_reader::object() const noexcept {
  return state_->object;
}

op_result<std::size_t> backup_object_reader::read_at(std::uint64_t offset, std::span<char> to) {
  auto& s = *state_;
  std::size_t done = 0;
  while (done < to.size() && offset < s.object.raw_bytes) {
    if (auto status = s.load(offset / backup_chunk_bytes); !status.ok()) return status;
    const auto part = std::string_view{s.raw}.substr(offset % backup_chunk_bytes, to.size() - done);
    std::copy(part.begin(), part.end(), to.begin() + static_cast<std::ptrdiff_t>(done));
    done += part.size();
    offset += part.size();
  }
  return done;
}

op_status backup_object_reader::verify() {
  for (std::size_t i = 0; i < state_->chunks.size(); ++i)
    if (auto status = state_->load(i); !status.ok()) return status;
  return {};
}

} // namespace warp::storage
