#pragma once

#include "cluster/put_stream.hpp"
#include "messages/limits.hpp"
#include "messages/operations.hpp"
#include "messages/status.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

/// Where the puts of a put_stream go; its calls mean the same. One thread at a time.
class put_sink {
public:
  virtual ~put_sink() = default;
  virtual op_status put(std::string_view key, std::string_view value, std::uint64_t expires_at_ms,
                        std::uint64_t ttl_ms, value_type type) = 0;
  virtual op_status flush() = 0;
  [[nodiscard]] virtual put_stream::counters count() const = 0;
  [[nodiscard]] virtual std::vector<put_failure> take_failures() = 0;
  [[nodiscard]] virtual op_status status() const = 0;
  /// Nothing more comes: lets go of what the client's loop has of it.
  virtual void end() = 0;
};

/// Why a record can never be stored; ok: it can.
[[nodiscard]] inline op_status check_put(std::string_view key, std::string_view value,
                                         std::uint64_t value_bytes_max, std::uint64_t expires_at_ms,
                                         std::uint64_t ttl_ms) {
  if (key.size() < key_size_min || key.size() > key_size_max)
    return {op_code::invalid_argument, "a key of " + std::to_string(key.size()) +
                                           " bytes: keys have 1 to " +
                                           std::to_string(key_size_max)};
  if (value.size() > value_bytes_max)
    return {op_code::invalid_argument, "a value of " + std::to_string(value.size()) +
                                           " bytes, the server's limit is " +
                                           std::to_string(value_bytes_max)};
  if (expires_at_ms != 0 && ttl_ms != 0)
    return {op_code::invalid_argument, "both an expiry and a time to live: give one"};
  return {};
}

} // namespace warp::cluster
