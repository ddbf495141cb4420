#include "cluster/etcd/blocking_calls.hpp"

#include <future>
#include <memory>

namespace warp::cluster::etcd {

namespace {

template <class Result, class Start>
Result wait_for(Start start) {
  auto promise = std::make_shared<std::promise<Result>>();
  auto future = promise->get_future();
  start([promise](Result result) { promise->set_value(std::move(result)); });
  return future.get();
}

} // namespace

op_result<range_answer> range_now(client& via, const range_request& request) {
  return wait_for<op_result<range_answer>>([&](auto done) { via.range(request, std::move(done)); });
}

txn_result txn_now(client& via, const txn_request& request) {
  return wait_for<txn_result>([&](auto done) { via.txn(request, std::move(done)); });
}

op_result<put_answer> put_now(client& via, const put_request& request) {
  return wait_for<op_result<put_answer>>([&](auto done) { via.put(request, std::move(done)); });
}

op_result<delete_answer> erase_now(client& via, const delete_request& request) {
  return wait_for<op_result<delete_answer>>(
      [&](auto done) { via.erase(request, std::move(done)); });
}

op_result<lease_answer> grant_now(client& via, const lease_grant_request& request) {
  return wait_for<op_result<lease_answer>>([&](auto done) { via.grant(request, std::move(done)); });
}

op_result<lease_answer> keep_alive_now(client& via, const lease_keepalive_request& request) {
  return wait_for<op_result<lease_answer>>(
      [&](auto done) { via.keep_alive(request, std::move(done)); });
}

op_result<put_answer> revoke_now(client& via, const lease_revoke_request& request) {
  return wait_for<op_result<put_answer>>([&](auto done) { via.revoke(request, std::move(done)); });
}

op_result<member_status> status_now(client& via, std::size_t endpoint) {
  return wait_for<op_result<member_status>>(
      [&](auto done) { via.status(endpoint, std::move(done)); });
}

} // namespace warp::cluster::etcd
