#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

struct resp_command;

/// What others may know of a connection. Its I/O thread writes; the texts are guarded by the
/// registry's lock, the numbers are whatever they were a moment ago.
struct client_card {
  std::uint64_t id = 0;
  std::uint32_t thread = 0;
  int fd = -1;
  std::string address, local_address;
  std::int64_t connected_at_ms = 0;
  std::string name, library, library_version; ///< guarded

  std::atomic<std::int64_t> active_at_ms{0};
  std::atomic<const resp_command*> last{nullptr};
  std::atomic<std::uint32_t> channels{0}, patterns{0}, shard_channels{0};
  std::atomic<std::int32_t> queued{-1}; ///< commands of its transaction; -1: none
  std::atomic<std::uint32_t> watched{0};
  std::atomic<std::uint8_t> protocol{2};
  std::atomic<std::uint64_t> input_bytes{0}, output_bytes{0};
  std::atomic<bool> blocked{false}, no_evict{false};
};

/// The connections of a server, for CLIENT LIST and its like. Thread-safe.
class resp_clients {
public:
  /// A new id, greater than all before it.
  std::uint64_t next_id() noexcept { return 1 + ids_.fetch_add(1, std::memory_order_relaxed); }
  void add(std::shared_ptr<client_card> card);
  void remove(std::uint64_t id);
  [[nodiscard]] std::vector<std::shared_ptr<client_card>> all() const;
  /// Changes or reads the texts of a card.
  template <class Work>
  decltype(auto) with_texts(Work&& work) const {
    std::lock_guard hold{mutex_};
    return work();
  }

private:
  mutable std::mutex mutex_;
  std::atomic<std::uint64_t> ids_{0};
  std::map<std::uint64_t, std::shared_ptr<client_card>> cards_;
};

/// A line of CLIENT LIST, without its line feed, in the form of Redis 7.0. Takes the registry's
/// lock.
std::string describe_client(const resp_clients& clients, const client_card& card,
                            std::int64_t now_ms);

} // namespace warp::cluster
