#pragma once

#include "cluster/replication/authority.hpp"
#include "messages/status.hpp"
#include "storage/file_system.hpp"

#include <cstdint>
#include <string>

namespace warp::cluster {

/// The file in the data folder of a cluster's node.
inline constexpr const char* node_file_name = "cluster-node";

/// What a data folder knows of the node that it belongs to.
struct node_file {
  std::uint64_t cluster_id = 0; ///< 0: it belongs to none yet
  std::string cluster_name;
  replication::node_id node;
  std::uint64_t instance = 0; ///< of the folder, drawn when the node was made; never 0
  /// Drawn by the start that wrote it; higher than that of every start before, also where the
  /// folder of a node was made anew.
  std::uint64_t boot = 0;
};

/// Bits of a boot that one start of a node draws from, for each copy that begins anew.
inline constexpr unsigned boots_of_a_start_bits = 20;
/// Whether two boots of a node are of one start of its process.
[[nodiscard]] constexpr bool same_start(std::uint64_t a, std::uint64_t b) noexcept {
  return (a >> boots_of_a_start_bits) == (b >> boots_of_a_start_bits);
}

/// Reads the file `cluster-node` of the data folder, or makes it, and draws the boot of this start,
/// durably. `now_s`: seconds since 1970. invalid_argument: the folder belongs to another node or
/// cluster; corruption: the file is damaged; io_error, no_space.
[[nodiscard]] op_result<node_file> begin_start(storage::file_system& files,
                                               const std::string& folder,
                                               const std::string& cluster_name,
                                               replication::node_id node, std::uint64_t now_s);
/// Writes down to which cluster it belongs. invalid_argument: it belongs to another of this name.
[[nodiscard]] op_status join_cluster(storage::file_system& files, const std::string& folder,
                                     node_file& file, std::uint64_t cluster_id);

} // namespace warp::cluster
