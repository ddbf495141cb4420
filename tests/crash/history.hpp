#pragma once

#include "messages/ids.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace warp::testing {

/// One record as it is compared.
struct history_record {
  std::string value;
  lsn_t version = 0;
  std::uint64_t expires_at_ms = 0;
};

/// Of one record; those of a shard are put together with ^.
[[nodiscard]] std::uint64_t fingerprint(std::string_view key, std::string_view value, lsn_t version,
                                        std::uint64_t expires_at_ms);

/// A write with a request id, to be sent again.
struct remembered_request {
  std::string key;
  std::string value;
  request_id id;
  lsn_t lsn = 0;
};

/// The oracle's side of one shard: every logged write in LSN order, and what the shard holds after
/// each batch.
class shard_history {
public:
  shard_history() : boundaries_{{0, 0}} {}

  /// A logged put (or a change of the expiry).
  void put(lsn_t lsn, const std::string& key, std::string value, std::uint64_t expires_at_ms = 0);
  void erase(lsn_t lsn, const std::string& key);
  /// What was put since the last call gets to disk together or not at all.
  void end_batch();
  /// The records above `last` are gone for ever.
  void cut(lsn_t last);

  [[nodiscard]] lsn_t last() const { return boundaries_.back().first; }
  /// Was there a time when no LSN above `last` was logged and the shard held this? False also for
  /// the middle of a batch.
  [[nodiscard]] bool held(lsn_t last, std::uint64_t fingerprint) const;
  /// No batch has records on both sides. (The LSN itself need not be a record's.)
  [[nodiscard]] bool is_boundary(lsn_t last) const;
  /// The end of the newest batch that lies below `lsn` as a whole.
  [[nodiscard]] lsn_t whole_up_to(lsn_t lsn) const;
  /// What the shard held then.
  [[nodiscard]] std::map<std::string, history_record> content(lsn_t last) const;
  [[nodiscard]] const std::map<std::string, history_record>& content() const { return content_; }

  std::vector<remembered_request> requests; ///< in LSN order

private:
  struct write {
    lsn_t lsn;
    bool erase;
    std::string key, value;
    std::uint64_t expires_at_ms;
  };
  void apply(const write& w);
  std::vector<write> writes_;
  std::map<std::string, history_record> content_;
  std::uint64_t fingerprint_ = 0;
  std::vector<std::pair<lsn_t, std::uint64_t>> boundaries_; ///< LSN and fingerprint, ascending
};

/// A transaction over shards: the shard and the last LSN of each part.
using history_transaction = std::vector<std::pair<std::uint32_t, lsn_t>>;

/// The whole universe's, from one start to the next.
struct history {
  std::vector<shard_history> shards;
  std::vector<history_transaction> transactions;

  void cut(const std::vector<lsn_t>& last);
};

/// A backup that was made: by shard, what it has at least.
struct promised_backup {
  std::string name;
  std::vector<lsn_t> durable;
};

/// What was promised at some moment.
struct promises {
  std::size_t history = 0;       ///< which one is in force
  std::vector<lsn_t> durable;    ///< by shard: must be there
  std::vector<lsn_t> handed_out; ///< by shard: no LSN up to here may be used again
  std::vector<promised_backup> backups;
};

} // namespace warp::testing
