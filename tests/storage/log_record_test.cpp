#include "storage/log_record.hpp"
#include "storage/record_body.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <random>
#include <string>

using namespace warp;
using namespace warp::storage;

namespace {

std::string encoded(const log_record& record, lsn_t expected) {
  char head[record_head_bytes_max];
  std::string bytes(head, encode_record_head(record, expected, head));
  bytes += record.key;
  bytes += record.payload();
  return bytes;
}

log_record decoded(std::string_view bytes, lsn_t before) {
  log_record record;
  lsn_t lsn = before;
  REQUIRE(decode_record(bytes, lsn, record));
  CHECK(bytes.empty());
  CHECK(lsn == record.lsn);
  return record;
}

log_record sample(std::mt19937_64& random) {
  log_record r;
  r.op = static_cast<log_op>(1 + random() % 3);
  r.lsn = 1 + random() % 1'000'000;
  if (r.op != log_op::erase) {
    r.meta.expires_at_ms = random() % 2 == 0 ? 0 : random();
    r.meta.rank = static_cast<priority>(random() % 5);
    r.meta.pattern = static_cast<access_pattern>(random() % 4);
  }
  if (random() % 2 == 0) r.request = {random() | 1, random(), random()};
  r.key = std::string_view{"a key that is long enough"}.substr(0, 1 + random() % 20);
  if (r.op == log_op::put) r.value = std::string_view{"and a value"}.substr(0, random() % 12);
  return r;
}

} // namespace

TEST_CASE("a plain put costs eight bytes beside key and value", "[storage][log]") {
  log_record r;
  r.lsn = 7;
  r.key = "key";
  r.value = "value";
  CHECK(encoded(r, 7).size() == 8 + 3 + 5);
  CHECK(is_plain_put(encoded(r, 7)));
  r.meta.rank = priority::background;
  r.meta.pattern = access_pattern{2};
  shared_bytes_maker maker;
  CHECK(plain_put_body(r.meta, r.key, r.value, maker) == body_of(r));
  r.meta.expires_at_ms = 1;
  CHECK_FALSE(is_plain_put(encoded(r, 7)));
}

TEST_CASE("every record comes back as it was written", "[storage][log]") {
  const auto seed = GENERATE(range(1u, 200u));
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  const auto r = sample(random);
  const auto before = random() % r.lsn; // a gap of any size to the record before
  const auto bytes = encoded(r, before + 1);
  const auto back = decoded(bytes, before);
  CHECK(back.op == r.op);
  CHECK(back.lsn == r.lsn);
  CHECK(back.meta.version == r.lsn);
  CHECK(back.meta.expires_at_ms == r.meta.expires_at_ms);
  CHECK(back.meta.rank == r.meta.rank);
  CHECK(back.meta.pattern == r.meta.pattern);
  CHECK(back.request == r.request);
  CHECK(back.key == r.key);
  CHECK(back.value == r.value);
}

TEST_CASE("a clear has neither key nor value, and nothing else in their place", "[storage][log]") {
  log_record r;
  r.op = log_op::clear;
  r.lsn = 9;
  r.key = "";
  for (const lsn_t before : {lsn_t{8}, lsn_t{3}}) {
    const auto bytes = encoded(r, before + 1);
    CHECK(bytes.size() == (before == 8 ? 8 : 14));
    const auto back = decoded(bytes, before);
    CHECK(back.op == log_op::clear);
    CHECK(back.lsn == 9);
    CHECK(back.key.empty());
    CHECK(back.value.empty());
    for (std::size_t i = 0; i < 8; ++i) { // no bit of its head but the one of the skip
      for (int bit = 0; bit < 8; ++bit) {
        auto other = bytes;
        other[i] = static_cast<char>(other[i] ^ 1 << bit);
        if (i == 0 && bit < 3) continue; // another operation
        log_record record;
        lsn_t lsn = before;
        std::string_view left = other;
        CHECK_FALSE((decode_record(left, lsn, record) && left.empty()));
      }
    }
  }
}

TEST_CASE("the longest key and the empty value fit", "[storage][log]") {
  const std::string key(key_size_max, 'k');
  log_record r;
  r.lsn = 1;
  r.key = key;
  const auto bytes = encoded(r, 1);
  const auto back = decoded(bytes, 0);
  CHECK(back.key == key);
  CHECK(back.value.empty());
}

TEST_CASE("cut or damaged record bytes are refused or read within their bounds", "[storage][log]") {
  const auto seed = GENERATE(range(1u, 50u));
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  const auto bytes = encoded(sample(random), 1);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string cut =
        bytes.substr(0, size); // a block of its own: the sanitizer sees a read beyond it
    std::string_view rest{cut};
    lsn_t lsn = 0;
    log_record record;
    CHECK_FALSE(decode_record(rest, lsn, record));
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    std::string_view rest{flipped};
    lsn_t lsn = 0;
    log_record record;
    const bool is_one = decode_record(rest, lsn, record);
    if (is_one) CHECK(record.key.size() + record.value.size() <= flipped.size());
    if (is_plain_put(flipped)) CHECK((is_one && rest.empty() && record.op == log_op::put));
  }
  std::string noise(random() % 200, '\0');
  for (auto& c : noise) c = static_cast<char>(random());
  std::string_view rest{noise};
  lsn_t lsn = random() % (lsn_max + 1);
  log_record record;
  while (!rest.empty() && decode_record(rest, lsn, record)) static_cast<void>(decode_parts(record));
}

TEST_CASE("changes that stand together come back with one version, and nothing else does",
          "[storage][log]") {
  const auto body = [](log_record r) {
    r.lsn = 9;
    return encoded(r, 9);
  };
  const auto clear = body({.op = log_op::clear, .key = ""});
  const auto put = body({.op = log_op::put, .key = "a", .value = "1"});
  const auto erase = body({.op = log_op::erase, .request = {7, 3, 2}, .key = "b"});
  const auto whole = [&](const std::string& bodies, lsn_t before) {
    return encoded({.op = log_op::together, .lsn = 9, .key = "", .value = bodies}, before + 1);
  };
  for (const lsn_t before : {lsn_t{8}, lsn_t{3}}) {
    const auto bytes = whole(clear + put + erase, before);
    auto back = decoded(bytes, before);
    CHECK(back.op == log_op::together);
    CHECK(back.lsn == 9);
    std::vector<std::string> changes;
    each_change(back, [&](log_record& change) {
      CHECK(change.lsn == 9);
      CHECK(change.joint);
      changes.push_back(std::to_string(static_cast<int>(change.op)) + std::string{change.key} +
                        std::string{change.value});
    });
    CHECK(changes == std::vector<std::string>{"7", "1a1", "2b"});
  }
  const auto refused = [&](const std::string& bodies) {
    const auto bytes = whole(bodies, 8);
    std::string_view left{bytes};
    lsn_t lsn = 8;
    log_record record;
    return !decode_record(left, lsn, record);
  };
  CHECK_FALSE(refused(put + erase));
  CHECK(refused(""));
  CHECK(refused(put)); // one is a record of its own
  CHECK(refused(put + put.substr(0, put.size() - 1)));
  CHECK(refused(put + body({.op = log_op::nothing, .key = ""})));
  CHECK(refused(put + whole(put + erase, 8)));                                  // no deeper
  CHECK(refused(put + encoded({.op = log_op::put, .lsn = 11, .key = "a"}, 9))); // another LSN
}

TEST_CASE("a transaction's list comes back, and a malformed one is empty", "[storage][log]") {
  const std::vector<transaction_part> parts{{shard_id{3}, 5, 9}, {shard_id{60}, 1, lsn_max}};
  std::string bytes(parts_record_bytes(parts.size()), '\0');
  encode_parts(parts, bytes.data());
  std::string_view rest{bytes};
  lsn_t lsn = 77;
  log_record record;
  REQUIRE(decode_record(rest, lsn, record));
  CHECK(lsn == 77); // it takes no LSN
  CHECK(record.op == log_op::parts);
  CHECK(decode_parts(record) == parts);
  record.value.remove_suffix(1);
  CHECK(decode_parts(record).empty());
  record.value = record.value.substr(0, part_bytes);
  CHECK(decode_parts(record).empty());
}

TEST_CASE("a value is compressed only when that saves a tenth of it", "[storage][log]") {
  std::mt19937_64 random{1};
  std::string noise(20'000, '\0');
  for (auto& c : noise) c = static_cast<char>(random());
  CHECK_FALSE(compress_value(noise));
  CHECK_FALSE(compress_value(""));

  const std::string text(20'000, 't');
  const auto packed = compress_value(text);
  REQUIRE(packed);
  CHECK(packed.view().size() < 200);

  log_record r;
  r.lsn = 1;
  r.key = "k";
  r.large = packed;
  r.compressed = true;
  const auto bytes = encoded(r, 1);
  auto back = decoded(bytes, 0);
  REQUIRE(back.compressed);

  SECTION("and comes back") {
    REQUIRE(expand(back).ok());
    CHECK(back.payload() == text);
    CHECK_FALSE(back.compressed);
    CHECK(expand(back).ok()); // nothing left to do
  }
  SECTION("and is refused beyond the limit") {
    const auto s = expand(back, text.size() - 1);
    CHECK(s == op_code::corruption);
    CHECK(s.message().find("20000") != std::string::npos);
  }
  SECTION("and is refused when damaged") {
    for (std::size_t i = 0; i < packed.view().size(); ++i) {
      std::string damaged{packed.view()};
      damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
      back.value = damaged;
      back.large = {};
      back.compressed = true;
      if (expand(back, 1 << 20).ok())
        CHECK(back.payload().size() <= (1 << 20)); // no checksum in it: the frame has one
    }
  }
}
