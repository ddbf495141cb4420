#pragma once

#include "cluster/client_core.hpp"
#include "cluster/put_sink.hpp"
#include "messages/status.hpp"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

/// What a put_stream and the client's loop share. The caller's thread fills chunks; the loop sends
/// them over one Ingest capability after the other (a lost connection takes its capability along),
/// each time from the first record on that is not confirmed.
///
///   put() -> filling_ -> chunks_ -> sent -> finish() answered: confirmed, dropped
///                          ^                   |
///                          +-- connection lost, server stops or is overloaded
class client_stream final : public put_sink, public std::enable_shared_from_this<client_stream> {
public:
  /// `server`: limits that put() checks.
  client_stream(client_core& core, const put_stream_options& options, const server_info& server);

  /// Caller's thread, once: hands the stream to the loop.
  void begin();
  /// Caller's thread: the loop lets go of it.
  void end() override;

  op_status put(std::string_view key, std::string_view value, std::uint64_t expires_at_ms,
                std::uint64_t ttl_ms, value_type type) override;
  op_status flush() override;
  put_stream::counters count() const override;
  std::vector<put_failure> take_failures() override;
  op_status status() const override;

private:
  struct entry {
    std::size_t key_size, value_size;
    std::uint64_t expires_at_ms, ttl_ms;
    value_type type;
  };
  /// Records that travel in one message: keys and values one after the other.
  struct chunk {
    std::uint64_t first = 0; ///< index of its first record
    std::vector<entry> entries;
    std::string bytes;
  };
  class attempt; // one connection's share

  void close_chunk();
  void wake_loop();

  // on the loop
  kj::Promise<op_status> run(wire::Session::Client session);
  void ended(op_status status);
  void made_progress();
  void confirm(std::uint64_t stored, std::uint64_t failed, std::vector<put_failure> failures);
  /// The chunk with that record, null: it is not there yet.
  std::shared_ptr<const chunk> chunk_at(std::uint64_t index) const;
  [[nodiscard]] bool flushing() const;

  client_core& core_;
  const put_stream_options options_;
  const std::uint64_t value_bytes_max_;
  chunk filling_;          // the caller's
  std::uint64_t next_ = 0; // index of the next record; the caller's

  mutable std::mutex mutex_; // guards what follows
  std::condition_variable changed_;
  std::deque<std::shared_ptr<const chunk>> chunks_; // in order, the first one not yet confirmed
  std::size_t bytes_ = 0;                           // in chunks_
  std::uint64_t stored_ = 0, failed_ = 0;
  std::uint64_t flush_to_ = 0; // somebody waits for the records before it
  std::vector<put_failure> failures_;
  op_status status_;
  bool ended_ = false, woken_ = false;

  // The loop's.
  std::shared_ptr<client_call> call_;
  attempt* attempt_ = nullptr;
  std::uint64_t furthest_ = 0; // records before it have been sent at least once
};

} // namespace warp::cluster
