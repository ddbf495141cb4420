#pragma once

#include "cluster/etcd/answers.hpp"
#include "messages/status.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster::etcd {

/// Readers of what the JSON gateway answers; proto3's JSON leaves out fields with their default. A
/// field of a wrong type, a number that does not fit, missing headers and anything that is no JSON:
/// `corruption`, with the place. No reader believes more than it has checked; none throws.
[[nodiscard]] op_result<range_answer> read_range(std::string_view body);
/// `done` or `compare_failed`; a failure is of the text alone, and says nothing about what was
/// done.
[[nodiscard]] op_result<txn_result> read_txn(std::string_view body);
[[nodiscard]] op_result<put_answer> read_put(std::string_view body);
[[nodiscard]] op_result<delete_answer> read_delete(std::string_view body);
[[nodiscard]] op_result<lease_answer> read_lease_grant(std::string_view body);
[[nodiscard]] op_result<lease_answer> read_lease_keepalive(std::string_view body);
[[nodiscard]] op_result<member_status> read_status(std::string_view body);

/// An answer that is an error.
struct gateway_error {
  /// What a caller can do with it; never ok.
  op_code code = op_code::io_error;
  std::string message;
  /// Whether it proves that nothing was done: etcd looked at the request and refused it. A time-out
  /// or a change of leader within etcd does not.
  bool refused = false;
  int grpc_code = -1; ///< -1: the body does not say
};
/// `http_status` is not 200. Any body is read.
[[nodiscard]] gateway_error read_error(long http_status, std::string_view body);

/// One line of a watch.
struct watch_line {
  answer_header header; ///< `revision` 0 in a line that tells of a compaction
  bool created = false;
  bool canceled = false;
  revision_t compact_revision = 0; ///< the watch began below it: what was there is gone
  std::string cancel_reason;
  struct event {
    std::string key;
    revision_t mod_revision = 0;
    bool deleted = false;
  };
  std::vector<event> events;
};
[[nodiscard]] op_result<watch_line> read_watch_line(std::string_view line);

} // namespace warp::cluster::etcd
