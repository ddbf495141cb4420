#pragma once

#include "cluster/client_types.hpp"
#include "messages/operations.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace warp {

namespace cluster {
class put_sink;
}

/// How a stream of puts is sent.
struct put_stream_options {
  /// What a record is worth before it is confirmed: memory or async (sync is taken as async). What
  /// is confirmed is on disk at any level but memory.
  durability level = durability::unspecified;
  /// Bytes of keys and values that are not confirmed yet, at most; put() blocks above it.
  std::size_t window_bytes = 64u << 20;
  /// The server is asked to confirm what it has after so many bytes, and at each flush().
  std::size_t confirm_bytes = 8u << 20;
};

/// A record that was not stored.
struct put_failure {
  std::uint64_t index = 0; ///< the n-th record that put() took, from 0
  std::string key;         ///< empty if it is longer than 1 KiB
  op_status status;
};

/// Unconditional puts at the highest rate, see `Ingest` in messages/warp.capnp: they are sent
/// without waiting for answers, as far as flow control lets them, and confirmed in bulk. Made by
/// client::stream_puts(); used by one thread at a time; the client must outlive it.
///
/// The records of one stream are stored in the order of the calls: of two with the same key the
/// later one wins. A lost connection or a server that is overloaded or restarts costs nothing but
/// time: what is not confirmed is sent again, in the same order (so a key that somebody else writes
/// meanwhile may be overwritten once more).
class put_stream {
public:
  /// What is not flushed may or may not be stored.
  ~put_stream();
  put_stream(const put_stream&) = delete;
  put_stream& operator=(const put_stream&) = delete;

  /// Takes a copy; may block while the window is full. invalid_argument: this record can never be
  /// stored (the length of its key or value); it is not taken, and the stream goes on. Any other
  /// failure: the stream has ended, see status(). `expires_at_ms`: ms since 1970, 0: never; or
  /// `time_to_live`, from its arrival at the server on. Of a hash the value is packed pairs, see
  /// messages/packed_fields.hpp.
  op_status put(std::string_view key, std::string_view value, std::uint64_t expires_at_ms = 0,
                std::chrono::milliseconds time_to_live = {}, value_type type = value_type::bytes);

  /// Blocks until all records so far are confirmed; the stream may go on after it. ok even if some
  /// were not stored, see count(); else why the stream has ended: no progress for
  /// client_options::deadline (timed_out, or the server's last word), outcome_unknown (the disk
  /// failed or was too slow).
  op_status flush();

  struct counters {
    std::uint64_t stored = 0, failed = 0; ///< confirmed records; together the first so many
  };
  [[nodiscard]] counters count() const;
  /// Failures since the last call, in order; of many only the first ones are known in detail.
  [[nodiscard]] std::vector<put_failure> take_failures();
  /// ok: it goes on.
  [[nodiscard]] op_status status() const;

private:
  friend class client;
  explicit put_stream(std::shared_ptr<cluster::put_sink> stream);
  std::shared_ptr<cluster::put_sink> stream_;
};

} // namespace warp
