#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warp::testing {

/// What one write did, as it stands in the log: the after-image and the request's answer. A write
/// that was refused by what was there (a failed compare, nothing to erase) is logged too, as a
/// record that changes nothing but the window: a retry, also after a fail-over, gets the same
/// answer.
struct model_effect {
  std::string key;
  bool present = false;
  std::string value;
  std::uint32_t client = 0, number = 0; ///< the request id
  std::int64_t sum = 0;                 ///< of an increment
  op_code code = op_code::ok;
  lsn_t met = 0; ///< of a failed compare: the version that was there

  [[nodiscard]] std::string encode() const;
  static model_effect decode(std::string_view body);
};

/// The table of a copy: what is committed, above it what is pending on a primary, and the last
/// request of each client with its answer (its window; clients ask one thing at a time).
class model_table {
public:
  struct cell {
    bool present = false;
    std::string value;
    lsn_t version = 0;
    lsn_t depends_on = 0; ///< 0: committed
  };
  struct request {
    std::uint32_t number = 0;
    lsn_t version = 0;
    std::int64_t sum = 0;
    lsn_t depends_on = 0;
    op_code code = op_code::ok;
    lsn_t met = 0;
  };

  [[nodiscard]] cell look_up(const std::string& key) const;
  [[nodiscard]] request last_of(std::uint32_t client) const;
  void pend(lsn_t lsn, model_effect effect);
  /// A record is committed: applied here, or no longer pending.
  void commit(lsn_t lsn, const model_effect& effect);
  void undo() { pending_.clear(); }
  /// Of what is committed; the same for the same contents.
  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  /// What is committed of a key.
  [[nodiscard]] cell committed(const std::string& key) const;
  /// What is committed, as bytes, and back.
  [[nodiscard]] std::string encode() const;
  static model_table decode(std::string_view bytes);

private:
  std::map<std::string, cell> cells_;
  std::map<std::uint32_t, request> requests_;
  std::map<lsn_t, model_effect> pending_;
  std::uint64_t hash_ = 0;
};

} // namespace warp::testing
