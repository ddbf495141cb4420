#include "storage/checkpoint_writer.hpp"

#include "storage/byte_order.hpp"
#include "storage/crc32c.hpp"
#include "storage/direct_io.hpp"
#include "storage/hash_view.hpp"
#include "storage/no_memory.hpp"
#include "storage/path.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

namespace warp::storage {

namespace {

constexpr int zstd_level = 1;
constexpr std::size_t direct_write_bytes = 1u << 20;

struct context_deleter {
  void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
};

/// Memory that only grows and never zeroes.
struct byte_buffer {
  std::unique_ptr<char[]> bytes;
  std::size_t capacity = 0;

  char* at_least(std::size_t size) {
    if (size > capacity) {
      bytes = std::make_unique_for_overwrite<char[]>(size);
      capacity = size;
    }
    return bytes.get();
  }
};

/// A block that is being filled: packed records, with the large values left out of `packed` and
/// named by where they belong.
struct building_block {
  byte_buffer packed;
  std::size_t packed_bytes = 0;
  std::size_t raw_bytes = 0; ///< with the large values
  std::uint32_t records = 0;
  std::vector<std::pair<std::size_t, blob_ref>> large; ///< stands at this offset of `packed`
};

} // namespace

struct checkpoint_writer::state {
  file_system& files;
  const std::string path;
  const checkpoint_writer_options options;

  std::string header;
  std::uint32_t header_crc = 0;
  std::unique_ptr<file> out;
  direct_output output{direct_write_bytes}; ///< before `out`, where it is direct
  std::uint64_t offset = 0;
  std::uint64_t unsynced_bytes = 0;
  op_status failure; ///< the first one; nothing works after it
  bool finished = false, renamed = false;

  building_block current;
  std::vector<building_block> full, spare;
  checkpoint_footer footer;
  checkpoint_totals totals;

  std::uint64_t unpaid_bytes = 0;
  std::chrono::steady_clock::time_point paid_until{};

  std::unique_ptr<ZSTD_CCtx, context_deleter> compressor;
  byte_buffer gathered, compressed;
  std::vector<std::string_view> pieces;
  std::vector<std::unique_ptr<char[]>> hashes; ///< packed ones of the block that is being written

  state(file_system& f, std::string p, const checkpoint_writer_options& o)
      : files(f), path(std::move(p)), options(o) {}

  [[nodiscard]] std::string temporary_path() const { return path + std::string{temporary_suffix}; }

  op_status fail(op_status status) {
    failure = status;
    return status;
  }

  op_status put(std::span<const std::string_view> bytes) {
    if (!options.direct) return out->write_at(offset, bytes);
    for (const auto piece : bytes)
      if (auto status = output.add(*out, piece); !status.ok()) return status;
    return {};
  }

  /// What a direct file ends with: whole blocks, and then no more than belongs to it.
  op_status put_rest() {
    if (!options.direct) return {};
    if (auto status = output.flush(*out, false); !status.ok()) return status;
    return out->truncate(offset);
  }

  op_status write(std::span<const std::string_view> bytes) {
    std::uint64_t size = 0;
    for (const auto piece : bytes) size += piece.size();
    if (auto status = put(bytes); !status.ok()) return fail(std::move(status));
    offset += size;
    totals.bytes = offset;
    unpaid_bytes += size;
    unsynced_bytes += size;
    if (options.direct || options.sync_bytes == 0 || unsynced_bytes < options.sync_bytes) return {};
    unsynced_bytes = 0;
    if (auto status = out->sync(); !status.ok()) return fail(std::move(status));
    return {};
  }

  /// Writes a block whose payload stands in pieces[1 ...].
  op_status write_block(checkpoint_block_header& block) {
    std::array<char, checkpoint_block_header_bytes> head;
    block.index = footer.blocks++;
    encode(block, head.data());
    block.crc = checkpoint_block_crc(head.data(), header_crc);
    for (std::size_t i = 1; i < pieces.size(); ++i) block.crc = crc32c(pieces[i], block.crc);
    store_le<std::uint32_t>(head.data(), block.crc);
    footer.blocks_crc = crc32c({head.data(), 4}, footer.blocks_crc);
    pieces[0] = {head.data(), head.size()};
    return write(pieces);
  }

  op_status write_data(const building_block& from) {
    hashes.clear();
    pieces.assign(1, {});
    std::size_t at = 0;
    for (const auto& [before, value] : from.large) {
      pieces.push_back({from.packed.bytes.get() + at, before - at});
      pieces.push_back(value.get()->hash() ? pack(*value.get()) : value.view());
      at = before;
    }
    pieces.push_back({from.packed.bytes.get() + at, from.packed_bytes - at});
    checkpoint_block_header block;
    block.raw_bytes = block.stored_bytes = static_cast<std::uint32_t>(from.raw_bytes);
    block.count = from.records;
    if (options.compress) compress(block);
    auto status = write_block(block);
    hashes.clear();
    return status;
  }

  /// The bytes of an indexed hash, until the block is written.
  std::string_view pack(const blob& indexed) {
    const hash_view fields{{}, &indexed};
    auto& to = hashes.emplace_back(std::make_unique_for_overwrite<char[]>(fields.bytes()));
    fields.pack(to.get());
    return {to.get(), fields.bytes()};
  }

  void compress(checkpoint_block_header& block) {
    std::string_view raw = pieces[1];
    if (pieces.size() > 2) {
      char* to = gathered.at_least(block.raw_bytes);
      for (std::size_t i = 1; i < pieces.size(); ++i) {
        std::memcpy(to, pieces[i].data(), pieces[i].size());
        to += pieces[i].size();
      }
      raw = {gathered.bytes.get(), block.raw_bytes};
    }
    if (!compressor) compressor.reset(ZSTD_createCCtx());
    if (!compressor) throw std::bad_alloc{};
    // Room for what is worth it, no more: compression that saves less fails early.
    const auto room = raw.size() - raw.size() / 8;
    char* to = compressed.at_least(room);
    const auto size =
        ZSTD_compressCCtx(compressor.get(), to, room, raw.data(), raw.size(), zstd_level);
    if (ZSTD_isError(size)) return;
    block.codec = checkpoint_codec::zstd;
    block.stored_bytes = static_cast<std::uint32_t>(size);
    pieces.resize(1);
    pieces.push_back({to, size});
  }

  void close_current() {
    if (current.records == 0) return;
    full.push_back(std::move(current));
    if (spare.empty()) {
      current = {};
    } else {
      current = std::move(spare.back());
      spare.pop_back();
    }
  }

  /// Makes room in the current block for a record of which `inline_bytes` are copied; returns
  /// where.
  char* make_room(std::size_t record_bytes, std::size_t inline_bytes) {
    if (current.raw_bytes + record_bytes > checkpoint_block_bytes) close_current();
    if (current.packed.capacity < current.packed_bytes + inline_bytes)
      current.packed.at_least(std::max(checkpoint_block_bytes, inline_bytes)); // empty: see above
    return current.packed.bytes.get() + current.packed_bytes;
  }

  void added(std::size_t record_bytes, std::size_t inline_bytes) {
    current.packed_bytes += inline_bytes;
    current.raw_bytes += record_bytes;
    ++current.records;
    ++totals.records;
    if (current.raw_bytes >= checkpoint_block_bytes) close_current();
  }

  op_status write_full() {
    for (auto& block : full) {
      if (auto status = write_data(block); !status.ok()) return status;
      block.large.clear();
      block.packed_bytes = block.raw_bytes = 0;
      block.records = 0;
      if (block.packed.capacity <= checkpoint_block_bytes && spare.size() < 4)
        spare.push_back(std::move(block));
    }
    full.clear();
    return {};
  }
};

checkpoint_writer::checkpoint_writer(std::unique_ptr<state> s) : state_(std::move(s)) {}

op_result<std::unique_ptr<checkpoint_writer>>
checkpoint_writer::create(file_system& files, std::string path, const checkpoint_header& header,
                          const checkpoint_writer_options& options) {
  auto s = std::make_unique<state>(files, std::move(path), options);
  const auto temporary = s->temporary_path();
  if (auto status = files.remove(temporary); !status.ok() && status.code() != op_code::not_found)
    return status;
  auto out = files.open(temporary, options.direct ? open_mode::create_direct : open_mode::create);
  if (!out.ok()) return out.status();
  if (options.direct) s->output.start({});
  s->out = std::move(*out);
  s->header = encode(header);
  s->header_crc = checkpoint_header_crc(s->header);
  std::unique_ptr<checkpoint_writer> writer{new checkpoint_writer(std::move(s))};
  const std::string_view piece = writer->state_->header;
  if (auto status = writer->state_->write({&piece, 1}); !status.ok()) return status;
  return writer;
}

checkpoint_writer::~checkpoint_writer() {
  if (!state_ || state_->finished) return;
  state_->out.reset();
  // Nothing more can be done about a failure here: the next start removes what is left.
  static_cast<void>(unless_no_memory("checkpoint", [this] {
    return state_->files.remove(state_->renamed ? state_->path : state_->temporary_path());
  }));
}

void checkpoint_writer::add(std::string_view key, std::string_view value, const record_meta& meta) {
  assert(key.size() >= key_size_min && key.size() <= key_size_max);
  assert(value.size() <= value_size_hard_max);
  const auto bytes = packed_record_bytes(key.size(), value.size(), meta);
  char* to = pack_record_head(state_->make_room(bytes, bytes), key, value.size(), meta);
  if (!value.empty()) std::memcpy(to, value.data(), value.size());
  state_->added(bytes, bytes);
}

void checkpoint_writer::add(std::string_view key, blob_ref value, const record_meta& meta) {
  const auto size = value.get()->size();
  assert(key.size() >= key_size_min && key.size() <= key_size_max);
  assert(size <= value_size_hard_max);
  const auto bytes = packed_record_bytes(key.size(), size, meta);
  char* to = state_->make_room(bytes, bytes - size);
  auto& block = state_->current;
  block.large.emplace_back(block.packed_bytes + bytes - size, std::move(value));
  pack_record_head(to, key, size, meta);
  state_->added(bytes, bytes - size);
}

bool checkpoint_writer::has_full_blocks() const noexcept {
  return !state_->full.empty();
}

op_status checkpoint_writer::write_full_blocks() {
  if (!state_->failure.ok()) return state_->failure;
  return state_->write_full();
}

std::chrono::nanoseconds checkpoint_writer::pause(std::chrono::steady_clock::time_point now,
                                                  bool hurry) noexcept {
  auto& s = *state_;
  const auto bytes = std::exchange(s.unpaid_bytes, 0);
  if (hurry) s.paid_until = now;
  if (hurry || s.options.rate_bytes == 0) return {};
  const auto seconds = static_cast<double>(bytes) / static_cast<double>(s.options.rate_bytes);
  s.paid_until = std::max(s.paid_until, now) +
                 std::chrono::nanoseconds{static_cast<std::int64_t>(seconds * 1e9)};
  return s.paid_until - now;
}

op_status checkpoint_writer::add_section(std::string_view name, std::string_view bytes) {
  auto& s = *state_;
  if (!s.failure.ok()) return s.failure;
  const auto known = std::ranges::find(s.footer.sections, name, &checkpoint_section::name);
  if (name.empty() || name.size() > checkpoint_section_name_max ||
      known != s.footer.sections.end() || s.footer.sections.size() == checkpoint_sections_max ||
      bytes.size() > value_size_hard_max)
    return {op_code::invalid_argument,
            fmt::format("{}: section '{}' of {} bytes: a name has 1 to {} bytes and comes once, a "
                        "section has at most {} bytes",
                        s.path, name, bytes.size(), checkpoint_section_name_max,
                        value_size_hard_max)};
  s.close_current();
  if (auto status = s.write_full(); !status.ok()) return status;
  s.footer.sections.push_back({std::string{name}, s.offset, bytes.size()});
  checkpoint_block_header block;
  block.kind = checkpoint_block_kind::section;
  block.raw_bytes = block.stored_bytes = static_cast<std::uint32_t>(name.size() + bytes.size());
  block.count = static_cast<std::uint32_t>(name.size());
  s.pieces.assign({std::string_view{}, name, bytes});
  return s.write_block(block);
}

op_result<checkpoint_totals> checkpoint_writer::finish(const checkpoint_end& end) {
  auto& s = *state_;
  if (!s.failure.ok()) return s.failure;
  s.close_current();
  if (auto status = s.write_full(); !status.ok()) return status;
  s.footer.end = end;
  s.footer.records = s.totals.records;
  const auto bytes = encode(s.footer, s.header);
  const std::string_view piece = bytes;
  if (auto status = s.write({&piece, 1}); !status.ok()) return status;
  if (auto status = s.put_rest(); !status.ok()) return s.fail(std::move(status));
  if (auto status = s.out->sync(); !status.ok()) return s.fail(std::move(status));
  s.out.reset();
  if (auto status = s.files.rename(s.temporary_path(), s.path); !status.ok())
    return s.fail(std::move(status));
  s.renamed = true;
  if (auto status = s.files.sync_folder(folder_of(s.path)); !status.ok())
    return s.fail(std::move(status));
  s.finished = true;
  return s.totals;
}

const checkpoint_totals& checkpoint_writer::totals() const noexcept {
  return state_->totals;
}

} // namespace warp::storage
