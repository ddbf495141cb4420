#include "cluster/links/envelope.hpp"

#include "messages/replication.capnp.h"
#include "tests/links/random_messages.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <functional>

using namespace warp;
using namespace warp::cluster::links;
namespace rep = warp::cluster::replication;

namespace {

const auto self = test_identity(3, 77);

std::vector<char> encoded(std::span<const shard_message> messages) {
  auto bytes = encode_envelope(self, messages);
  REQUIRE(bytes.ok());
  return std::move(*bytes);
}

/// Records without bodies, each with its LSN and epoch.
void set_records(wire::Append::Builder append,
                 const std::vector<std::pair<lsn_t, epoch_t>>& records) {
  constexpr std::uint32_t has_place = 1u << 31;
  auto* at = append.initRecords(static_cast<unsigned>(20 * records.size())).begin();
  for (const auto& [lsn, epoch] : records) {
    std::memcpy(at, &has_place, 4);
    std::memcpy(at + 4, &lsn, 8);
    std::memcpy(at + 12, &epoch, 8);
    at += 20;
  }
  append.setRecordCount(static_cast<std::uint32_t>(records.size()));
}

/// An envelope with one message, after `change`; what decoding it says.
op_status refusal(const std::function<void(wire::Envelope::Builder)>& change) {
  capnp::MallocMessageBuilder message{4096};
  auto e = message.initRoot<wire::Envelope>();
  e.setFormat(envelope_format);
  e.setClusterId(1);
  e.setNode(2);
  e.setBoot(3);
  auto m = e.initMessages(1)[0];
  m.setShard(5);
  m.setBoot(6);
  auto append = m.getBody().initAppend();
  append.setEpoch(4);
  append.setPreviousLsn(10);
  append.setPreviousEpoch(2);
  set_records(append, {{11, 3}, {12, 3}});
  change(e);
  const auto words = capnp::messageToFlatArray(message);
  const auto decoded = decode_envelope({words.asChars().begin(), words.asChars().size()});
  return decoded.ok() ? op_status{} : decoded.status();
}

} // namespace

TEST_CASE("every message comes back as it was sent", "[links][envelope]") {
  const auto seed = std::uint64_t{20261121};
  INFO("seed " << seed);
  random_messages make{seed};
  for (int round = 0; round < 300; ++round) {
    std::vector<shard_message> sent;
    for (auto n = make.below(40); n > 0; --n) sent.push_back(make.next(self.node));
    const auto bytes = encoded(sent);
    const auto got = decode_envelope(bytes);
    REQUIRE(got.ok());
    CHECK((got->cluster == self.cluster && got->node == self.node && got->boot == self.boot));
    REQUIRE(got->messages.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) REQUIRE(same(sent[i], got->messages[i]));
  }
}

TEST_CASE("the announced size of a message is what it takes", "[links][envelope]") {
  random_messages make{7};
  const auto empty = encoded({}).size();
  for (int i = 0; i < 300; ++i) {
    const auto m = make.next(self.node);
    const auto taken = encoded({&m, 1}).size() - empty;
    // An Append without records has no list, and so no tag of one.
    CHECK(taken <= encoded_bytes(m));
    CHECK(encoded_bytes(m) - taken <= 8);
  }
}

TEST_CASE("a heartbeat of 1,000 shards takes 96 bytes a shard", "[links][envelope]") {
  std::vector<shard_message> beats;
  for (std::uint32_t i = 0; i < 1'000; ++i)
    beats.push_back({shard_id{i}, {{self.node, boot_id{9}}, rep::append{4, 100, 4, 100, 5, {}}}});
  CHECK(encoded(beats).size() <= 96 * 1'000 + 64);
}

TEST_CASE("a record beyond what a message can carry is refused before it is copied",
          "[links][envelope]") {
  rep::append a{1, 0, 0, 0, 0, {{1, 1, false, std::string(record_body_bytes_max + 1, 0)}}};
  const shard_message m{shard_id{3}, {{self.node, boot_id{1}}, std::move(a)}};
  const auto bytes = encode_envelope(self, {&m, 1});
  REQUIRE_FALSE(bytes.ok());
  CHECK(bytes.code() == op_code::invalid_argument);
}

TEST_CASE("an envelope that cannot be is refused as a whole, with what is wrong",
          "[links][envelope]") {
  using builder = wire::Envelope::Builder;
  const auto message = [](builder e) { return e.getMessages()[0]; };
  const auto append = [](builder e) { return e.getMessages()[0].getBody().getAppend(); };
  CHECK(refusal([](builder) {}).ok());
  CHECK(refusal([](builder e) { e.setFormat(envelope_format + 1); }).code() ==
        op_code::not_supported);
  const std::vector<std::function<void(builder)>> wrongs{
      [](builder e) { e.setNode(0); },
      [](builder e) { e.setBoot(0); },
      [](builder e) { e.setClusterId(0); },
      [&](builder e) { message(e).setBoot(0); },
      [&](builder e) { message(e).getBody().setUnspecified(); },
      [&](builder e) { append(e).setEpoch(0); },
      [&](builder e) { append(e).setPreviousLsn(lsn_max + 1); },
      [&](builder e) { append(e).setCommitLsn(lsn_max + 1); },
      [&](builder e) { append(e).setPreviousEpoch(5); },
      [&](builder e) {
        set_records(append(e), {{10, 3}, {12, 3}});
      },
      [&](builder e) {
        set_records(append(e), {{11, 3}, {11, 3}});
      },
      [&](builder e) {
        set_records(append(e), {{11, 3}, {lsn_max + 1, 3}});
      },
      [&](builder e) {
        set_records(append(e), {{11, 5}, {12, 5}});
      },
      [&](builder e) {
        set_records(append(e), {{11, 3}, {12, 2}});
      },
      [&](builder e) { append(e).setRecordCount(0); },
      [&](builder e) { append(e).setRecordCount(1); },
      [&](builder e) { append(e).setRecordCount(3); },
      [&](builder e) { append(e).setRecordCount(~0u); },
      [&](builder e) { append(e).getRecords()[0] = 1; },     // it ends within the second one
      [&](builder e) { append(e).getRecords()[3] = 0; },     // no place follows
      [&](builder e) { append(e).getRecords()[3] |= 0x20; }, // a kind that is not known
      [&](builder e) {
        auto ack = message(e).getBody().initAppendAck();
        ack.setEpoch(1);
        ack.setDurableLsn(2);
        ack.setAppendedLsn(1);
      },
      [&](builder e) { message(e).getBody().initAppendAck().setAppendedLsn(1); },
      [&](builder e) { message(e).getBody().initAppendNack().setNeedFrom(lsn_max + 2); },
      [&](builder e) { message(e).getBody().initJoin().setLastLsn(lsn_max + 1); },
  };
  for (std::size_t i = 0; i < wrongs.size(); ++i) {
    INFO("case " << i);
    const auto status = refusal(wrongs[i]);
    CHECK(status.code() == op_code::corruption);
    CHECK_FALSE(status.message().empty());
  }
}

TEST_CASE("an envelope cut short anywhere is refused", "[links][envelope]") {
  random_messages make{11};
  std::vector<shard_message> sent;
  for (int i = 0; i < 5; ++i) sent.push_back(make.next(self.node));
  const auto bytes = encoded(sent);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    REQUIRE_FALSE(decode_envelope(std::span{bytes}.first(size)).ok());
}

TEST_CASE("an envelope at an odd address is read as well", "[links][envelope]") {
  const shard_message m{shard_id{1}, {{self.node, boot_id{2}}, rep::rebuild{9}}};
  auto bytes = encoded({&m, 1});
  bytes.insert(bytes.begin(), 3, 'x');
  const auto got = decode_envelope(std::span{bytes}.subspan(3));
  REQUIRE(got.ok());
  CHECK(same(got->messages.at(0), m));
}

TEST_CASE("pointers that all point at one large list do not multiply it", "[links][envelope]") {
  // A reader that followed each of them would hold the list as many times as there are pointers.
  std::vector<rep::log_record> records;
  for (lsn_t i = 1; i <= 1'000; ++i) records.push_back({i, 1, false, std::string(64, 'x')});
  rep::append a{1, 0, 0, 0, 0, std::move(records)};
  std::vector<shard_message> sent;
  for (int i = 0; i < 40; ++i)
    sent.push_back({shard_id{1}, {{self.node, boot_id{2}}, rep::append{1, 0, 0, 0, 0, {}}}});
  sent.push_back({shard_id{1}, {{self.node, boot_id{2}}, a}});
  auto bytes = encoded(sent);
  const auto word = [&](std::size_t i) { return bytes.data() + 8 * (1 + i); };
  const auto get = [&](std::size_t i) {
    std::uint64_t w;
    std::memcpy(&w, word(i), 8);
    return w;
  };
  // The last Append's pointer to its records: a list (1) of bytes (2); the first has a place.
  const auto words = bytes.size() / 8 - 1;
  std::size_t source = 0;
  std::vector<std::size_t> empties;
  for (std::size_t i = 0; i < 500 && i < words; ++i) {
    const auto w = get(i);
    if ((w & 3) == 1 && (w >> 32 & 7) == 2 && (w >> 35) == 16 + 68 * 1'000) source = i;
  }
  REQUIRE(source != 0);
  const auto target = source + 1 + (get(source) >> 2 & 0x3fffffff);
  // The 40 others have their records' pointer, 0, as the last word of 8 before the last one's.
  for (std::size_t i = 1; i <= 40; ++i) {
    const auto at = source - 8 * i;
    REQUIRE(get(at) == 0);
    const std::uint64_t w = 1 | std::uint64_t{target - at - 1} << 2 | get(source) >> 32 << 32;
    std::memcpy(word(at), &w, 8);
  }
  const auto got = decode_envelope(bytes);
  REQUIRE_FALSE(got.ok());
  CHECK(got.code() == op_code::corruption);
}
