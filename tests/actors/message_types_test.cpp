#include "actors/message_types.hpp"

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <catch2/catch_test_macros.hpp>

using warp::actors::frame;

namespace {

struct fixture {
  fixture() { config.add_message_types<caf::id_block::warp_actors>(); }

  caf::message over_the_wire(const caf::message& sent) {
    caf::binary_serializer::container_type bytes;
    caf::binary_serializer sink{system, bytes};
    REQUIRE_FALSE(sink(const_cast<caf::message&>(sent)));
    wire_size = bytes.size();
    caf::message received;
    caf::binary_deserializer source{system, bytes};
    REQUIRE_FALSE(source(received));
    return received;
  }

  caf::actor_system_config config;
  caf::actor_system system{config};
  std::size_t wire_size = 0;
};

} // namespace

TEST_CASE_METHOD(fixture, "a frame crosses the wire as its raw bytes", "[actors][messages]") {
  std::vector<char> bytes(100'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
  const frame sent{std::make_shared<const std::vector<char>>(bytes)};
  const auto received = over_the_wire(caf::make_message(sent));
  REQUIRE(received.match_elements<frame>());
  CHECK(*received.get_as<frame>(0).data == bytes);
  CHECK(wire_size < bytes.size() + 64);
}

TEST_CASE_METHOD(fixture, "an empty frame arrives as no bytes, never null", "[actors][messages]") {
  const auto received = over_the_wire(caf::make_message(frame{}));
  REQUIRE(received.match_elements<frame>());
  REQUIRE(received.get_as<frame>(0).data);
  CHECK(received.get_as<frame>(0).data->empty());
}

TEST_CASE("a frame is shared within the process, not copied", "[actors][messages]") {
  const frame sent{std::make_shared<const std::vector<char>>(10, 'x')};
  const auto message = caf::make_message(sent);
  CHECK(message.get_as<frame>(0).data == sent.data);
}
