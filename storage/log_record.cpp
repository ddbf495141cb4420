#include "storage/log_record.hpp"

#include "messages/packed_fields.hpp"
#include "storage/byte_order.hpp"

#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <new>
#include <zstd.h>
#include <zstd_errors.h>

namespace warp::storage {

namespace {

// First byte of a record: operation in the low three bits, then what optional fields follow.
constexpr std::uint8_t op_mask = 0x07, has_expiry = 0x08, has_request = 0x10, has_skip = 0x20,
                       is_compressed = 0x40, has_number = 0x80;
// Of nothing, which has no value to compress: it is a together record.
constexpr std::uint8_t marks_together = is_compressed;
// Second byte: type 3 bits, priority 3 bits, access pattern 2 bits.
constexpr unsigned priority_shift = 3, pattern_shift = 6;
constexpr std::size_t skip_bytes = 6, expiry_bytes = 8, request_bytes = 24, number_bytes = 8;
static_assert(record_head_bytes_max ==
              record_head_bytes + skip_bytes + expiry_bytes + request_bytes + number_bytes);
static_assert(key_size_max - 1 <= 0xffff && value_size_hard_max <= 0xffff'ffff);

bool has_value(log_op op) noexcept {
  return op == log_op::put || op == log_op::fields_set || op == log_op::fields_erased ||
         op == log_op::together;
}

bool has_key(log_op op) noexcept {
  return op != log_op::clear && op != log_op::nothing && op != log_op::together;
}

/// At least two, and nothing else.
bool are_changes(std::string_view bodies, lsn_t lsn) noexcept {
  std::size_t count = 0;
  for (log_record change; !bodies.empty(); ++count)
    if (!decode_change(bodies, lsn, change)) return false;
  return count >= 2;
}

/// Is the value what it should be?
bool is_well_formed(const log_record& record) noexcept {
  if (record.op == log_op::fields_erased) return are_packed_names(record.payload());
  if (record.op == log_op::fields_set ||
      (record.op == log_op::put && record.meta.type == value_type::hash))
    return are_packed_pairs(record.payload());
  return true;
}

} // namespace

std::size_t encode_record_head(const log_record& record, lsn_t expected, char* to) noexcept {
  const char* begin = to;
  auto first =
      record.op == log_op::together ? marks_together : static_cast<std::uint8_t>(record.op);
  const bool with_meta = record.op == log_op::put || record.op == log_op::meta;
  const bool expiry = with_meta && record.meta.expires_at_ms != 0;
  if (expiry) first |= has_expiry;
  if (record.request) first |= has_request;
  const bool number = record.request && record.number;
  if (number) first |= has_number;
  if (record.lsn != expected) first |= has_skip;
  if (record.compressed) first |= is_compressed;
  const auto attributes = with_meta
                              ? static_cast<unsigned>(record.meta.type) |
                                    static_cast<unsigned>(record.meta.rank) << priority_shift |
                                    static_cast<unsigned>(record.meta.pattern) << pattern_shift
                              : 0u;
  to = store_le<std::uint8_t>(to, first);
  to = store_le<std::uint8_t>(to, static_cast<std::uint8_t>(attributes));
  to = store_le<std::uint16_t>(
      to, static_cast<std::uint16_t>(has_key(record.op) ? record.key.size() - 1 : 0));
  to = store_le<std::uint32_t>(
      to, static_cast<std::uint32_t>(has_value(record.op) ? record.payload().size() : 0));
  if ((first & has_skip) != 0) {
    const lsn_t skipped = record.lsn - expected; // below 2^48
    std::memcpy(to, &skipped, skip_bytes);
    to += skip_bytes;
  }
  if (expiry) to = store_le<std::uint64_t>(to, record.meta.expires_at_ms);
  if (record.request) {
    to = store_le<std::uint64_t>(to, record.request.client);
    to = store_le<std::uint64_t>(to, record.request.number);
    to = store_le<std::uint64_t>(to, record.request.oldest_unanswered);
  }
  if (number) to = store_le<std::uint64_t>(to, static_cast<std::uint64_t>(*record.number));
  return static_cast<std::size_t>(to - begin);
}

void encode_plain_put_head(const record_meta& meta, std::size_t key_bytes, std::size_t value_bytes,
                           char* to) noexcept {
  const auto attributes = static_cast<unsigned>(meta.type) |
                          static_cast<unsigned>(meta.rank) << priority_shift |
                          static_cast<unsigned>(meta.pattern) << pattern_shift;
  to = store_le<std::uint8_t>(to, static_cast<std::uint8_t>(log_op::put));
  to = store_le<std::uint8_t>(to, static_cast<std::uint8_t>(attributes));
  to = store_le<std::uint16_t>(to, static_cast<std::uint16_t>(key_bytes - 1));
  store_le<std::uint32_t>(to, static_cast<std::uint32_t>(value_bytes));
}

void encode_parts(std::span<const transaction_part> parts, char* to) noexcept {
  to = store_le<std::uint8_t>(to, static_cast<std::uint8_t>(log_op::parts));
  to = store_le<std::uint8_t>(to, 0);
  to = store_le<std::uint16_t>(to, 0);
  to = store_le<std::uint32_t>(to, static_cast<std::uint32_t>(parts.size() * part_bytes));
  for (const auto& part : parts) {
    to = store_le<std::uint32_t>(to, part.shard.value);
    to = store_le<std::uint64_t>(to, part.first);
    to = store_le<std::uint64_t>(to, part.last);
  }
}

bool is_plain_put(std::string_view bytes) noexcept {
  if (bytes.size() < record_head_bytes) return false;
  const char* const at = bytes.data();
  const auto attributes = load_le<std::uint8_t>(at + 1);
  return load_le<std::uint8_t>(at) == static_cast<std::uint8_t>(log_op::put) &&
         (attributes & 0x07u) < static_cast<unsigned>(value_type::hash) &&
         (attributes >> priority_shift & 0x07u) <= static_cast<unsigned>(priority::background) &&
         bytes.size() == record_head_bytes + load_le<std::uint16_t>(at + 2) + std::size_t{1} +
                             load_le<std::uint32_t>(at + 4);
}

bool decode_record(std::string_view& bytes, lsn_t& lsn, log_record& record) noexcept {
  if (bytes.size() < record_head_bytes) return false;
  const char* at = bytes.data();
  auto first = load_le<std::uint8_t>(at);
  const auto attributes = load_le<std::uint8_t>(at + 1);
  auto op = static_cast<log_op>(first & op_mask);
  if (op == log_op::nothing && (first & marks_together) != 0) {
    op = log_op::together;
    first &= static_cast<std::uint8_t>(~marks_together);
  }
  const std::size_t key_size = has_key(op) ? std::size_t{load_le<std::uint16_t>(at + 2)} + 1 : 0;
  const std::size_t value_size = load_le<std::uint32_t>(at + 4);
  if (!has_key(op) && ((first & ~(op_mask | has_skip)) != 0 || load_le<std::uint16_t>(at + 2) != 0))
    return false;
  bytes.remove_prefix(record_head_bytes);

  const auto type = attributes & 0x07u, rank = attributes >> priority_shift & 0x07u;
  if (first == static_cast<std::uint8_t>(log_op::put) &&
      type != static_cast<unsigned>(value_type::hash)) [[likely]] { // as most are
    if (bytes.size() < key_size + value_size || lsn >= lsn_max ||
        type > static_cast<unsigned>(value_type::hash) ||
        rank > static_cast<unsigned>(priority::background))
      return false;
    record.op = op;
    record.lsn = ++lsn;
    record.meta = {.version = lsn,
                   .type = static_cast<value_type>(type),
                   .rank = static_cast<priority>(rank),
                   .pattern = static_cast<access_pattern>(attributes >> pattern_shift)};
    record.request = {};
    record.number.reset();
    record.key = bytes.substr(0, key_size);
    record.value = bytes.substr(key_size, value_size);
    if (record.large) record.large = {};
    record.compressed = record.joint = false;
    bytes.remove_prefix(key_size + value_size);
    return true;
  }
  record = {};
  record.op = op;
  if (op == log_op::parts) { // no key, no LSN of its own
    if (first != static_cast<std::uint8_t>(op) || attributes != 0 || key_size != 1 ||
        value_size > bytes.size())
      return false;
    record.lsn = lsn;
    record.value = bytes.substr(0, value_size);
    bytes.remove_prefix(value_size);
    return true;
  }

  std::size_t optional = 0;
  if ((first & has_skip) != 0) optional += skip_bytes;
  if ((first & has_expiry) != 0) optional += expiry_bytes;
  if ((first & has_request) != 0) optional += request_bytes;
  if ((first & has_number) != 0) optional += number_bytes;
  if (bytes.size() < optional || bytes.size() - optional < key_size + value_size) return false;
  at = bytes.data();
  lsn_t skipped = 0;
  if ((first & has_skip) != 0) {
    std::memcpy(&skipped, at, skip_bytes);
    at += skip_bytes;
  }
  if (lsn >= lsn_max || skipped > lsn_max - lsn - 1) return false;
  record.lsn = lsn + 1 + skipped;
  record.meta.version = record.lsn;
  if ((first & has_expiry) != 0) {
    record.meta.expires_at_ms = load_le<std::uint64_t>(at);
    at += expiry_bytes;
  }
  if ((first & has_request) != 0) {
    record.request = {load_le<std::uint64_t>(at), load_le<std::uint64_t>(at + 8),
                      load_le<std::uint64_t>(at + 16)};
    if (!record.request) return false;
    at += request_bytes;
  }
  if ((first & has_number) != 0) {
    if (!record.request || op == log_op::meta) return false;
    record.number = static_cast<std::int64_t>(load_le<std::uint64_t>(at));
  }
  if (type > static_cast<unsigned>(value_type::hash) ||
      rank > static_cast<unsigned>(priority::background))
    return false;
  record.meta.type = static_cast<value_type>(type);
  record.meta.rank = static_cast<priority>(rank);
  record.meta.pattern = static_cast<access_pattern>(attributes >> pattern_shift);
  record.compressed = (first & is_compressed) != 0;
  if (!has_value(op) && value_size != 0) return false;
  if (op != log_op::put && record.compressed) return false;
  if (op != log_op::put && op != log_op::meta && (attributes != 0 || (first & has_expiry) != 0))
    return false;
  bytes.remove_prefix(optional);
  record.key = bytes.substr(0, key_size);
  record.value = bytes.substr(key_size, value_size);
  bytes.remove_prefix(key_size + value_size);
  lsn = record.lsn;
  if (op == log_op::together) return are_changes(record.value, lsn);
  return record.compressed || is_well_formed(record);
}

bool decode_change(std::string_view& bodies, lsn_t lsn, log_record& change) noexcept {
  // Looked at before it is decoded: one within another one would be as deep as somebody likes.
  if (bodies.empty()) return false;
  const auto op = static_cast<log_op>(static_cast<std::uint8_t>(bodies.front()) & op_mask);
  if (op == log_op::nothing || op == log_op::parts) return false;
  auto at = lsn - 1;
  if (!decode_record(bodies, at, change) || at != lsn) return false;
  change.joint = true;
  return true;
}

std::vector<transaction_part> decode_parts(const log_record& record) {
  const auto list = record.value;
  if (record.op != log_op::parts || list.size() % part_bytes != 0 || list.size() < 2 * part_bytes)
    return {};
  std::vector<transaction_part> parts(list.size() / part_bytes);
  const char* at = list.data();
  for (auto& part : parts) {
    part = {shard_id{load_le<std::uint32_t>(at)}, load_le<std::uint64_t>(at + 4),
            load_le<std::uint64_t>(at + 12)};
    if (part.first == 0 || part.first > part.last || part.last > lsn_max) return {};
    at += part_bytes;
  }
  return parts;
}

blob_ref compress_value(std::string_view value) {
  struct free_context {
    void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
  };
  thread_local std::unique_ptr<ZSTD_CCtx, free_context> context;
  thread_local std::vector<char> buffer;
  if (!context) context.reset(ZSTD_createCCtx());
  if (!context || value.empty()) return {};
  // Room for a result that saves a tenth; the compressor gives up when it needs more.
  const auto limit = value.size() - value.size() / 10;
  if (buffer.size() < limit) buffer.resize(limit);
  const auto size =
      ZSTD_compressCCtx(context.get(), buffer.data(), limit, value.data(), value.size(), 1);
  blob_ref compressed;
  if (ZSTD_isError(size) == 0) compressed = blob_ref::copy_of({buffer.data(), size});
  constexpr std::size_t kept_max =
      1u << 20; // a thread that has met one huge value need not keep its memory
  if (buffer.size() > kept_max) std::vector<char>{}.swap(buffer);
  return compressed;
}

op_status expand(log_record& record, std::size_t value_bytes_max) {
  if (!record.compressed) return {};
  const auto packed = record.payload();
  const auto size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR)
    return {op_code::corruption,
            "a compressed value is damaged: it does not begin with a zstd header"};
  if (size > value_bytes_max)
    return {op_code::corruption,
            fmt::format("a compressed value says it is {} bytes long; at most {} are allowed", size,
                        value_bytes_max)};
  auto value = blob_ref::of_size(size);
  const auto got = ZSTD_decompress(value.fill(), size, packed.data(), packed.size());
  if (ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation) throw std::bad_alloc{};
  if (ZSTD_isError(got) != 0 || got != size)
    return {op_code::corruption,
            fmt::format("a compressed value is damaged: {}",
                        ZSTD_isError(got) != 0 ? ZSTD_getErrorName(got) : "it is too short")};
  record.large = std::move(value);
  record.value = {};
  record.compressed = false;
  if (!is_well_formed(record)) return {op_code::corruption, "a compressed hash is malformed"};
  return {};
}

} // namespace warp::storage
