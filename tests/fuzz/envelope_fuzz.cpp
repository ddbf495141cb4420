// Messages between nodes: whatever bytes an envelope or a hello has, reading it ends with a value
// or a status, and what is taken is written and read as the same.
//
// Input: a byte that chooses what the bytes are taken for and whether their table is put right,
// then the bytes.

#include "cluster/links/envelope.hpp"
#include "cluster/links/hello.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/links/random_messages.hpp"

#include <cstring>
#include <vector>

using namespace warp;
using namespace warp::cluster::links;
using namespace warp::fuzzing;

namespace {

void refused(const op_status& status) {
  require(status.code() == op_code::corruption || status.code() == op_code::not_supported,
          "an unexpected code: " + status.to_string());
  require(!status.message().empty(), "a refusal without a reason");
}

void read_envelope(std::span<const char> bytes) {
  const auto first = decode_envelope(bytes);
  if (!first.ok()) return refused(first.status());
  std::size_t held = 0;
  for (const auto& m : first->messages) held += encoded_bytes(m);
  require(held <= 4 * bytes.size(), "more was taken than was there");
  node_identity sender;
  sender.cluster = first->cluster;
  sender.node = first->node;
  sender.boot = first->boot;
  const auto again = encode_envelope(sender, first->messages);
  require(again.ok(), "what was taken cannot be written");
  const auto second = decode_envelope(*again);
  require(second.ok(), "what was written is refused: " + second.status().to_string());
  require(second->messages.size() == first->messages.size(), "the number of messages");
  for (std::size_t i = 0; i < first->messages.size(); ++i)
    require(same(first->messages[i], second->messages[i]), "a message does not come back");
}

void read_hello(std::span<const char> bytes) {
  const auto hello = decode_hello(bytes);
  if (!hello.ok()) return refused(hello.status());
  require(decode_hello(encode_hello(*hello)).ok(), "a hello does not come back");
  static_cast<void>(judge_peer(test_identity(1), *hello));
}

void read_answer(std::span<const char> bytes) {
  const auto answer = decode_answer(bytes);
  if (!answer.ok()) return refused(answer.status());
  require(decode_answer(encode_answer(*answer)).ok(), "an answer does not come back");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  input_reader in{bytes, size};
  const auto choice = in.byte();
  const auto rest = in.rest();
  std::vector<char> input(rest.begin(), rest.end());
  if ((choice & 4) != 0) { // or most changes end at the table
    input.resize((input.size() + 7) / 8 * 8);
    if (input.size() >= 16) {
      const std::uint32_t table[2] = {0, static_cast<std::uint32_t>(input.size() / 8 - 1)};
      std::memcpy(input.data(), table, sizeof table);
    }
  }
  switch (choice % 4) {
  case 0:
  case 1:
    read_envelope(input);
    break;
  case 2:
    read_hello(input);
    break;
  default:
    read_answer(input);
  }
  return 0;
}
