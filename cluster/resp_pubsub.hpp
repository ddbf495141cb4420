#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace warp::cluster {

/// Channels of Redis's three kinds, each with names of its own.
enum class channel_kind : std::uint8_t { channel, pattern, shard };

/// A client as a subscriber: the I/O thread that serves it and its id.
struct subscriber {
  std::uint32_t thread = 0;
  std::uint64_t client = 0;
  friend bool operator==(const subscriber&, const subscriber&) = default;
};

/// Who has subscribed to what, of all connections of a server. Thread-safe; short locks.
class resp_pubsub {
public:
  void subscribe(channel_kind kind, std::string_view name, subscriber who);
  void unsubscribe(channel_kind kind, std::string_view name, subscriber who);

  /// Calls `deliver(who, pattern)` for each subscriber of the channel (pattern empty) and of each
  /// pattern that it matches, under the lock: so all subscribers of a channel hear its messages in
  /// one order; then, under it still, `finish`. Returns how many there were.
  std::size_t
  publish(channel_kind kind, std::string_view channel,
          const std::function<void(const subscriber&, const std::string* pattern)>& deliver,
          const std::function<void()>& finish);

  /// Names of channels with subscribers that match the pattern (empty: all).
  [[nodiscard]] std::vector<std::string> channels(channel_kind kind,
                                                  std::string_view pattern) const;
  [[nodiscard]] std::size_t subscribers(channel_kind kind, std::string_view name) const;
  [[nodiscard]] std::size_t names(channel_kind kind) const; ///< with at least one subscriber

private:
  using list = std::map<std::string, std::vector<subscriber>, std::less<>>;
  [[nodiscard]] list& of(channel_kind kind) noexcept { return lists_[static_cast<int>(kind)]; }
  [[nodiscard]] const list& of(channel_kind kind) const noexcept {
    return lists_[static_cast<int>(kind)];
  }

  mutable std::mutex mutex_;
  list lists_[3];
};

} // namespace warp::cluster
