#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace warp::cluster::links {

/// What goes over a link: frames, each a head and as many bytes as it says, always whole words, so
/// that whatever lies in a frame can be read where it arrived. Little-endian.
enum class frame_kind : std::uint32_t {
  hello = 1,    ///< of the node that connects: a wire::NodeIdentity
  answer = 2,   ///< to it: a wire::HelloAnswer
  envelope = 3, ///< a wire::Envelope
  ping = 4,     ///< a sign of life: eight bytes that come back
  pong = 5,     ///< in a pong, when all that was sent before the ping has been taken
  goodbye = 6,  ///< a wire::HelloAnswer that says why; the last one
};

struct frame_head {
  std::uint32_t bytes = 0; ///< behind the head
  frame_kind kind = frame_kind::hello;
};
static_assert(sizeof(frame_head) == 8);

/// `at` has room for a head.
inline void write_head(char* at, frame_head head) {
  std::memcpy(at, &head, sizeof head);
}
/// `at` has a head.
inline frame_head read_head(const char* at) {
  frame_head head;
  std::memcpy(&head, at, sizeof head);
  return head;
}

} // namespace warp::cluster::links
