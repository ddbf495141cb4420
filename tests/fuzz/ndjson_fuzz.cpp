// Lines of NDJSON: what is taken, written as a line and read again is the same; and any bytes as a
// key and a value come back from the line that is written of them.
//
// Input: the line.

#include "cluster/ndjson.hpp"
#include "messages/base64.hpp"
#include "messages/limits.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace warp;
using namespace warp::cluster;
using namespace warp::fuzzing;

namespace {

void comes_back(std::string_view key, std::string_view value, std::uint64_t expires_at_ms) {
  std::string line;
  append_ndjson(line, key, value, expires_at_ms);
  require(line.find('\n') == std::string::npos, "a line feed within a line");
  ndjson_parser parser;
  ndjson_record again;
  const auto status = parser.parse(line, again);
  require(status.ok(), "what was written is refused: " + status.to_string());
  require(again.key == key, "another key");
  require(again.value == value, "another value");
  require(again.expires_at_ms == expires_at_ms && again.ttl_ms == 0, "another expiry");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view line{reinterpret_cast<const char*>(bytes), size};
  ndjson_parser parser;
  ndjson_record taken;
  const auto status = parser.parse(line, taken);
  if (status.ok()) {
    require(!taken.key.empty() && taken.key.size() <= key_size_max, "an impossible key");
    require(taken.ttl_ms == 0 || taken.expires_at_ms == 0, "expiry given twice");
    comes_back(std::string{taken.key}, std::string{taken.value}, taken.expires_at_ms);
  } else {
    require(status.code() == op_code::invalid_argument && !status.message().empty(),
            "refused with " + status.to_string());
  }
  const auto middle = size / 3;
  if (middle != 0) comes_back(line.substr(0, middle), line.substr(middle), hash_of(line) % 3);
  std::string decoded;
  require(from_base64(to_base64(line), decoded) && decoded == line, "base64 does not come back");
  std::string other;
  if (from_base64(line, other)) require(to_base64(other) == line, "two texts for the same bytes");
  return 0;
}
