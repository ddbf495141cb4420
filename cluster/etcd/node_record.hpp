#pragma once

#include "cluster/replication/authority.hpp"
#include "messages/status.hpp"

#include <string>
#include <string_view>

namespace warp::cluster::etcd {

/// The key `nodes/<id>`: a node that runs, as long as its lease lives. A hint: whoever it names may
/// be dead, and who is not there may live. Version 1:
///
///     {"version":1,"boot":"1712345678","instance":"81723","zone":"a",
///      "addresses":{"nodes":"10.0.0.1:7401","rpc":"10.0.0.1:7400","resp":"10.0.0.1:7379","http":"",
///                   "checkpoints":"10.0.0.1:7402"}}
struct node_record {
  replication::boot_id boot;  ///< of the process; never 0
  std::uint64_t instance = 0; ///< of the data folder, drawn when it was made; never 0
  std::string zone;           ///< what fails together; "": not said; at most 64 bytes
  /// "host:port", at most 270 bytes; "": not served.
  std::string nodes; ///< for other nodes; never empty
  std::string rpc, resp, http;
  std::string checkpoints; ///< where other nodes fetch them
  friend bool operator==(const node_record&, const node_record&) = default;
};

/// As of cluster_config.
[[nodiscard]] op_result<node_record> read_node_record(std::string_view key, std::string_view value);
[[nodiscard]] std::string to_value(const node_record& record);

} // namespace warp::cluster::etcd
