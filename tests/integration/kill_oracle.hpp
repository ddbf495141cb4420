#pragma once

#include "cluster/client.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace warp::testing {

struct kill_failure {
  std::string what;
};

/// A value that says whose and which it is, and whether it is whole.
std::string make_kill_value(std::string_view key, std::uint64_t number, std::size_t fill_bytes,
                            char fill);

/// Knows every write that the client processes have sent and how it was answered, and judges what a
/// restart shows:
///
///   - every write acknowledged at level sync is there, or a later one of the same key;
///   - of the asynchronous writes only a suffix per shard is missing, none at or below a durable
///   LSN
///     that the server had announced; of those at level memory any may be;
///   - nothing is torn or invented: every value is one that was sent for its key;
///   - a write whose caller gave up waiting (the server stood still) may be done later than those
///   that
///     the caller sent next, once or not at all;
///   - of a hash each field for itself is as a key;
///   - what has a time to live is there until then, and afterwards not;
///   - a counter lies between its acknowledged and its sent increments (a retry has one effect); a
///     transaction over shards is there whole or not at all.
///
/// Each key has one writer, so its writes have an order. Thread-safe.
class kill_oracle {
public:
  using steady = std::chrono::steady_clock;

  /// A line of a client's report, see kill_client.hpp.
  void hear(std::string_view line);

  /// A new data folder: forgets everything.
  void begin_life();
  /// Reads what the client of check() cannot: a key that stands as "hash/field".
  using field_reader =
      std::function<client_reply(const std::string& hash, const std::string& field)>;
  /// Without it there are no hashes.
  void read_fields_with(field_reader reader) { field_reader_ = std::move(reader); }
  /// Compares a restarted server with what was sent; what it shows is the new beginning of every
  /// history. `announced`: durable LSNs by shard that the server named before it was killed.
  /// `crashes`: how often it was killed since the last check. Throws kill_failure.
  void check(client& db, const std::vector<lsn_t>& announced, steady::time_point killed_at,
             int crashes);

  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] std::uint64_t lost_async() const { return lost_async_; }
  [[nodiscard]] double oldest_lost_ms() const { return oldest_lost_ms_; }

private:
  struct sent_write {
    std::string value; ///< empty: an erase
    durability level = durability::async;
    std::uint64_t ttl_ms = 0; ///< 0: none
    bool answered = false;    ///< acknowledged with ok
    bool late = false;        ///< its caller gave up waiting: it may be done behind later ones
    lsn_t version = 0;        ///< of an answered one
    std::uint32_t shard = 0;  ///< of an answered one
    steady::time_point sent_at, answered_at;
  };
  /// The first is what an earlier restart showed, when there was one.
  struct key_history {
    bool has_base = false;
    std::vector<sent_write> writes;
  };
  struct counter_state {
    std::uint64_t base = 0, answered = 0, sent = 0;
  };
  struct transaction_state {
    std::uint64_t newest_answered = 0; ///< at level sync
    std::uint64_t newest_sent = 0;
    bool late = false; ///< one of them may have come behind later ones
  };
  struct suffixes {
    std::map<std::uint32_t, lsn_t> newest_kept, oldest_lost; ///< by shard
  };

  static std::string story(const key_history& history);
  void check_key(const std::string& key, const key_history& history, const client_reply& reply,
                 const std::vector<lsn_t>& announced, steady::time_point killed_at,
                 suffixes& found);
  void check_counters(client& db);
  void check_transactions(client& db);

  client_reply read(client& db, const std::string& key);

  field_reader field_reader_;
  std::mutex mutex_;
  std::map<std::string, key_history, std::less<>> keys_;
  std::map<std::string, counter_state, std::less<>> counters_;
  std::map<std::string, transaction_state, std::less<>> transactions_;
  std::uint64_t sent_ = 0, acknowledged_ = 0, lost_async_ = 0;
  double oldest_lost_ms_ = 0;
  bool one_crash_ = true; ///< since the check before the one that is under way
};

} // namespace warp::testing
