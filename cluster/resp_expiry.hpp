#pragma once

#include "cluster/resp_commands.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace warp::cluster {

/// How an expiry was given: EX and PX from now on, EXAT and PXAT since 1970.
struct expiry_option {
  std::string_view text;
  bool seconds = false, absolute = false;
  [[nodiscard]] bool is_like(const expiry_option& other) const noexcept {
    return seconds == other.seconds && absolute == other.absolute;
  }
};

/// The option of that name (EX, PX, EXAT, PXAT), if it is one.
std::optional<expiry_option> expiry_option_named(std::string_view name);
/// As milliseconds since 1970. Nothing when it is no number (`error` says so), not above 0, or
/// does not fit.
std::optional<std::uint64_t> resolve_expiry(const expiry_option& o, std::uint64_t now_ms,
                                            std::string_view command, std::string& error);

} // namespace warp::cluster
