#include "cluster/resp_pubsub.hpp"

#include "cluster/resp_text.hpp"

#include <algorithm>

namespace warp::cluster {

void resp_pubsub::subscribe(channel_kind kind, std::string_view name, subscriber who) {
  std::lock_guard hold{mutex_};
  auto& all = of(kind);
  auto at = all.find(name);
  if (at == all.end()) at = all.emplace(std::string{name}, std::vector<subscriber>{}).first;
  at->second.push_back(who);
}

void resp_pubsub::unsubscribe(channel_kind kind, std::string_view name, subscriber who) {
  std::lock_guard hold{mutex_};
  auto& all = of(kind);
  const auto at = all.find(name);
  if (at == all.end()) return;
  std::erase(at->second, who);
  if (at->second.empty()) all.erase(at);
}

std::size_t resp_pubsub::publish(
    channel_kind kind, std::string_view channel,
    const std::function<void(const subscriber&, const std::string* pattern)>& deliver,
    const std::function<void()>& finish) {
  std::lock_guard hold{mutex_};
  std::size_t count = 0;
  const auto& all = of(kind);
  if (const auto at = all.find(channel); at != all.end())
    for (const auto& who : at->second) {
      deliver(who, nullptr);
      ++count;
    }
  if (kind == channel_kind::channel)
    for (const auto& [pattern, subscribers] : of(channel_kind::pattern))
      if (matches_pattern(pattern, channel))
        for (const auto& who : subscribers) {
          deliver(who, &pattern);
          ++count;
        }
  finish();
  return count;
}

std::vector<std::string> resp_pubsub::channels(channel_kind kind, std::string_view pattern) const {
  std::lock_guard hold{mutex_};
  std::vector<std::string> names;
  for (const auto& [name, subscribers] : of(kind))
    if (pattern.empty() || matches_pattern(pattern, name)) names.push_back(name);
  return names;
}

std::size_t resp_pubsub::subscribers(channel_kind kind, std::string_view name) const {
  std::lock_guard hold{mutex_};
  const auto at = of(kind).find(name);
  return at == of(kind).end() ? 0 : at->second.size();
}

std::size_t resp_pubsub::names(channel_kind kind) const {
  std::lock_guard hold{mutex_};
  return of(kind).size();
}

} // namespace warp::cluster
