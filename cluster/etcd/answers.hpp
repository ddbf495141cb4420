#pragma once

#include "cluster/etcd/requests.hpp"
#include "messages/status.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace warp::cluster::etcd {

/// What every answer begins with.
struct answer_header {
  std::uint64_t cluster = 0; ///< of the etcd cluster that answered; never 0
  std::uint64_t member = 0;
  /// Of the key space when the answer was made. 0: the answer does not say.
  revision_t revision = 0;
};

struct key_value {
  std::string key;
  std::string value;
  revision_t create_revision = 0;
  revision_t mod_revision = 0;
  lease_id_t lease = 0;
};

struct range_answer {
  answer_header header;
  std::vector<key_value> keys; ///< in order
  std::uint64_t count = 0;     ///< how many there are, whatever the limit
};

/// What became of a transaction. The client sends it at most once; what lies between (etcd's own
/// gateway) may send it again.
struct txn_result {
  enum class outcome : std::uint8_t {
    /// It certainly took place: `success` was done at `header.revision`.
    done,
    /// etcd answered that a compare did not hold: `ranges` answer its `failure` side. Of a
    /// transaction that was sent once for the first time nothing was done; where it was sent before
    /// and that one is unknown, the earlier one may be what made the compare fail (R4).
    compare_failed,
    /// Certainly nothing was done and nothing will be; `status` says why.
    not_done,
    /// It may have been done, or still be: the connection broke or the time was up after it was
    /// sent. Only a later revision of the key that was compared settles it. `status` is
    /// outcome_unknown.
    unknown,
  };
  outcome what = outcome::not_done;
  answer_header header;             ///< of done and compare_failed
  std::vector<range_answer> ranges; ///< of compare_failed
  op_status status;                 ///< ok for done and compare_failed
};

struct put_answer {
  answer_header header;
};
struct delete_answer {
  answer_header header;
  std::uint64_t deleted = 0;
};

struct lease_answer {
  answer_header header;
  lease_id_t lease = 0;
  std::int64_t ttl_s = 0; ///< what etcd has granted; 0 from a keepalive: there is no such lease
};

/// How one etcd member is.
struct member_status {
  answer_header header;
  std::string version;      ///< "3.4.23"
  std::uint64_t leader = 0; ///< member that leads; 0: none, so it can neither read nor write
  std::uint64_t database_bytes = 0;
  std::vector<std::string> alarms; ///< "NOSPACE", ...: it refuses writes until they are disarmed
};

} // namespace warp::cluster::etcd
