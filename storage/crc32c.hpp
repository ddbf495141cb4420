#pragma once

#include <cstdint>
#include <string_view>

namespace warp::storage {

/// CRC-32C (Castagnoli) of `bytes`, continuing from `before`, the CRC of what stands in front of
/// them: crc32c(ab) == crc32c(b, crc32c(a)). Uses the processor's crc32 instruction where there is
/// one. Any thread.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0) noexcept;

/// The same by table lookups alone (slice by 8): what machines without the instruction use, and
/// what the tests compare with.
[[nodiscard]] std::uint32_t crc32c_portable(std::string_view bytes,
                                            std::uint32_t before = 0) noexcept;

} // namespace warp::storage
