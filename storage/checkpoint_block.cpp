#include "storage/checkpoint_block.hpp"

#include "messages/packed_fields.hpp"
#include "storage/byte_order.hpp"

namespace warp::storage {

namespace {

constexpr unsigned has_expiry = 1u << 5, is_unlogged = 1u << 6;
constexpr unsigned known_bits = 0x7f;

} // namespace

bool checkpoint_block_cursor::next(checkpoint_record& record) noexcept {
  auto left = payload_.size() - offset_;
  if (records_left_ == 0 || left < checkpoint_record_header_bytes) return false;
  const char* from = payload_.data() + offset_;
  const std::size_t key_size = std::size_t{load_le<std::uint16_t>(from)} + 1;
  const auto type = load_le<std::uint8_t>(from + 2);
  const unsigned bits = load_le<std::uint8_t>(from + 3);
  const std::size_t value_size = load_le<std::uint32_t>(from + 4);
  const auto rank = static_cast<priority>(bits & 7);
  const std::size_t head = checkpoint_record_header_bytes + (bits & has_expiry ? 8 : 0);
  // Each is below 2^33: no overflow.
  if (left < head + key_size + value_size || bits & ~known_bits || rank > priority::background ||
      type > static_cast<unsigned>(value_type::hash))
    return false;
  const std::string_view value{from + head + key_size, value_size};
  if (type == static_cast<unsigned>(value_type::hash) && !are_packed_pairs(value)) return false;

  record.meta.version =
      load_le<std::uint32_t>(from + 8) | std::uint64_t{load_le<std::uint16_t>(from + 12)} << 32;
  record.meta.expires_at_ms = bits & has_expiry ? load_le<std::uint64_t>(from + 14) : 0;
  record.meta.type = static_cast<value_type>(type);
  record.meta.unlogged = (bits & is_unlogged) != 0;
  record.meta.rank = rank;
  record.meta.pattern = static_cast<access_pattern>(bits >> 3 & 3);
  record.key = {from + head, key_size};
  record.value = value;
  offset_ += head + key_size + value_size;
  --records_left_;
  return true;
}

} // namespace warp::storage
