// The stream of messages: bytes that arrive in any pieces become the messages that a plain reading
// of their framing finds, up to the first one that is malformed, too long or cut off.
//
// Input: a byte for the size of pieces, then the bytes.

#include "cluster/corked_stream.hpp"
#include "tests/fuzz/fuzz_target.hpp"

#include <algorithm>
#include <capnp/serialize.h>
#include <cstring>
#include <kj/async-io.h>
#include <kj/timer.h>
#include <vector>

using namespace warp;
using namespace warp::cluster;
using namespace warp::fuzzing;

namespace {

constexpr std::size_t message_max = 16 * 1024;
constexpr std::uint32_t segments_max = 8;

/// A connection that hands out the bytes in pieces and takes nothing.
class input_only final : public kj::AsyncIoStream {
public:
  input_only(std::string_view bytes, std::size_t piece) : rest_(bytes), piece_(piece) {}

  kj::Promise<std::size_t> tryRead(void* to, std::size_t at_least, std::size_t at_most) override {
    const auto n = std::min({std::max(piece_, at_least), at_most, rest_.size()});
    if (n != 0) std::memcpy(to, rest_.data(), n);
    rest_.remove_prefix(n);
    return n;
  }
  kj::Promise<void> write(const void*, std::size_t) override { return kj::READY_NOW; }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>>) override {
    return kj::READY_NOW;
  }
  kj::Promise<void> whenWriteDisconnected() override { return kj::NEVER_DONE; }
  void shutdownWrite() override {}

private:
  std::string_view rest_;
  std::size_t piece_;
};

struct read_messages {
  std::vector<std::string> messages;
  stream_fault fault = stream_fault::none;
};

read_messages plain(std::string_view bytes) {
  read_messages all;
  const auto number = [&](std::size_t at) {
    std::uint32_t value;
    std::memcpy(&value, bytes.data() + at, 4);
    return value;
  };
  while (!bytes.empty()) {
    if (bytes.size() < 4) break;
    const auto segments = std::uint64_t{number(0)} + 1;
    if (segments > segments_max) {
      all.fault = stream_fault::malformed;
      return all;
    }
    const auto table = (4 + segments * 4 + 7) / 8 * 8;
    if (bytes.size() < table) break;
    std::uint64_t total = table;
    for (std::uint64_t i = 0; i < segments; ++i) total += std::uint64_t{number(4 + i * 4)} * 8;
    if (total > message_max) {
      all.fault = stream_fault::oversized;
      return all;
    }
    if (bytes.size() < total) break;
    all.messages.emplace_back(bytes.substr(0, total));
    bytes.remove_prefix(total);
  }
  if (!bytes.empty()) all.fault = stream_fault::malformed;
  return all;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static kj::EventLoop loop;
  static kj::WaitScope wait{loop};
  static kj::TimerImpl timer{kj::origin<kj::TimePoint>()};
  input_reader in{bytes, size};
  const std::size_t piece = 1 + std::size_t{in.byte()} * 8;
  const auto input = in.rest();
  const auto expected = plain(input);

  input_only connection{input, piece};
  stream_limits limits;
  limits.message_bytes_max = message_max;
  limits.segments_max = segments_max;
  corked_stream stream{connection, timer, limits};
  read_messages got;
  bool over = false;
  while (!over) {
    const auto failed = kj::runCatchingExceptions([&] {
      KJ_IF_MAYBE (words, stream.read().wait(wait)) {
        got.messages.emplace_back(reinterpret_cast<const char*>(words->begin()),
                                  words->size() * sizeof(capnp::word));
      } else {
        over = true;
      }
    });
    if (failed != nullptr) over = true;
  }
  got.fault = stream.fault();
  require(got.messages.size() == expected.messages.size(),
          "another number of messages: " + std::to_string(got.messages.size()) + " for " +
              std::to_string(expected.messages.size()));
  for (std::size_t i = 0; i < got.messages.size(); ++i)
    require(got.messages[i] == expected.messages[i], "another message");
  require(got.fault == expected.fault, "another fault: " + stream.fault_text());
  require(stream.input_bytes_held() <= 2 * size + (64u << 10), "it holds more than has arrived");
  return 0;
}
