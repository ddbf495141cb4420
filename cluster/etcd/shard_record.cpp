#include "cluster/etcd/shard_record.hpp"

#include "cluster/etcd/record_reader.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>

namespace warp::cluster::etcd {

namespace {

using json = nlohmann::json;
using replication::member;

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
  const member who{replication::node_id{static_cast<std::uint32_t>(node)},
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

} // namespace

shard_record with_authority(shard_record before, const replication::authority& next) {
  before.authority = next;
  std::erase_if(before.learners, [&](const member& who) { return next.boot_of(who.node); });
  return before;
}

op_result<shard_record> read_shard_record(std::string_view key, std::string_view value) {
  const auto parsed = parse_record(key, value, version);
  if (!parsed) return parsed.status();
  op_status status;
  record_reader reader{key, *parsed, status};
  shard_record record;
  auto& authority = record.authority;
  static_cast<void>(reader.number("version", version, version));
  authority.epoch = reader.number("epoch", 1, epoch_max);
  authority.primary = read_member(key, reader.object("primary"), status, "primary.");
  authority.isr = read_members(key, reader, "isr", members_max, status);
  record.learners = read_members(key, reader, "learners", learners_max, status);
  record.reset_epoch = reader.number("reset_epoch", 0, epoch_max);
  reader.finish();
  std::vector<replication::node_id> nodes;
  for (const auto* list : {&authority.isr, &record.learners})
    for (const auto& who : *list) nodes.push_back(who.node);
  std::ranges::sort(nodes);
  if (const auto twice = std::ranges::adjacent_find(nodes); twice != nodes.end())
    reader.refuse("isr", fmt::format("and \"learners\" name node {} twice", twice->value));
  if (!authority.lists(authority.primary))
    reader.refuse("primary", "is not among those of \"isr\", with this boot");
  if (record.reset_epoch >= authority.epoch) reader.refuse("reset_epoch", "is not below \"epoch\"");
  if (!status.ok()) return status;
  return record;
}

std::string to_value(const shard_record& record) {
  return json{{"version", version},
              {"epoch", record.authority.epoch},
              {"primary", to_json(record.authority.primary)},
              {"isr", to_json(record.authority.isr)},
              {"learners", to_json(record.learners)},
              {"reset_epoch", record.reset_epoch}}
      .dump();
}

} // namespace warp::cluster::etcd
