#include "cluster/watch_conversion.hpp"

#include "messages/conversion.hpp"
#include "messages/limits.hpp"

namespace warp::cluster {

void write_watch(const watch_options& what, wire::WatchRequest::Builder to) {
  to.setKey(as_data(what.key));
  to.setPrefix(what.prefix);
  to.setDurable(what.level == watch_level::durable);
  to.setStart(static_cast<wire::WatchStart>(what.start));
  to.setVersion(what.version);
  if (what.token) write_position(*what.token, to.initPosition());
}

op_status read_watch(wire::WatchRequest::Reader from, watch_options& what) {
  what = {};
  what.key = as_view(from.getKey());
  what.prefix = from.getPrefix();
  what.level = from.getDurable() ? watch_level::durable : watch_level::applied;
  switch (from.getStart()) {
  case wire::WatchStart::NOW:
  case wire::WatchStart::STATE:
  case wire::WatchStart::AFTER:
    what.start = static_cast<watch_start>(from.getStart());
    break;
  default:
    return {op_code::invalid_argument, "this start of a watch is not known to this version"};
  }
  what.version = from.getVersion();
  if (!from.hasPosition()) return {};
  return read_position(from.getPosition(), what.token.emplace());
}

void write_position(const watch_token& position, wire::WatchPosition::Builder to) {
  to.setUniverse(as_text(position.universe));
  to.setFirstShard(position.first_shard.value);
  auto versions = to.initVersions(static_cast<unsigned>(position.positions.size()));
  for (unsigned i = 0; i < versions.size(); ++i) versions.set(i, position.positions[i]);
}

op_status read_position(wire::WatchPosition::Reader from, watch_token& position) {
  const auto versions = from.getVersions();
  if (from.getFirstShard() >= shard_count_max || versions.size() > shard_count_max)
    return {op_code::invalid_argument, "a position of a watch with more shards than there can be"};
  position.universe = as_view(from.getUniverse());
  position.first_shard = shard_id{from.getFirstShard()};
  position.positions.clear();
  for (const auto version : versions) position.positions.push_back(version);
  return {};
}

void write_event(const watch_event& event, wire::WatchEvent::Builder to) {
  to.setKind(static_cast<wire::WatchKind>(event.kind));
  to.setState(event.state);
  to.setShard(event.shard.value);
  to.setVersion(event.version);
  to.setExpiresAtMs(event.expires_at_ms);
  to.setType(write_type(event.type));
  if (!event.key.empty()) to.setKey(as_data(event.key));
  if (!event.value.empty()) to.setValue(as_data(event.value));
}

bool read_event(wire::WatchEvent::Reader from, watch_event& event) {
  event = {};
  switch (from.getKind()) {
  case wire::WatchKind::PUT:
  case wire::WatchKind::ERASE:
  case wire::WatchKind::EXPIRE:
  case wire::WatchKind::LOST:
  case wire::WatchKind::STATE_END:
  case wire::WatchKind::LAGGED:
  case wire::WatchKind::SYNCED:
  case wire::WatchKind::FIELDS_SET:
  case wire::WatchKind::FIELDS_ERASED:
    break;
  default:
    return false;
  }
  event.kind = static_cast<watch_kind>(from.getKind());
  event.state = from.getState();
  event.shard = shard_id{from.getShard()};
  event.version = from.getVersion();
  event.expires_at_ms = from.getExpiresAtMs();
  const auto type = read_type(from.getType());
  if (!type) return false;
  event.type = *type;
  event.key = as_view(from.getKey());
  event.value = as_view(from.getValue());
  return true;
}

std::uint64_t words_of(const watch_event& event) noexcept {
  constexpr auto word = sizeof(capnp::word);
  return capnp::sizeInWords<wire::WatchEvent>() + (event.key.size() + word - 1) / word +
         (event.value.size() + word - 1) / word;
}

static_assert(static_cast<int>(wire::WatchKind::PUT) == static_cast<int>(watch_kind::put));
static_assert(static_cast<int>(wire::WatchKind::ERASE) == static_cast<int>(watch_kind::erase));
static_assert(static_cast<int>(wire::WatchKind::EXPIRE) == static_cast<int>(watch_kind::expire));
static_assert(static_cast<int>(wire::WatchKind::LOST) == static_cast<int>(watch_kind::lost));
static_assert(static_cast<int>(wire::WatchKind::STATE_END) ==
              static_cast<int>(watch_kind::state_end));
static_assert(static_cast<int>(wire::WatchKind::LAGGED) == static_cast<int>(watch_kind::lagged));
static_assert(static_cast<int>(wire::WatchKind::SYNCED) == static_cast<int>(watch_kind::synced));
static_assert(static_cast<int>(wire::WatchKind::ENDED) == static_cast<int>(watch_kind::ended));
static_assert(static_cast<int>(wire::WatchKind::FIELDS_SET) ==
              static_cast<int>(watch_kind::fields_set));
static_assert(static_cast<int>(wire::WatchKind::FIELDS_ERASED) ==
              static_cast<int>(watch_kind::fields_erased));
static_assert(static_cast<int>(wire::WatchStart::NOW) == static_cast<int>(watch_start::now));
static_assert(static_cast<int>(wire::WatchStart::STATE) == static_cast<int>(watch_start::state));
static_assert(static_cast<int>(wire::WatchStart::AFTER) == static_cast<int>(watch_start::after));

} // namespace warp::cluster
