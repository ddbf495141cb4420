#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace warp::storage {

/// Names one universe: 16 random bytes drawn when its data folder is created. Stands in every file,
/// so that a file of another universe is never taken for one of ours.
struct universe_id {
  std::array<std::uint8_t, 16> bytes{};

  friend constexpr auto operator<=>(const universe_id&, const universe_id&) = default;
};

/// A new id from the system's random source.
[[nodiscard]] universe_id make_universe_id();
/// A new generation: a number other than 0 from the same source. Drawn with a universe, and again
/// by each restore into it, so that files from before a restore and after it are kept apart.
[[nodiscard]] std::uint64_t make_generation();

/// 32 lower-case hexadecimal digits.
[[nodiscard]] std::string to_string(const universe_id& id);
/// The inverse; empty for anything else than 32 lower-case hexadecimal digits.
[[nodiscard]] std::optional<universe_id> parse_universe_id(std::string_view text) noexcept;

} // namespace warp::storage
