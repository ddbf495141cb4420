#pragma once

#include "messages/status.hpp"

#include <capnp/serialize.h>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fmt/format.h>
#include <kj/exception.h>
#include <span>
#include <string>
#include <vector>

namespace warp::cluster::links {

/// Reads a Cap'n Proto message that came from another machine: `read(reader)` returns an op_status
/// or an op_result; where the bytes are malformed it is `corruption` instead. `what` names the
/// message. A message may be walked through once and a half, so that pointers that point at one
/// place again and again cost nothing, and 8 levels deep (what we send has 4).
template <class Read>
auto read_flat(std::span<const char> bytes, const char* what, Read read)
    -> decltype(read(std::declval<capnp::MessageReader&>())) {
  using result = decltype(read(std::declval<capnp::MessageReader&>()));
  const auto corrupt = [&](const std::string& how) -> result {
    return op_status{op_code::corruption,
                     fmt::format("{} of {} bytes: {}", what, bytes.size(), how)};
  };
  if (bytes.size() % sizeof(capnp::word) != 0 || bytes.size() < 2 * sizeof(capnp::word))
    return corrupt("not a whole number of words");
  const auto words = bytes.size() / sizeof(capnp::word);
  kj::Array<capnp::word> copy; // only where the bytes do not lie as words do
  kj::ArrayPtr<const capnp::word> at;
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(capnp::word) != 0) {
    copy = kj::heapArray<capnp::word>(words);
    std::memcpy(copy.begin(), bytes.data(), bytes.size());
    at = copy;
  } else {
    at = kj::arrayPtr(reinterpret_cast<const capnp::word*>(bytes.data()), words);
  }
  std::uint32_t table[2];
  std::memcpy(table, bytes.data(), sizeof table);
  if (table[0] != 0) return corrupt(fmt::format("{} segments, expected is 1", table[0] + 1ull));
  if (table[1] != words - 1)
    return corrupt(fmt::format("its table says {} words, {} are here", table[1], words - 1));
  capnp::ReaderOptions options;
  options.traversalLimitInWords = words + words / 2 + 16;
  options.nestingLimit = 8;
  result answer{op_code::corruption};
  KJ_IF_MAYBE (e, kj::runCatchingExceptions([&] {
                 capnp::FlatArrayMessageReader reader{at, options};
                 answer = read(reader);
               })) {
    return corrupt(e->getDescription().cStr());
  }
  return answer;
}

/// The bytes of a message built in one piece; not for large ones.
inline std::vector<char> flat_bytes(capnp::MessageBuilder& message) {
  const auto words = capnp::messageToFlatArray(message);
  const auto bytes = words.asChars();
  return {bytes.begin(), bytes.end()};
}

} // namespace warp::cluster::links
