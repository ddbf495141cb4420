#pragma once

#include "tests/bench/random.hpp"

#include <cstddef>
#include <string>

namespace warp::bench {

/// `bytes` random lower-case letters: nothing that repeats, so that compressing gains little.
inline std::string random_text(std::size_t bytes, std::uint64_t seed = 1) {
  std::string text(bytes, ' ');
  fast_random random{seed};
  for (auto& c : text) c = static_cast<char>('a' + random.below(26));
  return text;
}

} // namespace warp::bench
