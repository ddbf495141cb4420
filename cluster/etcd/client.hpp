#pragma once

#include "cluster/etcd/answers.hpp"
#include "cluster/etcd/client_options.hpp"
#include "cluster/etcd/requests.hpp"
#include "messages/status.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace warp::cluster::etcd {

struct client_counters {
  std::uint64_t requests = 0; ///< that were taken
  std::uint64_t attempts = 0;
  std::uint64_t failures = 0; ///< attempts without an answer from etcd
  std::uint64_t unknown = 0;  ///< changes whose outcome is unknown
  std::uint64_t refused = 0;  ///< requests for which there was no room
};

/// A client of an etcd cluster, over its JSON gateway. Asynchronous: a call puts the request into a
/// bounded queue and returns at once; a thread of the client sends it, and calls back there, once
/// for each call, whatever happens. Callbacks must neither block nor throw, may call the client
/// again, and must not destroy it. (blocking_calls.hpp is the same for threads that may wait.)
///
/// What an answer means:
/// - Reads (range, status) and what can be done twice (leases) are made again, at the next
///   endpoint, after a jittered pause, until `request_timeout`. Their failure codes: unavailable,
///   timed_out, unauthorized (certificates, rights), invalid_argument (etcd refuses the request),
///   overloaded (queue full, answer too long, etcd's database full), corruption (what answers is no
///   etcd, or is of another etcd cluster than the one that answered first), shutting_down.
/// - Changes (txn, put, erase) are sent once at most: to the next endpoint only while it is certain
///   that nothing was sent. Once one was sent without an answer, it is outcome_unknown; every other
///   failure says that nothing was done and nothing will be.
///
/// All calls may be made from any thread. The client outlives what uses it.
class client {
public:
  template <class Answer>
  using callback = std::function<void(op_result<Answer>)>;

  /// Checks the options and starts the thread; asks nobody yet. Codes of check().
  static op_result<std::unique_ptr<client>> create(client_options options);
  /// Ends what is under way: shutting_down for what was not sent, outcome_unknown for changes that
  /// were. Callbacks are called before it returns.
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  void range(const range_request& request, callback<range_answer> done);
  void txn(const txn_request& request, std::function<void(txn_result)> done);
  void put(const put_request& request, callback<put_answer> done);
  void erase(const delete_request& request, callback<delete_answer> done);
  void grant(const lease_grant_request& request, callback<lease_answer> done);
  /// ok with ttl_s 0: there is no such lease.
  void keep_alive(const lease_keepalive_request& request, callback<lease_answer> done);
  /// not_found: there is none.
  void revoke(const lease_revoke_request& request, callback<put_answer> done);
  /// Of one endpoint (an index into the options), asked once. Of its own knowledge, not
  /// linearizable.
  void status(std::size_t endpoint, callback<member_status> done);

  [[nodiscard]] const client_options& options() const noexcept;
  [[nodiscard]] client_counters counters() const;

private:
  class worker;
  explicit client(client_options options);

  std::unique_ptr<worker> worker_;
};

} // namespace warp::cluster::etcd
