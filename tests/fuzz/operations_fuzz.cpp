// Messages of the wire: whatever bytes a message has, reading it ends with a value, a status or an
// exception of Cap'n Proto; an operation that is taken is written and read as the same.
//
// Input: a byte that chooses what the message is taken for, then the message.

#include "messages/conversion.hpp"
#include "messages/warp.capnp.h"
#include "tests/fuzz/fuzz_target.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <cstring>
#include <kj/exception.h>

using namespace warp;
using namespace warp::fuzzing;

namespace {

constexpr std::uint64_t now_ms = 1'000'000;

void same_operation(const operation& a, const operation& b) {
  require(a.kind == b.kind && a.level == b.level && a.condition == b.condition, "what it does");
  require(a.rank == b.rank && a.pattern == b.pattern && a.keep_expiry == b.keep_expiry,
          "its options");
  require(a.key == b.key && a.value == b.value, "its bytes");
  require(a.delta == b.delta || a.kind != op_kind::increment, "its delta");
  require(a.expected_version == b.expected_version && a.expires_at_ms == b.expires_at_ms,
          "its numbers");
}

void read_one(wire::Operation::Reader from) {
  operation op;
  const auto status = read_operation(from, now_ms, op);
  if (!status.ok()) {
    require(status.code() == op_code::invalid_argument, "an unexpected code");
    return;
  }
  capnp::MallocMessageBuilder message;
  write_operation(op, 0, message.initRoot<wire::Operation>());
  operation again;
  const auto second = read_operation(message.getRoot<wire::Operation>().asReader(), now_ms, again);
  require(second.ok(), "what was written is refused: " + second.to_string());
  same_operation(op, again);
}

void read_as(unsigned what, capnp::MessageReader& message) {
  switch (what) {
  case 0: {
    const auto params = message.getRoot<wire::Session::ExecuteParams>();
    for (const auto op : params.getOperations()) read_one(op);
    const auto call = read_call(params.getCall());
    require(request_of(call.request, 3, 4).client == call.request.client, "another client");
    break;
  }
  case 1:
    read_one(message.getRoot<wire::Operation>());
    break;
  case 2: {
    const auto results = message.getRoot<wire::Session::ExecuteResults>();
    static_cast<void>(read_status(results.getStatus()).to_string());
    for (const auto r : results.getReplies()) {
      const auto reply = read_reply(r);
      capnp::MallocMessageBuilder builder;
      auto to = builder.initRoot<wire::Reply>();
      write_reply(reply, to);
      const auto again = read_reply(to.asReader());
      require(again.code == reply.code && again.version == reply.version &&
                  again.value == reply.value && again.message == reply.message &&
                  again.number == reply.number && again.shard == reply.shard &&
                  again.expires_at_ms == reply.expires_at_ms,
              "a reply does not come back");
    }
    break;
  }
  default: {
    const auto params = message.getRoot<wire::Session::PutParams>();
    operation op{.kind = op_kind::put};
    op.key = as_view(params.getKey());
    op.value = as_view(params.getValue());
    static_cast<void>(read_write(params.getWrite(), now_ms, op));
    static_cast<void>(read_durability(params.getDurability()));
    static_cast<void>(hash_of(op.key) + hash_of(op.value));
  }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  input_reader in{bytes, size};
  const auto what = in.byte() % 4u;
  const auto rest = in.rest();
  auto words = kj::heapArray<capnp::word>(rest.size() / sizeof(capnp::word));
  if (words.size() != 0)
    std::memcpy(words.begin(), rest.data(), words.size() * sizeof(capnp::word));
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 4 * words.size() + 64;
  options.nestingLimit = 32;
  static_cast<void>(kj::runCatchingExceptions([&] {
    capnp::FlatArrayMessageReader message{words, options};
    read_as(what, message);
  }));
  return 0;
}
