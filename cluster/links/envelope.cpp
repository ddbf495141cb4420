#include "cluster/links/envelope.hpp"

#include "cluster/links/flat_message.hpp"
#include "cluster/links/packed_records.hpp"
#include "messages/conversion.hpp"
#include "messages/replication.capnp.h"

#include <algorithm>
#include <capnp/message.h>
#include <fmt/format.h>
#include <memory>
#include <string_view>

namespace warp::cluster::links {

namespace {

using namespace replication;

// Sizes in words, pointers included, as the schema lays them out.
constexpr std::size_t envelope_words = 1 + 1 + 4 + 1; // table, root, struct, tag of its list
constexpr std::size_t message_words = 4;
constexpr std::size_t append_words = 8;
constexpr std::size_t ack_words = 5, nack_words = 2, join_words = 5;

constexpr std::size_t words_of(std::size_t bytes) {
  return (bytes + sizeof(capnp::word) - 1) / sizeof(capnp::word);
}

template <class... Cases>
struct one_of : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
one_of(Cases...) -> one_of<Cases...>;

std::size_t words(const shard_message& m) {
  return message_words +
         std::visit(one_of{
                        [](const append& a) { return append_words + words_of(packed_bytes(a)); },
                        [](const append_ack&) { return ack_words; },
                        [](const append_nack&) { return nack_words; },
                        [](const join&) { return join_words; },
                        [](const auto&) { return std::size_t{0}; },
                    },
                    m.what.body);
}

// -- writing ------------------------------------------------------------------------------------

void write(const append& m, wire::Append::Builder to) {
  to.setEpoch(m.epoch);
  to.setPreviousLsn(m.previous_lsn);
  to.setPreviousEpoch(m.previous_epoch);
  to.setCommitLsn(m.commit_lsn);
  to.setSentAt(m.sent_at);
  to.setResetEpoch(m.reset_epoch);
  to.setNoneAppended(!m.wants_appended);
  to.setNoneDurable(!m.wants_durable);
  if (m.records.empty()) return;
  to.setRecordCount(static_cast<std::uint32_t>(m.records.size()));
  auto bytes = to.initRecords(static_cast<unsigned>(packed_bytes(m)));
  pack_records(m, reinterpret_cast<char*>(bytes.begin()));
}

void write(const append_ack& m, wire::AppendAck::Builder to) {
  to.setEpoch(m.epoch);
  to.setAppendedLsn(m.appended_lsn);
  to.setDurableLsn(m.durable_lsn);
  to.setGrants(m.granted.has_value());
  if (m.granted) to.setGrantedAt(*m.granted);
}

void write(const shard_message& m, wire::ShardMessage::Builder to) {
  to.setShard(m.shard.value);
  to.setBoot(m.what.from.boot.value);
  auto body = to.getBody();
  std::visit(one_of{
                 [&](const append& b) { write(b, body.initAppend()); },
                 [&](const append_ack& b) { write(b, body.initAppendAck()); },
                 [&](const append_nack& b) {
                   auto nack = body.initAppendNack();
                   nack.setMaxEpoch(b.max_epoch);
                   nack.setNeedFrom(b.need_from);
                 },
                 [&](const join& b) {
                   auto hello = body.initJoin();
                   hello.setLastLsn(b.last_lsn);
                   hello.setLastEpoch(b.last_epoch);
                   hello.setCommitLsn(b.commit_lsn);
                   hello.setPins(b.pins);
                   hello.setIncomplete(b.incomplete);
                 },
                 [&](const rebuild& b) { body.setRebuild(b.epoch); },
                 [&](const checkpoint_request&) { body.setCheckpointRequest(); },
                 [&](const release& b) { body.setRelease(b.epoch); },
             },
             m.what.body);
}

op_status check_bodies(const shard_message& m) {
  const auto* a = std::get_if<append>(&m.what.body);
  if (!a) return {};
  if (a->records.body_bytes() > record_body_bytes_max)
    for (const auto& r : a->records)
      if (r.body.size() > record_body_bytes_max)
        return {
            op_code::invalid_argument,
            fmt::format("shard {}: the record at LSN {} has {} bytes, a message takes {}: lower "
                        "storage.value_max",
                        m.shard.value, r.lsn, r.body.size(), record_body_bytes_max)};
  if (const auto bytes = packed_bytes(*a); bytes > packed_bytes_max)
    return {op_code::invalid_argument,
            fmt::format("shard {}: an Append of {} records has {} bytes, a message takes {}",
                        m.shard.value, a->records.size(), bytes, packed_bytes_max)};
  return {};
}

// -- reading ------------------------------------------------------------------------------------

op_status wrong(std::string what) {
  return {op_code::corruption, std::move(what)};
}

op_status wrong_lsn(const char* which, lsn_t lsn) {
  return wrong(fmt::format("{} {} is above the highest LSN", which, lsn));
}

op_status read(wire::Append::Reader from, append& to) {
  to.epoch = from.getEpoch();
  to.previous_lsn = from.getPreviousLsn();
  to.previous_epoch = from.getPreviousEpoch();
  to.commit_lsn = from.getCommitLsn();
  to.sent_at = from.getSentAt();
  to.reset_epoch = from.getResetEpoch();
  to.wants_appended = !from.getNoneAppended();
  to.wants_durable = !from.getNoneDurable();
  if (to.reset_epoch > to.epoch)
    return wrong(
        fmt::format("an Append of epoch {} names a loss in epoch {}", to.epoch, to.reset_epoch));
  if (to.epoch == 0) return wrong("an Append of epoch 0");
  if (to.previous_lsn > lsn_max) return wrong_lsn("previous LSN", to.previous_lsn);
  if (to.commit_lsn > lsn_max) return wrong_lsn("commit LSN", to.commit_lsn);
  if (to.previous_epoch > to.epoch)
    return wrong(fmt::format("an Append of epoch {} follows a record of epoch {}", to.epoch,
                             to.previous_epoch));
  return unpack_records(as_view(from.getRecords()), from.getRecordCount(), to);
}

op_status read(wire::AppendAck::Reader from, append_ack& to) {
  to.epoch = from.getEpoch();
  to.appended_lsn = from.getAppendedLsn();
  to.durable_lsn = from.getDurableLsn();
  if (from.getGrants()) to.granted = from.getGrantedAt();
  if (to.epoch == 0) return wrong("an Ack of epoch 0");
  if (to.appended_lsn > lsn_max) return wrong_lsn("appended LSN", to.appended_lsn);
  if (to.durable_lsn > to.appended_lsn)
    return wrong(fmt::format("LSN {} is acknowledged as synced, but only {} as appended",
                             to.durable_lsn, to.appended_lsn));
  return {};
}

op_status read(wire::ShardMessage::Reader from, node_id node, shard_message& to) {
  to.shard = shard_id{from.getShard()};
  to.what.from = {node, boot_id{from.getBoot()}};
  if (from.getBoot() == 0) return wrong("a message of a copy without a boot");
  const auto body = from.getBody();
  switch (body.which()) {
  case wire::ShardMessage::Body::APPEND:
    return read(body.getAppend(), to.what.body.emplace<append>());
  case wire::ShardMessage::Body::APPEND_ACK:
    return read(body.getAppendAck(), to.what.body.emplace<append_ack>());
  case wire::ShardMessage::Body::APPEND_NACK: {
    const auto nack = body.getAppendNack();
    if (nack.getNeedFrom() > lsn_max + 1) return wrong_lsn("needed LSN", nack.getNeedFrom());
    to.what.body = append_nack{nack.getMaxEpoch(), nack.getNeedFrom()};
    return {};
  }
  case wire::ShardMessage::Body::JOIN: {
    const auto hello = body.getJoin();
    if (hello.getLastLsn() > lsn_max) return wrong_lsn("last LSN", hello.getLastLsn());
    if (hello.getCommitLsn() > lsn_max) return wrong_lsn("commit LSN", hello.getCommitLsn());
    if (hello.getPins() > lsn_max) return wrong_lsn("pinned LSN", hello.getPins());
    to.what.body = join{hello.getLastLsn(), hello.getLastEpoch(), hello.getCommitLsn(),
                        hello.getPins(), hello.getIncomplete()};
    return {};
  }
  case wire::ShardMessage::Body::REBUILD:
    to.what.body = rebuild{body.getRebuild()};
    return {};
  case wire::ShardMessage::Body::CHECKPOINT_REQUEST:
    to.what.body = checkpoint_request{};
    return {};
  case wire::ShardMessage::Body::RELEASE:
    to.what.body = release{body.getRelease()};
    return {};
  case wire::ShardMessage::Body::UNSPECIFIED:
    break;
  }
  return wrong(fmt::format("a message of the unknown kind {}", static_cast<int>(body.which())));
}

op_result<envelope> read(wire::Envelope::Reader from) {
  if (from.getFormat() != envelope_format)
    return op_status{op_code::not_supported, fmt::format("an envelope of format {}, this is {}",
                                                         from.getFormat(), envelope_format)};
  envelope to{
      cluster_id{from.getClusterId()}, node_id{from.getNode()}, boot_id{from.getBoot()}, {}};
  if (to.node.value == 0 || to.boot.value == 0 || to.cluster.value == 0)
    return wrong("an envelope without a sender");
  const auto messages = from.getMessages();
  to.messages.resize(messages.size());
  for (unsigned i = 0; i < messages.size(); ++i)
    if (auto status = read(messages[i], to.node, to.messages[i]); !status.ok())
      return op_status{status.code(),
                       fmt::format("message {} of {}, shard {}: {}", i, messages.size(),
                                   to.messages[i].shard.value, status.message())};
  return to;
}

} // namespace

std::size_t encoded_bytes(const shard_message& m) {
  return words(m) * sizeof(capnp::word);
}

op_result<std::vector<char>> encode_envelope(const node_identity& sender,
                                             std::span<const shard_message> messages,
                                             std::size_t headroom) {
  auto size = envelope_words;
  for (const auto& m : messages) {
    if (auto status = check_bodies(m); !status.ok()) return status;
    size += words(m);
  }
  std::vector<char> bytes(headroom + size * sizeof(capnp::word)); // zeroes, as the builder wants
  // The builder works in place: behind the table, whose first number, segments - 1, is 0.
  auto* const at = reinterpret_cast<capnp::word*>(bytes.data() + headroom);
  capnp::FlatMessageBuilder builder{kj::arrayPtr(at + 1, size - 1)};
  auto to = builder.initRoot<wire::Envelope>();
  to.setFormat(sender.format);
  to.setClusterId(sender.cluster.value);
  to.setNode(sender.node.value);
  to.setBoot(sender.boot.value);
  auto list = to.initMessages(static_cast<unsigned>(messages.size()));
  for (unsigned i = 0; i < messages.size(); ++i) write(messages[i], list[i]);
  const auto used = static_cast<std::uint32_t>(builder.getSegmentsForOutput()[0].size());
  std::memcpy(bytes.data() + headroom + sizeof(std::uint32_t), &used, sizeof used);
  bytes.resize(headroom + (used + std::size_t{1}) * sizeof(capnp::word));
  return bytes;
}

op_result<envelope> decode_envelope(std::span<const char> bytes) {
  return read_flat(bytes, "an envelope", [](capnp::MessageReader& message) {
    return read(message.getRoot<wire::Envelope>());
  });
}

} // namespace warp::cluster::links
