#pragma once

#include "cluster/etcd/client.hpp"
#include "cluster/etcd/requests.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace warp::cluster::etcd {

/// "Something under the prefix may have changed": a reason to read, never something to believe.
struct doorbell {
  revision_t revision = 0; ///< changes up to here are meant
  /// Which keys, each once; empty: any of them (the first ring, or too many to name).
  std::vector<std::string> keys;
};

struct watch_options {
  std::string prefix;
  /// So often all keys are read in any case, for what the watch did not tell, > 0.
  std::chrono::milliseconds relist_interval{30'000};
  std::size_t line_bytes_max = 8u << 20; ///< of one message of the watch; a longer one is a gap
  std::size_t keys_named_max = 256;      ///< in one ring
};

struct watch_counters {
  std::uint64_t rings = 0;
  std::uint64_t connects = 0;    ///< streams that etcd has confirmed
  std::uint64_t lists = 0;       ///< answers that were compared
  std::uint64_t missed = 0;      ///< keys whose change a list told first
  std::uint64_t compactions = 0; ///< times that etcd no longer had what was to be resumed
};

/// Watches a prefix, on a thread of its own: a stream of etcd's changes, resumed behind the last
/// one that was seen whenever it breaks; and a list of all keys with their revisions, at the start,
/// after each new connection, when etcd has forgotten what lies between, and every 30 s, as watches
/// are known to lose events. What either of them shows and was not told yet rings.
///
/// A stream may be silent because nothing happens or because its endpoint stands still: then what
/// the next list tells rings, and the stream moves on to another endpoint.
class prefix_watch {
public:
  using bell = std::function<void(const doorbell&)>;

  /// Lists are asked of `lists`, which must outlive it; streams go to the same endpoints in the
  /// same way. `ring` is called on the watch's thread: the first time, without names, when all keys
  /// were read once. It must neither block nor throw nor destroy the watch. invalid_argument,
  /// overloaded (no thread, no memory).
  static op_result<std::unique_ptr<prefix_watch>> create(client& lists, watch_options options,
                                                         bell ring);
  /// Ends at once, whatever is under way; no ring afterwards.
  ~prefix_watch();
  prefix_watch(const prefix_watch&) = delete;
  prefix_watch& operator=(const prefix_watch&) = delete;

  /// Lists soon, as when somebody hears otherwise that something has changed. Any thread.
  void list_now();
  [[nodiscard]] watch_counters counters() const;

private:
  class worker;
  explicit prefix_watch(std::unique_ptr<worker> made);

  std::unique_ptr<worker> worker_;
};

} // namespace warp::cluster::etcd
