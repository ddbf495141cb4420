// The manifest of a data folder: what is taken, encodes to what is taken as the same.
//
// Input: a byte of choices (1: the last line is put right), then the text.

#include "storage/checked_text.hpp"
#include "storage/manifest.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace warp;
using namespace warp::storage;
using namespace warp::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  input_reader in{bytes, size};
  const auto choices = in.byte();
  std::string text{in.rest()};
  if ((choices & 1) != 0) text = seal_text(text.substr(0, text.rfind("crc32c ")));
  const auto taken = decode_manifest(text, "file");
  if (!taken) {
    require(taken.code() == op_code::corruption || taken.code() == op_code::version_mismatch ||
                taken.code() == op_code::invalid_argument,
            "refused with an unexpected code: " + taken.status().to_string());
    require(taken.status().message().find("file") != std::string::npos,
            "the message does not name the file");
    return 0;
  }
  const auto encoded = encode_manifest(*taken);
  const auto again = decode_manifest(encoded, "file");
  require(again.ok(), "what was encoded is refused: " + again.status().to_string());
  require(*again == *taken, "the manifest does not come back");
  return 0;
}
