#pragma once

#include "cluster/client_core.hpp"
#include "cluster/put_sink.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace warp::cluster {

/// A stream of puts to a cluster: its records are for many nodes, and shards move, so they travel
/// as ordinary batches. One of them is under way while the next one is filled; so the records of a
/// key stay in their order, and the first so many are decided. Request ids make what is sent again
/// have one effect.
class client_windows final : public put_sink, public std::enable_shared_from_this<client_windows> {
public:
  /// `server`: limits that put() checks. Borrows the core.
  client_windows(client_core& core, const put_stream_options& options, const server_info& server);

  op_status put(std::string_view key, std::string_view value, std::uint64_t expires_at_ms,
                std::uint64_t ttl_ms, value_type type) override;
  op_status flush() override;
  put_stream::counters count() const override;
  std::vector<put_failure> take_failures() override;
  op_status status() const override;
  void end() override {}

private:
  struct record {
    std::size_t key_size, value_size;
    std::uint64_t expires_at_ms, ttl_ms;
    value_type type;
  };

  op_status send();
  void take(client_job& done);

  client_core& core_;
  const durability level_;
  const std::uint64_t value_bytes_max_;
  const std::size_t window_bytes_;
  // The caller's: keys and values one after the other.
  std::vector<record> filling_;
  std::string bytes_;

  mutable std::mutex mutex_; // guards what follows
  std::condition_variable changed_;
  bool under_way_ = false;
  std::uint64_t stored_ = 0, failed_ = 0;
  std::vector<put_failure> failures_;
  op_status status_;
};

} // namespace warp::cluster
