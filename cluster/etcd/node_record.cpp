#include "cluster/etcd/node_record.hpp"

#include "cluster/etcd/record_reader.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

namespace warp::cluster::etcd {

namespace {

using json = nlohmann::json;

constexpr std::uint64_t version = 1;

std::string read_address(record_reader& reader, const char* name) {
  auto text = reader.text(name, 270);
  if (text.empty()) return text;
  const auto colon = text.rfind(':');
  unsigned port = 0;
  if (colon != std::string::npos && colon != 0) {
    const auto [end, error] =
        std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) port = 0;
  }
  if (port == 0 || port > 65'535) reader.refuse(name, "is no HOST:PORT");
  return text;
}

} // namespace

op_result<node_record> read_node_record(std::string_view key, std::string_view value) {
  const auto parsed = parse_record(key, value, version);
  if (!parsed) return parsed.status();
  op_status status;
  record_reader reader{key, *parsed, status};
  node_record record;
  static_cast<void>(reader.number("version", version, version));
  record.boot = replication::boot_id{reader.id("boot")};
  record.instance = reader.id("instance");
  record.zone = reader.text("zone", 64);
  record_reader addresses{key, reader.object("addresses"), status, "addresses."};
  record.nodes = read_address(addresses, "nodes");
  if (record.nodes.empty()) addresses.refuse("nodes", "is empty");
  record.rpc = read_address(addresses, "rpc");
  record.resp = read_address(addresses, "resp");
  record.http = read_address(addresses, "http");
  record.checkpoints = read_address(addresses, "checkpoints");
  addresses.finish();
  reader.finish();
  if (!status.ok()) return status;
  return record;
}

std::string to_value(const node_record& record) {
  return json{{"version", version},
              {"boot", std::to_string(record.boot.value)},
              {"instance", std::to_string(record.instance)},
              {"zone", record.zone},
              {"addresses",
               {{"nodes", record.nodes},
                {"rpc", record.rpc},
                {"resp", record.resp},
                {"http", record.http},
                {"checkpoints", record.checkpoints}}}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace warp::cluster::etcd
