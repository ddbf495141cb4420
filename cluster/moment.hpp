#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace warp::cluster {

/// A moment as people write it, in us since 1970: RFC 3339 ("2026-11-21T16:30:00Z",
/// "2026-11-21 17:30:00.25+01:00"; without an offset it is UTC) or seconds since 1970
/// ("1700000000.25"). Empty for anything else.
[[nodiscard]] std::optional<std::uint64_t> parse_moment(std::string_view text);
/// "2026-11-21T16:30:00.250000Z"; the fraction only where there is one.
[[nodiscard]] std::string show_moment(std::uint64_t us);

} // namespace warp::cluster
