#include "cluster/etcd/cluster_config.hpp"

#include "cluster/etcd/record_reader.hpp"

#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <random>

namespace warp::cluster::etcd {

namespace {

using json = nlohmann::json;
using replication::ack_level;

constexpr std::uint64_t version = 1;

void read_slots(record_reader& reader, cluster_config& config) {
  std::uint32_t next = 0;
  std::vector<bool> has_slots(config.shards);
  for (const auto& range : reader.array("slots", slot_count)) {
    const auto name = fmt::format("slots[{}]", config.slots.size());
    if (!range.is_array() || range.size() != 3 || !range[0].is_number_unsigned() ||
        !range[1].is_number_unsigned() || !range[2].is_number_unsigned())
      return reader.refuse(name, "is not [first slot, last slot, shard]");
    const auto first = range[0].get<std::uint64_t>(), last = range[1].get<std::uint64_t>(),
               shard = range[2].get<std::uint64_t>();
    if (first != next)
      return reader.refuse(name,
                           fmt::format("begins with slot {}, and {} comes next", first, next));
    if (last < first || last >= slot_count)
      return reader.refuse(name, fmt::format("ends with slot {}: {} to {} are possible", last,
                                             first, slot_count - 1));
    if (shard >= config.shards)
      return reader.refuse(name,
                           fmt::format("names shard {}, and there are {}", shard, config.shards));
    next = static_cast<std::uint32_t>(last) + 1;
    has_slots[shard] = true;
    config.slots.push_back({static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last),
                            shard_id{static_cast<std::uint32_t>(shard)}});
  }
  if (next != slot_count)
    return reader.refuse("slots", fmt::format("ends before slot {}: all up to {} must be there",
                                              next, slot_count - 1));
  for (std::size_t shard = 0; shard < has_slots.size(); ++shard)
    if (!has_slots[shard])
      return reader.refuse("slots", fmt::format("has none for shard {}", shard));
}

} // namespace

std::uint64_t draw_id() {
  std::random_device random;
  return std::max<std::uint64_t>(1, (std::uint64_t{random()} << 32) | random());
}

std::vector<slot_range> equal_slots(std::uint32_t shards) {
  std::vector<slot_range> slots;
  const auto each = slot_count / shards;
  for (std::uint32_t s = 0; s < shards; ++s)
    slots.push_back({s * each, (s + 1) * each - 1, shard_id{s}});
  return slots;
}

op_result<cluster_config> read_cluster_config(std::string_view key, std::string_view value) {
  const auto parsed = parse_record(key, value, version);
  if (!parsed) return parsed.status();
  op_status status;
  record_reader reader{key, *parsed, status};
  cluster_config config;
  static_cast<void>(reader.number("version", version, version));
  config.id = reader.id("id");
  config.shards = static_cast<std::uint32_t>(reader.number("shards", 1, shard_count_max));
  if (!std::has_single_bit(config.shards)) reader.refuse("shards", "is no power of two");
  config.rf = static_cast<std::uint32_t>(reader.number("rf", 1, 7));
  config.min_isr = static_cast<std::uint32_t>(reader.number("min_isr", 1, 7));
  if (config.min_isr > config.rf) reader.refuse("min_isr", "is more than rf");
  const auto level = reader.text("level", 64);
  if (level == "replicated")
    config.level = ack_level::replicated;
  else if (level != "durable")
    reader.refuse("level", R"(is neither "replicated" nor "durable")");
  if (status.ok()) read_slots(reader, config);
  record_reader formats{key, reader.object("formats"), status, "formats."};
  config.log_format = static_cast<std::uint32_t>(formats.number("log", 1, 1'000));
  config.message_format = static_cast<std::uint32_t>(formats.number("messages", 1, 1'000));
  formats.finish();
  reader.finish();
  if (!status.ok()) return status;
  return config;
}

std::string to_value(const cluster_config& config) {
  auto slots = json::array();
  for (const auto& range : config.slots)
    slots.push_back({range.first, range.last, range.shard.value});
  return json{{"version", version},
              {"id", std::to_string(config.id)},
              {"shards", config.shards},
              {"rf", config.rf},
              {"min_isr", config.min_isr},
              {"level", config.level == ack_level::durable ? "durable" : "replicated"},
              {"slots", std::move(slots)},
              {"formats", {{"log", config.log_format}, {"messages", config.message_format}}}}
      .dump();
}

} // namespace warp::cluster::etcd
