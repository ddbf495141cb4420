#pragma once

#include "cluster/etcd/requests.hpp"

#include <string>

namespace warp::cluster::etcd {

/// What the JSON gateway is sent: the path below an endpoint, and the body. Keys and values in
/// base64, 64-bit numbers as text, as proto3's JSON mapping has it.
struct gateway_call {
  std::string path;
  std::string body;
};

[[nodiscard]] gateway_call to_call(const range_request& request);
[[nodiscard]] gateway_call to_call(const put_request& request);
[[nodiscard]] gateway_call to_call(const delete_request& request);
[[nodiscard]] gateway_call to_call(const txn_request& request);
[[nodiscard]] gateway_call to_call(const lease_grant_request& request);
[[nodiscard]] gateway_call to_call(const lease_keepalive_request& request);
[[nodiscard]] gateway_call to_call(const lease_revoke_request& request);
[[nodiscard]] gateway_call status_call();
/// A watch of everything with the prefix, from this revision on.
[[nodiscard]] gateway_call watch_call(const std::string& prefix, revision_t from);

/// The first key behind all keys with this prefix: the range_end of a prefix. "\0" stands for "no
/// end", as etcd reads it: for an empty prefix, and one of 0xff bytes alone.
[[nodiscard]] std::string end_of_prefix(std::string prefix);

} // namespace warp::cluster::etcd
