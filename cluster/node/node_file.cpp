#include "cluster/node/node_file.hpp"

#include "cluster/etcd/cluster_config.hpp"
#include "cluster/etcd/record_reader.hpp"
#include "storage/path.hpp"
#include "storage/replace_file.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>

namespace warp::cluster {

namespace {

using json = nlohmann::json;

constexpr std::uint64_t version = 1;

op_status write(storage::file_system& files, const std::string& folder, const node_file& file) {
  auto text = json{{"version", version},
                   {"cluster", file.cluster_name},
                   {"node", file.node.value},
                   {"instance", std::to_string(file.instance)},
                   {"boot", std::to_string(file.boot)}};
  if (file.cluster_id != 0) text["cluster_id"] = std::to_string(file.cluster_id);
  return storage::replace_file(files, folder, node_file_name, text.dump() + "\n");
}

op_result<node_file> read(storage::file_system& files, const std::string& path) {
  auto bytes = storage::read_file(files, path);
  if (!bytes) return bytes.status();
  const auto parsed = etcd::parse_record(path, *bytes, version);
  if (!parsed) return parsed.status();
  op_status status;
  etcd::record_reader reader{path, *parsed, status};
  node_file file;
  static_cast<void>(reader.number("version", version, version));
  file.cluster_name = reader.text("cluster", 64);
  file.node = replication::node_id{static_cast<std::uint32_t>(
      reader.number("node", 1, std::numeric_limits<std::uint32_t>::max()))};
  file.instance = reader.id("instance");
  file.boot = reader.id("boot");
  if (reader.has("cluster_id")) file.cluster_id = reader.id("cluster_id");
  reader.finish();
  if (!status.ok()) return status;
  return file;
}

} // namespace

op_result<node_file> begin_start(storage::file_system& files, const std::string& folder,
                                 const std::string& cluster_name, replication::node_id node,
                                 std::uint64_t now_s) {
  const auto path = storage::join_path(folder, node_file_name);
  auto there = files.exists(path);
  if (!there) return there.status();
  node_file file{0, cluster_name, node, 0, 0};
  if (*there) {
    auto found = read(files, path);
    if (!found) return found.status();
    if (found->node != node || found->cluster_name != cluster_name)
      return op_status{
          op_code::invalid_argument,
          fmt::format("{}: this data folder belongs to node {} of cluster \"{}\", and is started "
                      "as node {} of \"{}\": name its own folder with storage.folder",
                      path, found->node.value, found->cluster_name, node.value, cluster_name)};
    file = *found;
  } else {
    file.instance = etcd::draw_id();
  }
  const auto start = std::max(now_s, (file.boot >> boots_of_a_start_bits) + 1);
  file.boot = start << boots_of_a_start_bits;
  if (auto status = write(files, folder, file); !status.ok()) return status;
  return file;
}

op_status join_cluster(storage::file_system& files, const std::string& folder, node_file& file,
                       std::uint64_t cluster_id) {
  if (file.cluster_id == cluster_id) return {};
  if (file.cluster_id != 0)
    return {op_code::invalid_argument,
            fmt::format("{} belongs to the cluster \"{}\" with id {}, and etcd has another one of "
                        "this name, with id {}: name its own etcd with cluster.etcd, or a new "
                        "folder with storage.folder",
                        storage::join_path(folder, node_file_name), file.cluster_name,
                        file.cluster_id, cluster_id)};
  file.cluster_id = cluster_id;
  return write(files, folder, file);
}

} // namespace warp::cluster
