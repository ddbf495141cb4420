#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace warp::cluster::etcd {

/// A revision of etcd's whole key space: each transaction that changes something raises it by one.
/// 0: none, or "the newest" in a question.
using revision_t = std::uint64_t;
/// etcd's name of a lease; 0: none.
using lease_id_t = std::int64_t;

/// Which keys: one, or all with a prefix. Keys are any bytes.
struct key_range {
  std::string key;
  bool prefix = false; ///< `key` is a prefix; an empty one stands for all keys
};

/// A linearizable read: what it answers was true at some moment between question and answer.
struct range_request {
  key_range keys;
  std::uint64_t limit = 0; ///< at most so many keys, in order; 0: all
  revision_t revision = 0; ///< as of then; refused when it was compacted away or is not reached yet
  bool keys_only = false;  ///< values are left out
};

/// What must hold for a transaction to take its `success` side.
struct compare {
  enum class target : std::uint8_t { mod_revision, create_revision };
  std::string key;
  target what = target::mod_revision;
  revision_t revision = 0; ///< equal to this; 0: the key does not exist
};

struct put_request {
  std::string key;
  std::string value;
  lease_id_t lease = 0; ///< the key goes when this lease ends
};
struct delete_request {
  key_range keys;
};

using change = std::variant<put_request, delete_request>;

/// Atomic: if all of `compares` hold, `success` is done, else nothing, and `failure` is read.
struct txn_request {
  std::vector<compare> compares;
  std::vector<change> success;
  std::vector<range_request> failure;
};

struct lease_grant_request {
  std::int64_t ttl_s = 10;
};
/// Also the question how long it lives.
struct lease_keepalive_request {
  lease_id_t lease = 0;
};
struct lease_revoke_request {
  lease_id_t lease = 0;
};

} // namespace warp::cluster::etcd
