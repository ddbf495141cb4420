#include "messages/conversion.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <string>

namespace warp {
namespace {

class dice {
public:
  explicit dice(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t number() { return engine_(); }
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }
  std::string bytes(std::size_t size_max) {
    std::string out(below(size_max + 1), '\0');
    for (auto& c : out) c = static_cast<char>(engine_());
    return out;
  }

private:
  std::mt19937_64 engine_;
};

/// The message as a peer would read it: flat bytes, a reader of its own.
class travelled {
public:
  explicit travelled(capnp::MessageBuilder& message)
      : words_(capnp::messageToFlatArray(message)), reader_(words_) {}
  template <class T>
  typename T::Reader root() {
    return reader_.getRoot<T>();
  }
  [[nodiscard]] bool holds(std::string_view view) const {
    const auto bytes = words_.asBytes();
    return view.data() >= reinterpret_cast<const char*>(bytes.begin()) &&
           view.data() + view.size() <= reinterpret_cast<const char*>(bytes.end());
  }

private:
  kj::Array<capnp::word> words_;
  capnp::FlatArrayMessageReader reader_;
};

TEST_CASE("an operation comes back as it was sent", "[messages][conversion]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  dice roll{seed};
  for (int round = 0; round < 2'000; ++round) {
    const auto key = roll.bytes(80), value = roll.bytes(300);
    operation op;
    op.kind = static_cast<op_kind>(1 + roll.below(6));
    op.level = static_cast<durability>(roll.below(6));
    op.key = key;
    op.value = value;
    if (op.kind == op_kind::increment) op.delta = static_cast<std::int64_t>(roll.number());
    if (roll.below(2)) {
      op.condition = static_cast<write_condition>(roll.below(4));
      op.rank = static_cast<priority>(roll.below(5));
      op.pattern = static_cast<access_pattern>(roll.below(4));
      op.expected_version = roll.number();
      if (roll.below(2))
        op.expires_at_ms = roll.number();
      else
        op.keep_expiry = true;
    }

    capnp::MallocMessageBuilder message;
    write_operation(op, 0, message.initRoot<wire::Operation>());
    travelled there{message};
    operation back;
    REQUIRE(read_operation(there.root<wire::Operation>(), 5, back).ok());
    CHECK(back.kind == op.kind);
    CHECK(back.level == op.level);
    CHECK(back.condition == op.condition);
    CHECK(back.rank == op.rank);
    CHECK(back.pattern == op.pattern);
    CHECK(back.keep_expiry == op.keep_expiry);
    CHECK(back.key == op.key);
    CHECK(back.value == op.value);
    CHECK(back.delta == op.delta);
    CHECK(back.expected_version == op.expected_version);
    CHECK(back.expires_at_ms == op.expires_at_ms);
    CHECK_FALSE(back.request);
    if (!op.key.empty()) CHECK(there.holds(back.key));
    if (!op.value.empty()) CHECK(there.holds(back.value));
  }
}

TEST_CASE("an operation with defaults takes no options struct", "[messages][conversion]") {
  capnp::MallocMessageBuilder message;
  auto to = message.initRoot<wire::Operation>();
  operation op;
  op.kind = op_kind::put;
  op.key = "key";
  op.value = "value";
  write_operation(op, 0, to);
  CHECK_FALSE(to.asReader().hasWrite());
}

TEST_CASE("a reply comes back as it was sent", "[messages][conversion]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  dice roll{seed};
  for (int round = 0; round < 2'000; ++round) {
    const auto value = roll.bytes(300);
    const std::string text(roll.below(60), 'm');
    reply_view reply;
    reply.code = static_cast<op_code>(roll.below(18));
    reply.shard = shard_id{static_cast<std::uint32_t>(roll.number())};
    reply.version = roll.number();
    reply.number = static_cast<std::int64_t>(roll.number());
    reply.expires_at_ms = roll.number();
    reply.value = value;
    reply.message = text;

    capnp::MallocMessageBuilder message;
    write_reply(reply, message.initRoot<wire::Reply>());
    travelled there{message};
    const auto back = read_reply(there.root<wire::Reply>());
    CHECK(back.code == reply.code);
    CHECK(back.shard == reply.shard);
    CHECK(back.version == reply.version);
    CHECK(back.number == reply.number);
    CHECK(back.expires_at_ms == reply.expires_at_ms);
    CHECK(back.value == reply.value);
    CHECK(back.message == reply.message);
    if (!value.empty()) CHECK(there.holds(back.value));
  }
}

TEST_CASE("a call header comes back as it was sent", "[messages][conversion]") {
  const call_header call{{7, 1ull << 60, 5}, std::chrono::milliseconds{1'234}};
  capnp::MallocMessageBuilder message;
  write_call(call, message.initRoot<wire::Call>());
  travelled there{message};
  const auto back = read_call(there.root<wire::Call>());
  CHECK(back.request == call.request);
  CHECK(back.deadline == call.deadline);
}

TEST_CASE("an absent call header names no request and no deadline", "[messages][conversion]") {
  const auto back = read_call(wire::Call::Reader{});
  CHECK_FALSE(back.request);
  CHECK(back.deadline.count() == 0);
  CHECK_FALSE(request_of(back.request, 3, 0));
}

TEST_CASE("request numbers of a call count up and skip what was answered",
          "[messages][conversion]") {
  const request_id call{9, 100, 90};
  CHECK(request_of(call, 0, 0) == request_id{9, 100, 90});
  CHECK(request_of(call, 1, 0) == request_id{9, 101, 90});
  CHECK(request_of(call, 1, 5) == request_id{9, 106, 90});
}

TEST_CASE("a deadline that does not fit is the longest one", "[messages][conversion]") {
  capnp::MallocMessageBuilder message;
  auto to = message.initRoot<wire::Call>();
  write_call({{}, std::chrono::hours{24 * 365}}, to);
  CHECK(to.getDeadlineMs() == 0xffff'ffffu);
  write_call({{}, std::chrono::milliseconds{-5}}, to);
  CHECK(to.getDeadlineMs() == 0);
}

TEST_CASE("a status comes back as it was sent", "[messages][conversion]") {
  for (unsigned number = 0; number < 18; ++number) {
    const op_status status{static_cast<op_code>(number), number % 2 ? "what to do next" : ""};
    capnp::MallocMessageBuilder message;
    write_status(status, message.initRoot<wire::Status>());
    travelled there{message};
    const auto back = read_status(there.root<wire::Status>());
    CHECK(back.code() == status.code());
    CHECK(back.message() == status.message());
  }
  CHECK(read_status(wire::Status::Reader{}).ok());
}

TEST_CASE("numbers of a later version are refused, never guessed", "[messages][conversion]") {
  capnp::MallocMessageBuilder message;
  auto to = message.initRoot<wire::Operation>();
  to.setKind(wire::Kind::PUT);
  to.setKey(as_data("key"));
  operation op;
  REQUIRE(read_operation(to.asReader(), 0, op).ok());

  SECTION("kind") {
    to.setKind(static_cast<wire::Kind>(99));
  }
  SECTION("no kind") {
    to.setKind(wire::Kind::UNSPECIFIED);
  }
  SECTION("durability") {
    to.setDurability(static_cast<wire::Durability>(6));
  }
  SECTION("condition") {
    to.initWrite().setCondition(static_cast<wire::Condition>(4));
  }
  SECTION("priority") {
    to.initWrite().setPriority(static_cast<wire::Priority>(5));
  }
  SECTION("access pattern") {
    to.initWrite().setAccessPattern(static_cast<wire::AccessPattern>(4));
  }
  const auto status = read_operation(to.asReader(), 0, op);
  CHECK(status == op_code::invalid_argument);
  CHECK_FALSE(status.message().empty());
}

TEST_CASE("a code of a later version is a failure that a retry does not cure",
          "[messages][conversion]") {
  capnp::MallocMessageBuilder message;
  auto to = message.initRoot<wire::Reply>();
  to.setCode(static_cast<wire::Code>(500));
  CHECK(read_reply(to.asReader()).code == op_code::not_supported);
  CHECK_FALSE(read_reply(to.asReader()).message.empty());

  capnp::MallocMessageBuilder other;
  auto status = other.initRoot<wire::Status>();
  status.setCode(static_cast<wire::Code>(500));
  CHECK(read_status(status.asReader()) == op_code::not_supported);
}

TEST_CASE("a time to live counts from the reader's clock and never wraps",
          "[messages][conversion]") {
  operation op;
  op.kind = op_kind::put;
  op.key = "key";
  capnp::MallocMessageBuilder message;
  auto to = message.initRoot<wire::Operation>();
  operation back;

  write_operation(op, 500, to);
  REQUIRE(read_operation(to.asReader(), 1'000, back).ok());
  CHECK(back.expires_at_ms == 1'500);

  write_operation(op, ~std::uint64_t{0}, to);
  REQUIRE(read_operation(to.asReader(), 1'000, back).ok());
  CHECK(back.expires_at_ms == ~std::uint64_t{0});
}

TEST_CASE("expiry given twice is refused", "[messages][conversion]") {
  capnp::MallocMessageBuilder message;
  auto to = message.initRoot<wire::Operation>();
  to.setKind(wire::Kind::PUT);
  auto write = to.initWrite();
  write.setTimeToLiveMs(5);
  operation op;
  SECTION("absolute and relative") {
    write.setExpiresAtMs(5);
  }
  SECTION("kept and relative") {
    write.setKeepExpiry(true);
  }
  CHECK(read_operation(to.asReader(), 0, op) == op_code::invalid_argument);
}

} // namespace
} // namespace warp
