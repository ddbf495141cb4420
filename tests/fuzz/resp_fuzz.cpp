// Requests of a RESP client, in pieces of any size: the size changes nothing, arguments lie in the
// input, and what was taken says the same when it is sent again.
//
// Input: a byte for the size of pieces, then the stream.

#include "cluster/resp_parser.hpp"
#include "cluster/resp_writer.hpp"
#include "tests/fuzz/fuzz_target.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace warp::cluster;
using namespace warp::fuzzing;

namespace {

constexpr resp_limits limits{
    .bulk_bytes_max = 4'096, .arguments_max = 1'000, .line_bytes_max = 256};

struct heard {
  std::vector<std::vector<std::string>> commands;
  std::string error;
  friend bool operator==(const heard&, const heard&) = default;
};

heard hear(std::string_view stream, std::size_t piece) {
  heard all;
  resp_parser parser{limits};
  resp_buffer input;
  std::vector<std::string_view> arguments;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    input.append(stream.substr(at, piece));
    for (;;) {
      const auto outcome = parser.next(input.view(), arguments);
      if (outcome == resp_parser::outcome::incomplete) {
        require(parser.wanted() > input.size(), "wants no more than it has");
        break;
      }
      if (outcome == resp_parser::outcome::broken) {
        require(parser.error().starts_with("Protocol error: "), "an error without its beginning");
        all.error = parser.error();
        return all;
      }
      require(parser.consumed() > 0 && parser.consumed() <= input.size(), "consumed wrongly");
      for (const auto argument : arguments)
        require(parser.copied() ||
                    (argument.data() >= input.view().data() &&
                     argument.data() + argument.size() <= input.view().data() + parser.consumed()),
                "an argument outside of its command");
      all.commands.emplace_back(arguments.begin(), arguments.end());
      input.consume(parser.consumed());
    }
  }
  return all;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  input_reader in{bytes, size};
  const std::size_t piece = 1 + in.byte();
  const auto stream = in.rest();
  const auto all = hear(stream, piece);
  const auto at_once = hear(stream, std::max<std::size_t>(stream.size(), 1));
  require(all.commands == at_once.commands, "the size of the pieces matters");
  // A line that is too long is noticed when its end has not come by then.
  require(all.error == at_once.error || all.error.find("too big") != std::string::npos ||
              at_once.error.find("too big") != std::string::npos || all.error.empty(),
          "the size of the pieces matters for the error");
  resp_buffer again;
  resp_writer out{again, 2};
  for (const auto& command : all.commands) {
    if (command.size() > static_cast<std::size_t>(limits.arguments_max)) return 0;
    out.array(command.size());
    for (const auto& argument : command) {
      if (argument.size() > limits.bulk_bytes_max) return 0;
      out.bulk(argument);
    }
  }
  require(hear(again.view(), piece).commands == all.commands,
          "it says something else when repeated");
  return 0;
}
