#include "tests/fuzz/fuzz_target.hpp"

#include <cstdio>
#include <cstdlib>

namespace warp::fuzzing {

void found(std::string_view reason) {
  std::fprintf(stderr, "FOUND: %.*s\n", static_cast<int>(reason.size()), reason.data());
  std::abort();
}

void append_piece(std::string& to, std::string_view piece) {
  for (int shift = 0; shift < 32; shift += 8)
    to.push_back(static_cast<char>(piece.size() >> shift & 0xff));
  to += piece;
}

std::uint64_t hash_of(std::string_view bytes) noexcept {
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325u; // FNV-1a
  for (const char c : bytes) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100'0000'01b3u;
  return hash;
}

} // namespace warp::fuzzing
