#pragma once

#include "messages/ids.hpp"
#include "messages/limits.hpp"
#include "messages/operations.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace warp {

/// How a client finds and treats its servers.
struct client_options {
  /// "host:port"; tried in turn until one answers. A port that is left out is 7400; IPv6 as
  /// "[::1]:7400". Of a cluster any of its nodes, better several: the client asks one of them who
  /// serves what, and goes there.
  std::vector<std::string> addresses{"127.0.0.1:7400"};
  std::string token; ///< for login; empty on a server without users
  std::size_t connections =
      1; ///< size of the pool, at least 1; more help only a server with several I/O threads
  /// How long a call may take, retries included, unless it says otherwise.
  std::chrono::milliseconds deadline{10'000};
  /// How long connect() tries.
  std::chrono::milliseconds connect_deadline{5'000};
  /// Wait before a retry: doubles from min to max, each time a random part of it (half to all).
  std::chrono::milliseconds retry_min{5}, retry_max{500};
  /// Names this client in request ids; 0: drawn at random, which is right unless a retry must
  /// survive this process.
  std::uint64_t client_id = 0;
  /// Operations of concurrent callers that travel in one message, at most.
  std::size_t batch_operations_max = 512;
  /// Bytes of keys and values that wait or travel, at most; execute_async() blocks above it.
  std::size_t queued_bytes_max = 256u << 20;
  /// Longest value that can come back, bytes; not below the server's.
  std::size_t value_bytes_max = value_size_default_max;
};

/// Addresses as people write them, "host:port,host:port", in their order; spaces around them do not
/// count. invalid_argument: one of them is empty.
[[nodiscard]] op_result<std::vector<std::string>> parse_addresses(std::string_view list);

/// The options of one write. The defaults write unconditionally, without expiry, at the server's
/// level.
struct client_write_options {
  durability level = durability::unspecified;
  priority rank = priority::normal;
  access_pattern pattern = access_pattern::balanced;
  write_condition condition = write_condition::always;
  lsn_t expected_version = 0;                ///< if_version
  bool keep_expiry = false;                  ///< put: keep the expiry that the record has
  std::uint64_t expires_at_ms = 0;           ///< absolute, ms since 1970; 0: never. Or:
  std::chrono::milliseconds time_to_live{0}; ///< from now on, by the server's clock; 0: not given
};

/// The answer to one operation; owns what it holds.
struct [[nodiscard]] client_reply {
  op_status status;
  shard_id shard;
  lsn_t version =
      0; ///< of the record after the operation; version_mismatch: the one it met; 0: absent
  std::int64_t number = 0;             ///< increment: the result
  std::uint64_t expires_at_ms = 0;     ///< get, exists: of the record; 0: never
  std::string value;                   ///< get
  value_type type = value_type::bytes; ///< exists, wrong_type: what the record is

  [[nodiscard]] bool ok() const noexcept { return status.ok(); }
  [[nodiscard]] op_code code() const noexcept { return status.code(); }
};

/// Operations for one call; owns copies of keys and values. Cheap to move. clear() keeps its memory
/// for the next batch.
class client_batch {
public:
  void get(std::string_view key, durability level = durability::unspecified);
  void exists(std::string_view key, durability level = durability::unspecified);
  void put(std::string_view key, std::string_view value, const client_write_options& options = {});
  void erase(std::string_view key, const client_write_options& options = {});
  void increment(std::string_view key, std::int64_t delta = 1,
                 durability level = durability::unspecified);
  void expire(std::string_view key, const client_write_options& options);

  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  /// Of keys and values.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.size(); }
  void clear() noexcept;

private:
  friend class client;
  /// Key and value stand one after the other in bytes_, from `offset` on.
  struct item {
    operation op; ///< its key and value are set when the batch is sent
    std::uint64_t ttl_ms = 0;
    std::size_t offset = 0, key_size = 0, value_size = 0;
  };
  void add(operation op, std::uint64_t ttl_ms, std::string_view key, std::string_view value);

  std::vector<item> items_;
  std::string bytes_;
};

/// One record of a scan.
struct client_record {
  std::string key, value;
  lsn_t version = 0;
  std::uint64_t expires_at_ms = 0;     ///< 0: never
  bool value_omitted = false;          ///< not asked for
  value_type type = value_type::bytes; ///< of a hash `value` is packed pairs: see packed_fields.hpp
};

/// One page of a scan.
struct client_scan_page {
  std::vector<client_record> records;
  std::uint64_t next_cursor = 0; ///< 0: the scan is over
};

/// What a client should know about its server.
struct server_info {
  std::string version;
  std::uint32_t shard_count = 0;
  durability default_level = durability::async;
  std::uint64_t value_bytes_max = 0;
  std::uint32_t batch_operations_max = 0;
  bool in_memory_only = false;
  bool clustered = false; ///< it is a node of a cluster
  std::chrono::milliseconds uptime{0};
};

} // namespace warp
