#include "cluster/programs/cluster_options.hpp"

#include "cluster/config_units.hpp"
#include "cluster/links/peer_address.hpp"

#include <string_view>

namespace warp::programs {

namespace {

cluster::links::peer_address address_of(const std::string& listen) {
  const auto at = cluster::parse_address(listen);
  if (!at) return {};
  return {at->host == "*" ? "0.0.0.0" : at->host, at->port};
}

} // namespace

cluster::cluster_node_options cluster_options_of(const cluster::server_config& config) {
  const auto& c = config.cluster;
  cluster::cluster_node_options options;
  options.cluster = c.name;
  options.id = cluster::replication::node_id{c.node};
  options.zone = c.zone;
  for (std::string_view rest = c.etcd; !rest.empty();) {
    const auto comma = rest.find(',');
    if (const auto one = rest.substr(0, comma); !one.empty())
      options.etcd.endpoints.emplace_back(one);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  options.etcd.ca_file = c.etcd_ca;
  options.etcd.cert_file = c.etcd_cert;
  options.etcd.key_file = c.etcd_key;
  options.links.listen = address_of(c.listen);
  if (!c.ca.empty()) options.links.tls = cluster::links::tls_files{c.cert, c.key, c.ca};
  options.checkpoints = address_of(c.checkpoints);
  options.advertise = c.advertise;
  options.lease = c.lease;
  options.links.threads = c.threads;
  return options;
}

std::string advertised(const cluster::server_config& c, const std::string& listen,
                       std::uint16_t port) {
  if (listen.empty()) return {};
  auto address = address_of(listen);
  if (!c.cluster.advertise.empty()) address.host = c.cluster.advertise;
  address.port = port;
  return cluster::links::to_string(address);
}

} // namespace warp::programs
