#include "cluster/corked_stream.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <kj/async-io.h>
#include <random>
#include <string>
#include <vector>

namespace warp::cluster {
namespace {

/// A message of several segments with random words. Not a capnp structure: the stream does not look
/// inside.
struct raw_message {
  std::vector<std::vector<std::uint64_t>> segments;

  [[nodiscard]] std::vector<kj::ArrayPtr<const capnp::word>> pointers() const {
    std::vector<kj::ArrayPtr<const capnp::word>> out;
    for (auto& s : segments)
      out.push_back({reinterpret_cast<const capnp::word*>(s.data()), s.size()});
    return out;
  }
  [[nodiscard]] std::string bytes() const {
    const auto all = pointers();
    const auto flat = capnp::messageToFlatArray(kj::arrayPtr(all.data(), all.size()));
    return {reinterpret_cast<const char*>(flat.begin()), flat.asBytes().size()};
  }
};

raw_message random_message(std::mt19937_64& random, std::size_t segments_max,
                           std::size_t words_max) {
  raw_message m;
  m.segments.resize(1 + random() % segments_max);
  for (auto& s : m.segments) {
    s.resize(random() % (words_max + 1));
    for (auto& w : s) w = random();
  }
  return m;
}

void check_same(capnp::MessageReader& reader, const raw_message& sent) {
  for (unsigned i = 0; i < sent.segments.size(); ++i) {
    const auto got = reader.getSegment(i);
    REQUIRE(got.size() == sent.segments[i].size());
    if (got.size() != 0)
      REQUIRE(std::memcmp(got.begin(), sent.segments[i].data(), got.size() * 8) == 0);
  }
  REQUIRE(reader.getSegment(static_cast<unsigned>(sent.segments.size())).size() == 0);
}

/// A connected pair of sockets: `near` is under test, `far` is the peer's bare end.
struct fixture {
  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::TwoWayPipe pipe = io.provider->newTwoWayPipe();
  kj::AsyncIoStream& near = *pipe.ends[0];
  kj::AsyncIoStream& far = *pipe.ends[1];
  kj::Timer& timer = io.provider->getTimer();

  kj::Maybe<kj::Own<capnp::MessageReader>> read(corked_stream& stream) {
    return stream.tryReadMessage().wait(io.waitScope);
  }
  void send(const std::string& bytes) { far.write(bytes.data(), bytes.size()).wait(io.waitScope); }
  /// Sends little-endian numbers of 32 bits.
  void send_u32(std::vector<std::uint32_t> numbers) {
    far.write(numbers.data(), numbers.size() * 4).wait(io.waitScope);
  }
  std::string receive(std::size_t size) {
    std::string out(size, '\0');
    far.read(out.data(), size).wait(io.waitScope);
    return out;
  }
};

TEST_CASE("messages arrive whole whatever the cuts between their bytes", "[cluster][stream]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  fixture f;
  corked_stream stream{f.near, f.timer, {}};
  std::vector<raw_message> sent;
  std::string bytes;
  for (int i = 0; i < 3; ++i) {
    sent.push_back(random_message(random, 4, 9));
    bytes += sent.back().bytes();
  }
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    f.send(bytes.substr(0, cut));
    auto first = stream.tryReadMessage();
    first.poll(f.io.waitScope); // takes what there is
    f.send(bytes.substr(cut));
    auto reader = first.wait(f.io.waitScope);
    for (std::size_t i = 0; i < sent.size(); ++i) {
      if (i != 0) reader = f.read(stream);
      check_same(*KJ_REQUIRE_NONNULL(reader), sent[i]);
    }
  }
}

TEST_CASE("a message that arrives byte by byte arrives", "[cluster][stream]") {
  std::mt19937_64 random{1};
  fixture f;
  corked_stream stream{f.near, f.timer, {}};
  const auto sent = random_message(random, 5, 6);
  auto reading = stream.tryReadMessage();
  for (const char c : sent.bytes()) {
    CHECK_FALSE(reading.poll(f.io.waitScope));
    f.send(std::string(1, c));
  }
  check_same(*KJ_REQUIRE_NONNULL(reading.wait(f.io.waitScope)), sent);
}

TEST_CASE("messages of any size pass between two streams in order", "[cluster][stream]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  fixture f;
  corked_stream sender{f.far, f.timer, {}}, stream{f.near, f.timer, {}};
  for (int round = 0; round < 20; ++round) {
    std::vector<raw_message> sent;
    for (int i = 0; i < 30; ++i)
      sent.push_back(random_message(random, 6, i % 10 == 0 ? 60'000 : 40));
    for (auto& m : sent) {
      auto segments = m.pointers();
      sender.writeMessage(kj::arrayPtr(segments.data(), segments.size())).wait(f.io.waitScope);
    }
    for (auto& m : sent) check_same(*KJ_REQUIRE_NONNULL(f.read(stream)), m);
  }
  CHECK(sender.unsent_bytes() == 0);
}

TEST_CASE("messages that are kept until they are sent arrive whole and are let go",
          "[cluster][stream]") {
  struct kept : kj::Refcounted {
    raw_message m;
    int& alive;
    kept(raw_message from, int& count) : m(std::move(from)), alive(count) { ++alive; }
    ~kept() { --alive; }
  };
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  fixture f;
  corked_stream sender{f.far, f.timer, {}}, stream{f.near, f.timer, {}};
  int alive = 0;
  std::vector<raw_message> sent;
  for (int i = 0; i < 200; ++i) {
    sent.push_back(random_message(random, 4, i % 5 == 0 ? 20'000 : 200));
    auto owner = kj::refcounted<kept>(sent.back(), alive);
    const auto segments = owner->m.pointers();
    if (i % 3 == 0)
      sender.send(kj::arrayPtr(segments.data(), segments.size()));
    else
      sender.send(kj::arrayPtr(segments.data(), segments.size()), kj::mv(owner));
  }
  CHECK(alive > 0);
  for (auto& m : sent) check_same(*KJ_REQUIRE_NONNULL(f.read(stream)), m);
  CHECK(sender.unsent_bytes() == 0);
  CHECK(alive == 0);
}

TEST_CASE("messages of one turn leave in one piece", "[cluster][stream]") {
  fixture f;
  std::atomic<std::uint64_t> received{0}, sent{0};
  corked_stream stream{f.near, f.timer, {}, &received, &sent};
  raw_message m{{{1, 2, 3}}};
  auto segments = m.pointers();
  for (int i = 0; i < 10; ++i)
    stream.writeMessage(kj::arrayPtr(segments.data(), segments.size())).wait(f.io.waitScope);
  const auto all = 10 * m.bytes().size();
  std::string bytes(all, '\0');
  CHECK(f.far.tryRead(bytes.data(), 1, all).wait(f.io.waitScope) == all);
  CHECK(sent == all);
}

TEST_CASE("the end of the stream between messages is no error", "[cluster][stream]") {
  fixture f;
  corked_stream stream{f.near, f.timer, {}};
  f.far.shutdownWrite();
  CHECK(f.read(stream) == nullptr);
  CHECK(stream.ended());
  CHECK(stream.fault() == stream_fault::none);
}

TEST_CASE("the end of the stream within a message is a fault", "[cluster][stream]") {
  std::mt19937_64 random{2};
  const auto bytes = random_message(random, 3, 5).bytes();
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    fixture f;
    corked_stream stream{f.near, f.timer, {}};
    f.send(bytes.substr(0, cut));
    f.far.shutdownWrite();
    CHECK_THROWS_AS(f.read(stream), kj::Exception);
    CHECK(stream.fault() == stream_fault::malformed);
    CHECK_THROWS_AS(f.read(stream), kj::Exception);
  }
}

TEST_CASE("an announced size above the limit is refused before memory is taken",
          "[cluster][stream]") {
  fixture f;
  stream_limits limits;
  limits.message_bytes_max = 1 << 20;
  corked_stream stream{f.near, f.timer, limits};
  auto fault = stream.on_fault();

  SECTION("one giant segment") {
    f.send_u32({0, 0xffff'ffff});
  }
  SECTION("one word too many") {
    f.send_u32({0, (1 << 20) / 8});
  }
  SECTION("a sum of segments") {
    f.send_u32({2, 100'000, 100'000, 100'000});
  }
  SECTION("sizes whose sum wraps 32 bits") {
    f.send_u32({2, 0x8000'0000, 0x8000'0000, 1});
  }
  CHECK_THROWS_AS(f.read(stream), kj::Exception);
  CHECK(stream.fault() == stream_fault::oversized);
  CHECK(stream.fault_text().find("the limit is 1048576") != std::string::npos);
  CHECK(stream.input_bytes_held() <= 64 * 1024);
  fault.wait(f.io.waitScope);
}

TEST_CASE("a message of exactly the limit passes", "[cluster][stream]") {
  fixture f;
  stream_limits limits;
  limits.message_bytes_max = 1 << 20;
  corked_stream sender{f.far, f.timer, {}}, stream{f.near, f.timer, limits};
  raw_message m{{std::vector<std::uint64_t>((1 << 20) / 8 - 1, 7)}};
  auto segments = m.pointers();
  sender.writeMessage(kj::arrayPtr(segments.data(), segments.size())).wait(f.io.waitScope);
  check_same(*KJ_REQUIRE_NONNULL(f.read(stream)), m);
}

TEST_CASE("too many segments are refused before their table is read", "[cluster][stream]") {
  fixture f;
  corked_stream stream{f.near, f.timer, {}};
  SECTION("513") {
    f.send_u32({512, 1});
  }
  SECTION("2^32") {
    f.send_u32({0xffff'ffff, 1});
  }
  CHECK_THROWS_AS(f.read(stream), kj::Exception);
  CHECK(stream.fault() == stream_fault::malformed);
  CHECK(stream.input_bytes_held() <= 64 * 1024);
}

TEST_CASE("a message of 512 segments passes", "[cluster][stream]") {
  std::mt19937_64 random{3};
  fixture f;
  corked_stream sender{f.far, f.timer, {}}, stream{f.near, f.timer, {}};
  raw_message m;
  for (int i = 0; i < 512; ++i) m.segments.push_back({random()});
  auto segments = m.pointers();
  sender.writeMessage(kj::arrayPtr(segments.data(), segments.size())).wait(f.io.waitScope);
  check_same(*KJ_REQUIRE_NONNULL(f.read(stream)), m);
}

TEST_CASE("a large message that trickles in occupies what has arrived", "[cluster][stream]") {
  fixture f;
  corked_stream stream{f.near, f.timer, {}};
  const std::uint32_t words = 8'000'000; // 64 MB announced
  auto reading = stream.tryReadMessage();
  f.send_u32({0, words});
  CHECK_FALSE(reading.poll(f.io.waitScope));
  CHECK(stream.input_bytes_held() <= 256 * 1024);

  const std::string part(100'000, 'x');
  for (std::size_t sent = 0; sent < 2'000'000; sent += part.size()) {
    f.send(part);
    CHECK_FALSE(reading.poll(f.io.waitScope));
    CHECK(stream.input_bytes_held() <= 256 * 1024 + 2 * (sent + part.size()));
  }
}

TEST_CASE("random bytes end in a message or a fault and take no memory", "[cluster][stream]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  for (int round = 0; round < 300; ++round) {
    fixture f;
    stream_limits limits;
    limits.message_bytes_max = 64 * 1024;
    corked_stream stream{f.near, f.timer, limits};
    std::string bytes(random() % 2'000, '\0');
    for (auto& c : bytes) c = random() % 3 ? '\0' : static_cast<char>(random());
    f.send(bytes);
    f.far.shutdownWrite();
    try {
      for (bool more = true; more;) {
        KJ_IF_MAYBE (reader, f.read(stream)) {
          // What is inside may be anything: looking at it may fail, never crash.
          try {
            (void)(*reader)->getRoot<capnp::AnyPointer>().targetSize();
          } catch (const kj::Exception&) {
          }
        } else {
          more = false;
        }
      }
    } catch (const kj::Exception&) {
      CHECK(stream.fault() != stream_fault::none);
    }
    CHECK(stream.input_bytes_held() <= 256 * 1024);
  }
}

TEST_CASE("a message whose pointers cost more than it is worth is refused", "[cluster][stream]") {
  // A list of pointers that all lead to one large text: small to send, long to read.
  capnp::MallocMessageBuilder builder;
  auto list = builder.initRoot<capnp::List<capnp::Text>>(1'000);
  list.set(0, std::string(100'000, 'x').c_str());
  auto flat = capnp::messageToFlatArray(builder);
  std::string bytes{reinterpret_cast<const char*>(flat.begin()), flat.asBytes().size()};
  // Pointer i leads `offset` words past its own end: each next one is a word closer. The table is 8
  // B, the root pointer 8 B.
  for (std::size_t i = 1; i < 1'000; ++i) {
    std::uint64_t pointer = 0;
    std::memcpy(&pointer, bytes.data() + 16, 8);
    REQUIRE((pointer & 3) == 1);
    pointer -= std::uint64_t{i} << 2;
    std::memcpy(bytes.data() + 16 + 8 * i, &pointer, 8);
  }
  fixture f;
  corked_stream stream{f.near, f.timer, {}};
  auto reading = stream.tryReadMessage();
  auto writing = f.far.write(bytes.data(), bytes.size());
  auto reader = reading.wait(f.io.waitScope);
  auto texts = KJ_REQUIRE_NONNULL(reader)->getRoot<capnp::List<capnp::Text>>();
  std::size_t read = 0;
  const auto read_all = [&] {
    for (auto text : texts) read += text.size();
  };
  CHECK_THROWS_AS(read_all(), kj::Exception);
  CHECK(read <= 500'000);
}

TEST_CASE("nothing is read from a peer that does not read its answers", "[cluster][stream]") {
  fixture f;
  stream_limits limits;
  limits.unread_output_max = 100'000;
  corked_stream stream{f.near, f.timer, limits};
  raw_message m{{std::vector<std::uint64_t>(1'000'000, 5)}};
  auto segments = m.pointers();
  stream.writeMessage(kj::arrayPtr(segments.data(), segments.size())).wait(f.io.waitScope);
  f.send(raw_message{{{1}}}.bytes());

  auto reading = stream.tryReadMessage();
  CHECK_FALSE(reading.poll(f.io.waitScope));
  CHECK(stream.unsent_bytes() > limits.unread_output_max);
  CHECK(f.receive(m.bytes().size()) == m.bytes());
  CHECK(KJ_REQUIRE_NONNULL(reading.wait(f.io.waitScope))->getSegment(0).size() == 1);
}

TEST_CASE("a peer that leaves its answers unread for too long is given up", "[cluster][stream]") {
  fixture f;
  stream_limits limits;
  limits.output_stall_max = std::chrono::milliseconds{20};
  corked_stream stream{f.near, f.timer, limits};
  auto fault = stream.on_fault();
  raw_message m{{std::vector<std::uint64_t>(1'000'000, 5)}};
  auto segments = m.pointers();
  stream.writeMessage(kj::arrayPtr(segments.data(), segments.size())).wait(f.io.waitScope);
  fault.wait(f.io.waitScope);
  CHECK(stream.fault() == stream_fault::stalled);
  CHECK_THROWS_AS(
      stream.writeMessage(kj::arrayPtr(segments.data(), segments.size())).wait(f.io.waitScope),
      kj::Exception);
}

TEST_CASE("writing to a peer that is gone is a fault", "[cluster][stream]") {
  fixture f;
  corked_stream stream{f.near, f.timer, {}};
  auto fault = stream.on_fault();
  f.pipe.ends[1] = nullptr;
  raw_message m{{{1}}};
  auto segments = m.pointers();
  stream.writeMessage(kj::arrayPtr(segments.data(), segments.size())).wait(f.io.waitScope);
  fault.wait(f.io.waitScope);
  CHECK(stream.fault() == stream_fault::broken);
}

TEST_CASE("end() sends what is left before it closes", "[cluster][stream]") {
  fixture f;
  corked_stream stream{f.near, f.timer, {}};
  raw_message m{{std::vector<std::uint64_t>(200'000, 5)}};
  auto segments = m.pointers();
  stream.writeMessage(kj::arrayPtr(segments.data(), segments.size())).wait(f.io.waitScope);
  auto ending = stream.end();
  CHECK(f.receive(m.bytes().size()) == m.bytes());
  ending.wait(f.io.waitScope);
  char byte = 0;
  CHECK(f.far.tryRead(&byte, 1, 1).wait(f.io.waitScope) == 0);
}

} // namespace
} // namespace warp::cluster
