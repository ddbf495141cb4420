#include "cluster/etcd/shard_record.hpp"

#include "cluster/etcd/record_reader.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace warp::cluster::etcd {

namespace {

using json = nlohmann::json;
using replication::member;
using replication::node_id;

constexpr std::uint64_t version = 1;
constexpr std::uint64_t epoch_max = std::uint64_t{1} << 53;

json to_json(const member& who) {
  return {{"node", who.node.value}, {"boot", std::to_string(who.boot.value)}};
}

json to_json(const std::vector<member>& members) {
  auto list = json::array();
  for (const auto& who : members) list.push_back(to_json(who));
  return list;
}

member read_member(std::string_view key, const json& object, op_status& status, std::string path) {
  record_reader reader{key, object, status, std::move(path)};
  const auto node = reader.number("node", 1, std::numeric_limits<std::uint32_t>::max());
  const member who{node_id{static_cast<std::uint32_t>(node)},
                   replication::boot_id{reader.id("boot")}};
  reader.finish();
  return who;
}

std::vector<member> read_members(std::string_view key, record_reader& reader, const char* name,
                                 std::size_t count_max, op_status& status) {
  std::vector<member> members;
  for (const auto& one : reader.array(name, count_max)) {
    const auto path = fmt::format("{}[{}]", name, members.size());
    if (!one.is_object()) {
      reader.refuse(path, "is no object");
      break;
    }
    members.push_back(read_member(key, one, status, path + "."));
  }
  return members;
}

std::vector<node_id> read_nodes(record_reader& reader, const char* name, std::size_t count_max) {
  std::vector<node_id> nodes;
  for (const auto& one : reader.array(name, count_max)) {
    const auto number = one.is_number_unsigned() ? one.get<std::uint64_t>() : 0;
    if (number == 0 || number > std::numeric_limits<std::uint32_t>::max()) {
      reader.refuse(fmt::format("{}[{}]", name, nodes.size()), "is no node id");
      break;
    }
    nodes.emplace_back(static_cast<std::uint32_t>(number));
  }
  return nodes;
}

} // namespace

op_result<shard_record> read_shard_record(std::string_view key, std::string_view value) {
  const auto parsed = parse_record(key, value, version);
  if (!parsed) return parsed.status();
  op_status status;
  record_reader reader{key, *parsed, status};
  shard_record record;
  static_cast<void>(reader.number("version", version, version));
  record.epoch = reader.number("epoch", 1, epoch_max);
  record.primary = read_member(key, reader.object("primary"), status, "primary.");
  record.isr = read_members(key, reader, "isr", members_max, status);
  record.learners = read_nodes(reader, "learners", learners_max);
  record.reset_epoch = reader.number("reset_epoch", 0, epoch_max);
  reader.finish();
  auto nodes = record.learners;
  for (const auto& who : record.isr) nodes.push_back(who.node);
  std::ranges::sort(nodes);
  if (const auto twice = std::ranges::adjacent_find(nodes); twice != nodes.end())
    reader.refuse("isr", fmt::format("and \"learners\" name node {} twice", twice->value));
  if (!record.lists(record.primary))
    reader.refuse("primary", "is not among those of \"isr\", with this boot");
  if (record.reset_epoch > record.epoch) reader.refuse("reset_epoch", "is above \"epoch\"");
  if (!status.ok()) return status;
  return record;
}

std::string to_value(const shard_record& record) {
  auto learners = json::array();
  for (const auto node : record.learners) learners.push_back(node.value);
  return json{{"version", version},
              {"epoch", record.epoch},
              {"primary", to_json(record.primary)},
              {"isr", to_json(record.isr)},
              {"learners", std::move(learners)},
              {"reset_epoch", record.reset_epoch}}
      .dump();
}

} // namespace warp::cluster::etcd
