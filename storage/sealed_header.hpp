#pragma once

#include "messages/status.hpp"
#include "storage/byte_order.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace warp::storage {

/// What stands at the front of a checkpoint or an object of a backup: 64 bits of magic, 32 of
/// format number, what is of its own, and in the last four bytes the CRC-32C of all before it.
struct sealed_header {
  std::string_view magic;   ///< 8 bytes
  std::uint32_t format = 1; ///< written; those before it are read too
  std::size_t bytes = 0;    ///< of the whole header
  std::string_view name;    ///< "a checkpoint"
};

/// Where a header's own fields begin.
inline constexpr std::size_t sealed_header_fields_at = 12;

/// A header of zeros but for magic and format; the fields are filled in, then comes seal().
[[nodiscard]] std::string begin_header(const sealed_header& kind);
void seal(const sealed_header& kind, std::string& header);
/// What seal() writes. `header`: at least kind.bytes.
[[nodiscard]] std::uint32_t sealed_header_crc(const sealed_header& kind,
                                              std::string_view header) noexcept;
/// Is there such a header, undamaged and of our format, at the front of `bytes`? corruption or
/// version_mismatch; the message has offset and cause, the caller names the file.
[[nodiscard]] op_status check_header(const sealed_header& kind, std::string_view bytes);

/// A format's own complaint.
[[nodiscard]] inline op_status corrupt(std::string message) {
  return {op_code::corruption, std::move(message)};
}
/// Copies bytes and returns the address behind them.
inline char* store_bytes(char* to, std::string_view bytes) noexcept {
  std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

} // namespace warp::storage
