#include "cluster/resp_expiry.hpp"

#include "cluster/resp_text.hpp"
#include "storage/number.hpp"

#include <fmt/format.h>
#include <limits>

namespace warp::cluster {

std::optional<expiry_option> expiry_option_named(std::string_view name) {
  if (name.size() != 2 && name.size() != 4) return std::nullopt;
  for (const auto& [word, seconds, absolute] : {std::tuple{std::string_view{"EX"}, true, false},
                                                {"PX", false, false},
                                                {"EXAT", true, true},
                                                {"PXAT", false, true}})
    if (same_word(name, word))
      return expiry_option{.text = {}, .seconds = seconds, .absolute = absolute};
  return std::nullopt;
}

std::optional<std::uint64_t> resolve_expiry(const expiry_option& o, std::uint64_t now_ms,
                                            std::string_view command, std::string& error) {
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  auto number = storage::parse_number(o.text);
  if (!number) {
    error = not_an_integer;
    return std::nullopt;
  }
  const auto now = static_cast<std::int64_t>(now_ms);
  if (*number > 0 && !(o.seconds && *number > most / 1'000)) {
    if (o.seconds) *number *= 1'000;
    if (o.absolute) return static_cast<std::uint64_t>(*number);
    if (*number <= most - now) return static_cast<std::uint64_t>(*number + now);
  }
  error = fmt::format("ERR invalid expire time in '{}' command", command);
  return std::nullopt;
}

} // namespace warp::cluster
