#include "cluster/rpc_session.hpp"

#include "cluster/cluster_map.hpp"
#include "cluster/map_conversion.hpp"
#include "cluster/not_primary.hpp"
#include "cluster/rpc_admin.hpp"
#include "cluster/rpc_ingest.hpp"
#include "cluster/rpc_placement.hpp"
#include "cluster/rpc_session_detail.hpp"
#include "cluster/watch_conversion.hpp"
#include "storage/slot.hpp"

#include <algorithm>
#include <bit>
#include <kj/debug.h>
#include <optional>
#include <string>

namespace warp::cluster {

namespace {

constexpr std::size_t ping_bytes_max = 64 * 1024;
constexpr std::size_t scan_limit_default = 100, scan_limit_max = 10'000;

/// The shard that a cursor is in: it stands above the position in hash order.
shard_id shard_of_cursor(std::uint64_t cursor, std::uint32_t shard_count) noexcept {
  const auto bits = static_cast<unsigned>(std::countr_zero(shard_count));
  return shard_id{bits == 0 ? 0 : static_cast<std::uint32_t>(cursor >> (64 - bits))};
}

/// In a cluster: what lies in the next shards is cut off, as another node may serve them.
void end_with_shard(shard_id shard, const storage::engine& engine, storage::scan_page& page) {
  const auto count = engine.shard_count();
  std::erase_if(page.entries,
                [&](const storage::scan_entry& e) { return engine.shard_of(e.key) != shard; });
  if (page.next_cursor != 0 && shard_of_cursor(page.next_cursor, count) == shard) return;
  const auto bits = static_cast<unsigned>(std::countr_zero(count));
  page.next_cursor = shard.value + 1 == count ? 0 : std::uint64_t{shard.value + 1} << (64 - bits);
}

} // namespace

void write_info(const rpc_context& context, wire::Info::Builder to) {
  const auto& engine = context.engine;
  const bool in_memory = engine.options().folder.empty();
  to.setVersion(as_text(context.options.version));
  to.setShardCount(engine.shard_count());
  to.setDefaultDurability(write_durability(in_memory ? durability::memory
                                           : context.options.cluster != nullptr
                                               ? context.options.cluster->map()->level
                                               : engine.options().default_level));
  to.setValueBytesMax(engine.options().value_bytes_max);
  to.setBatchOperationsMax(static_cast<std::uint32_t>(batch_operations_max));
  to.setInMemoryOnly(in_memory);
  to.setUptimeMs(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                                std::chrono::steady_clock::now() - context.started)
                                                .count()));
  to.setClustered(context.options.cluster != nullptr);
}

op_status rpc_session::placement_of(std::string_view key) const {
  if (const auto shard = shard_elsewhere(context_, key)) [[unlikely]]
    return not_primary{*context_.options.cluster, *shard}.status();
  return {};
}

kj::Promise<void> rpc_session::cluster(ClusterContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  if (context_.options.cluster == nullptr)
    return refuse({op_code::not_supported, "this server is alone: it serves all shards"}, call);
  write_cluster_map(*context_.options.cluster->map(), call.getResults().initMap());
  return kj::READY_NOW;
}

kj::Promise<void> rpc_session::ping(PingContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  const auto payload = call.getParams().getPayload();
  KJ_REQUIRE(payload.size() <= ping_bytes_max, "a ping carries 64 KiB at most", payload.size());
  call.getResults(capnp::MessageSize{4 + words_for(payload.size()), 0}).setPayload(payload);
  return kj::READY_NOW;
}

kj::Promise<void> rpc_session::info(InfoContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  write_info(context_, call.getResults().initInfo());
  return kj::READY_NOW;
}

// -- one operation ------------------------------------------------------------------------------

template <class Call>
kj::Promise<void> rpc_session::single(operation op, op_status asked, Call& call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  context_.counters.operations.fetch_add(1, std::memory_order_relaxed);
  const auto params = call.getParams();
  op.key = as_view(params.getKey());
  const auto level = read_durability(params.getDurability());
  if (!level) asked = {op_code::invalid_argument, "this durability is not known to this version"};
  const auto header = params.hasCall() ? read_call(params.getCall()) : call_header{};

  storage::op_reply reply;
  reply_view answer;
  std::string text;
  std::optional<not_primary> elsewhere;
  if (asked.ok()) asked = refusal(1);
  if (asked.ok()) [[likely]]
    if (const auto shard = shard_elsewhere(context_, op.key)) [[unlikely]]
      elsewhere.emplace(*context_.options.cluster, *shard);
  if (asked.ok() && !elsewhere) [[likely]] {
    op.level = *level;
    if (is_write(op.kind)) op.request = header.request;
    begin_stream();
    context_.engine.execute({&op, 1}, {&reply, 1}, context_.arena);
    if (reply.large) [[unlikely]]
      reply.large = storage::as_bytes(reply.large);
    answer = {reply.code,      reply.shard, reply.version, reply.number, reply.expires_at_ms,
              value_of(reply), {},          reply.type};
    if (reply.code != op_code::ok)
      text = storage::describe(reply.code, op, context_.engine.options());
    if (went_elsewhere(context_, reply.code)) [[unlikely]]
      elsewhere.emplace(*context_.options.cluster, context_.engine.shard_of(op.key));
  } else if (!asked.ok()) {
    answer.code = asked.code();
    text = asked.message();
  }
  answer.message = text;
  if (elsewhere) [[unlikely]]
    answer = elsewhere->reply();
  if (counts_as_error(answer.code))
    context_.counters.errors.fetch_add(1, std::memory_order_relaxed);

  auto results = call.getResults(capnp::MessageSize{
      4 + reply_words + words_for(answer.value.size()) + words_for(answer.message.size() + 1), 0});
  write_reply(answer, results.initReply());
  context_.arena.clear();
  if (reply.durable_at == 0) return kj::READY_NOW;

  std::vector<pending> waiting{{0, is_write(op.kind), {reply.shard, reply.durable_at}}};
  return when_durable(std::move(waiting), header, call);
}

kj::Promise<void> rpc_session::get(GetContext call) {
  operation op;
  op.kind = op_kind::get;
  return single(op, {}, call);
}

kj::Promise<void> rpc_session::exists(ExistsContext call) {
  operation op;
  op.kind = op_kind::exists;
  return single(op, {}, call);
}

template <class Params>
op_status rpc_session::read_options(Params params, std::uint64_t now_ms, operation& op) {
  if (!params.hasWrite()) return {};
  return read_write(params.getWrite(), now_ms, op);
}

kj::Promise<void> rpc_session::put(PutContext call) {
  operation op;
  op.kind = op_kind::put;
  const auto params = call.getParams();
  op.value = as_view(params.getValue());
  auto asked = read_options(params, now_ms(context_), op);
  return single(op, std::move(asked), call);
}

kj::Promise<void> rpc_session::erase(EraseContext call) {
  operation op;
  op.kind = op_kind::erase;
  auto asked = read_options(call.getParams(), now_ms(context_), op);
  return single(op, std::move(asked), call);
}

kj::Promise<void> rpc_session::increment(IncrementContext call) {
  operation op;
  op.kind = op_kind::increment;
  op.delta = call.getParams().getDelta();
  return single(op, {}, call);
}

kj::Promise<void> rpc_session::expire(ExpireContext call) {
  operation op;
  op.kind = op_kind::expire;
  auto asked = read_options(call.getParams(), now_ms(context_), op);
  return single(op, std::move(asked), call);
}

// -- scans, bulk load, administration -----------------------------------------------------------

kj::Promise<void> rpc_session::scan(ScanContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  const auto params = call.getParams();
  const auto prefix = as_view(params.getPrefix());
  const bool keys_only = params.getKeysOnly();
  std::size_t limit = params.getLimit() == 0 ? scan_limit_default : params.getLimit();
  limit = std::min(limit, scan_limit_max);

  const auto* const cluster = context_.options.cluster;
  const auto shard = shard_of_cursor(params.getCursor(), context_.engine.shard_count());
  if (cluster != nullptr && !cluster->serves(shard))
    return refuse(not_primary{*cluster, shard}.status(), call);
  storage::scan_page page;
  const auto room_all = room_in_answer(context_, 0);
  constexpr auto entry_bytes = capnp::sizeInWords<wire::Entry>() * word_bytes + 2 * word_bytes;
  std::size_t room = 0, value_bytes = 0;
  for (;;) {
    page = {};
    if (auto status = context_.engine.scan(params.getCursor(), prefix, limit, page); !status.ok())
      return refuse(std::move(status), call);
    if (cluster != nullptr) end_with_shard(shard, context_.engine, page);
    std::size_t key_bytes = 0;
    value_bytes = 0;
    for (auto& e : page.entries) {
      if (e.large && !keys_only) e.large = storage::as_bytes(e.large);
      key_bytes += e.key.size() + entry_bytes;
      value_bytes += (e.large ? e.large.view() : e.value).size();
    }
    if (key_bytes <= room_all || limit == 1) {
      room = room_all - std::min(key_bytes, room_all);
      break;
    }
    limit = std::max<std::size_t>(1, limit / 8); // very long keys: a shorter page
  }

  auto results = call.getResults(capnp::MessageSize{
      16 + words_for(room_all - room +
                     (keys_only ? 0 : std::min(value_bytes + 8 * page.entries.size(), room))),
      0});
  auto entries = results.initEntries(static_cast<unsigned>(page.entries.size()));
  for (unsigned i = 0; i < entries.size(); ++i) {
    const auto& e = page.entries[i];
    const auto value = e.large ? e.large.view() : e.value;
    auto to = entries[i];
    to.setKey(as_data(e.key));
    to.setVersion(e.version);
    to.setExpiresAtMs(e.expires_at_ms);
    to.setType(write_type(e.type));
    if (keys_only || value.size() > room) {
      to.setValueOmitted(true);
    } else {
      to.setValue(as_data(value));
      room -= value.size();
    }
  }
  results.setNextCursor(page.next_cursor);
  return kj::READY_NOW;
}

kj::Promise<void> rpc_session::ingest(IngestContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  if (auto status = refusal(0); !status.ok()) return refuse(std::move(status), call);
  const auto level = read_durability(call.getParams().getDurability());
  if (!level)
    return refuse({op_code::invalid_argument, "this durability is not known to this version"},
                  call);
  call.getResults().setIngest(kj::heap<rpc_ingest>(context_, *level));
  return kj::READY_NOW;
}

kj::Promise<void> rpc_session::admin(AdminContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  if (auto status = refusal(0); !status.ok()) return refuse(std::move(status), call);
  if (!context_.admin)
    return refuse({op_code::not_supported, "this server has no operator's interface"}, call);
  call.getResults().setAdmin(kj::heap<rpc_admin>(context_));
  return kj::READY_NOW;
}

// -- watches ------------------------------------------------------------------------------------

kj::Promise<void> rpc_session::watch(WatchContext call) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  if (auto status = refusal(0); !status.ok()) return refuse(std::move(status), call);
  if (watches_->count >= context_.options.watches_max)
    return refuse({op_code::overloaded, "this connection has " + std::to_string(watches_->count) +
                                            " watches, the most that it may have"},
                  call);
  watch_options what;
  const auto params = call.getParams();
  if (auto status = read_watch(params.getWhat(), what); !status.ok())
    return refuse(std::move(status), call);
  if (context_.options.cluster != nullptr) {
    if (what.prefix && storage::hash_tag(what.key) == std::string_view{what.key})
      return refuse({op_code::not_supported,
                     "a cluster watches one key, or a prefix with a complete hash tag (\"{tag}\"): "
                     "what begins otherwise is on many nodes"},
                    call);
    if (auto status = placement_of(what.key); !status.ok()) return refuse(std::move(status), call);
  }
  const auto id = context_.watches.next_id();
  auto made = context_.engine.watch_changes(std::move(what), context_.watches.hook(id));
  if (!made) return refuse(made.status(), call);
  auto results = call.getResults();
  write_position((*made)->start(), results.initStart());
  results.setWatch(
      kj::heap<rpc_watch>(context_, watches_, id, params.getWatcher(), std::move(*made)));
  return kj::READY_NOW;
}

} // namespace warp::cluster
