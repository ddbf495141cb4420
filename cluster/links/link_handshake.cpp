#include "cluster/links/link_handshake.hpp"

#include "cluster/links/link_frame.hpp"

#include <array>
#include <fmt/format.h>
#include <string_view>
#include <vector>

namespace warp::cluster::links {

namespace {

/// Another generation of this handshake has another one.
constexpr std::string_view greeting = "WARPLNK2";
/// A name of 64 bytes and a sentence.
constexpr std::size_t frame_bytes_max = 16u << 10;

op_status send(link_socket& socket, frame_kind kind, const std::vector<char>& bytes,
               link_socket::deadline until) {
  std::vector<char> frame(sizeof(frame_head) + bytes.size());
  write_head(frame.data(), {static_cast<std::uint32_t>(bytes.size()), kind});
  std::ranges::copy(bytes, frame.begin() + sizeof(frame_head));
  return socket.write_all(frame, until);
}

op_result<std::vector<char>> receive(link_socket& socket, frame_kind kind,
                                     link_socket::deadline until) {
  std::array<char, sizeof(frame_head)> start{};
  if (auto status = socket.read_all(start, until); !status.ok()) return status;
  const auto head = read_head(start.data());
  if (head.kind != kind || head.bytes > frame_bytes_max)
    return op_status{op_code::corruption, "what it says is not what a node says"};
  std::vector<char> bytes(head.bytes);
  if (auto status = socket.read_all(bytes, until); !status.ok()) return status;
  return bytes;
}

} // namespace

op_status greet(link_socket& socket, link_socket::deadline until) {
  return socket.write_all(greeting, until);
}

op_status await_greeting(link_socket& socket, link_socket::deadline until) {
  std::array<char, greeting.size()> heard{};
  if (auto status = socket.read_all(heard, until); !status.ok()) return status;
  if (std::string_view{heard.data(), heard.size()} == greeting) return {};
  return {op_code::unavailable,
          "it does not greet as a node of this version does: another program listens there, or "
          "another version of warpd"};
}

op_result<hello_answer> introduce(link_socket& socket, const node_identity& self,
                                  link_socket::deadline until) {
  if (auto status = send(socket, frame_kind::hello, encode_hello(self), until); !status.ok())
    return status;
  const auto bytes = receive(socket, frame_kind::answer, until);
  if (!bytes.ok()) return bytes.status();
  return decode_answer(*bytes);
}

op_result<node_identity> hear(link_socket& socket, link_socket::deadline until) {
  const auto bytes = receive(socket, frame_kind::hello, until);
  if (!bytes.ok()) return bytes.status();
  return decode_hello(*bytes);
}

op_status answer(link_socket& socket, const hello_answer& what, link_socket::deadline until) {
  return send(socket, frame_kind::answer, encode_answer(what), until);
}

} // namespace warp::cluster::links
