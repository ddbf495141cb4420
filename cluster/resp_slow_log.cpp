#include "cluster/resp_slow_log.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::cluster {

void resp_slow_log::add(entry e, std::size_t entries_max) {
  std::lock_guard hold{mutex_};
  e.id = next_++;
  entries_.push_front(std::move(e));
  while (entries_.size() > entries_max) entries_.pop_back();
}

std::vector<resp_slow_log::entry> resp_slow_log::newest(std::size_t count) const {
  std::lock_guard hold{mutex_};
  const auto n = static_cast<std::ptrdiff_t>(std::min(count, entries_.size()));
  return {entries_.begin(), entries_.begin() + n};
}

std::size_t resp_slow_log::size() const {
  std::lock_guard hold{mutex_};
  return entries_.size();
}

void resp_slow_log::clear() {
  std::lock_guard hold{mutex_};
  entries_.clear();
}

std::vector<std::string> resp_slow_log::shortened(std::span<const std::string_view> arguments) {
  constexpr std::size_t arguments_max = 32, bytes_max = 128;
  std::vector<std::string> out;
  const auto shown = arguments.size() > arguments_max ? arguments_max - 1 : arguments.size();
  for (const auto argument : arguments.first(shown)) {
    if (argument.size() > bytes_max)
      out.push_back(fmt::format("{}... ({} more bytes)", argument.substr(0, bytes_max),
                                argument.size() - bytes_max));
    else
      out.emplace_back(argument);
  }
  if (shown < arguments.size())
    out.push_back(fmt::format("... ({} more arguments)", arguments.size() - shown));
  return out;
}

} // namespace warp::cluster
