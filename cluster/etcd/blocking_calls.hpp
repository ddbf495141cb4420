#pragma once

#include "cluster/etcd/answers.hpp"
#include "cluster/etcd/client.hpp"
#include "cluster/etcd/requests.hpp"

#include <cstddef>

namespace warp::cluster::etcd {

/// The calls of a client for threads that may wait: each returns with the answer, at the latest
/// after the client's request_timeout. Not from the client's callbacks. Codes as in client.hpp.
[[nodiscard]] op_result<range_answer> range_now(client& via, const range_request& request);
[[nodiscard]] txn_result txn_now(client& via, const txn_request& request);
[[nodiscard]] op_result<put_answer> put_now(client& via, const put_request& request);
[[nodiscard]] op_result<delete_answer> erase_now(client& via, const delete_request& request);
[[nodiscard]] op_result<lease_answer> grant_now(client& via, const lease_grant_request& request);
[[nodiscard]] op_result<lease_answer> keep_alive_now(client& via,
                                                     const lease_keepalive_request& request);
[[nodiscard]] op_result<put_answer> revoke_now(client& via, const lease_revoke_request& request);
[[nodiscard]] op_result<member_status> status_now(client& via, std::size_t endpoint);

} // namespace warp::cluster::etcd
