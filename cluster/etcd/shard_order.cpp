#include "cluster/etcd/shard_order.hpp"

#include "cluster/etcd/record_reader.hpp"

#include <limits>
#include <nlohmann/json.hpp>

namespace warp::cluster::etcd {

namespace {

using json = nlohmann::json;

constexpr std::uint64_t version = 1;

} // namespace

op_result<shard_order> read_shard_order(std::string_view key, std::string_view value) {
  const auto parsed = parse_record(key, value, version);
  if (!parsed) return parsed.status();
  op_status status;
  record_reader reader{key, *parsed, status};
  shard_order order;
  static_cast<void>(reader.number("version", version, version));
  order.node = replication::node_id{static_cast<std::uint32_t>(
      reader.number("accept_loss", 1, std::numeric_limits<std::uint32_t>::max()))};
  order.answer = reader.text("answer", 1'000);
  reader.finish();
  if (!status.ok()) return status;
  return order;
}

std::string to_value(const shard_order& order) {
  return json{{"version", version}, {"accept_loss", order.node.value}, {"answer", order.answer}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace warp::cluster::etcd
