#include "cluster/links/hello.hpp"

#include "cluster/links/flat_message.hpp"
#include "cluster/links/identity_conversion.hpp"
#include "messages/conversion.hpp"
#include "messages/replication.capnp.h"

#include <capnp/message.h>

namespace warp::cluster::links {

void write(const node_identity& from, wire::NodeIdentity::Builder to) {
  to.setFormat(from.format);
  to.setClusterId(from.cluster.value);
  to.setClusterName(as_text(from.cluster_name));
  to.setNode(from.node.value);
  to.setBoot(from.boot.value);
  to.setInstance(from.instance);
}

op_result<node_identity> read(wire::NodeIdentity::Reader from) {
  node_identity to{cluster_id{from.getClusterId()},
                   {},
                   node_id{from.getNode()},
                   boot_id{from.getBoot()},
                   from.getInstance(),
                   from.getFormat()};
  const auto name = as_view(from.getClusterName());
  if (name.size() > cluster_name_bytes_max)
    return op_status{op_code::corruption, "a hello with a cluster name of more than 64 bytes"};
  for (const char c : name) // goes into logs as it is
    to.cluster_name += static_cast<unsigned char>(c) < ' ' ? '?' : c;
  return to;
}

std::vector<char> encode_hello(const node_identity& self) {
  capnp::MallocMessageBuilder message;
  write(self, message.initRoot<wire::NodeIdentity>());
  return flat_bytes(message);
}

op_result<node_identity> decode_hello(std::span<const char> bytes) {
  return read_flat(bytes, "a hello", [](capnp::MessageReader& message) {
    return read(message.getRoot<wire::NodeIdentity>());
  });
}

std::vector<char> encode_answer(const hello_answer& answer) {
  capnp::MallocMessageBuilder message;
  auto to = message.initRoot<wire::HelloAnswer>();
  if (!answer.status.ok()) write_status(answer.status, to.initStatus());
  write(answer.identity, to.initIdentity());
  return flat_bytes(message);
}

op_result<hello_answer> decode_answer(std::span<const char> bytes) {
  return read_flat(bytes, "an answer to a hello",
                   [](capnp::MessageReader& message) -> op_result<hello_answer> {
                     const auto from = message.getRoot<wire::HelloAnswer>();
                     auto identity = read(from.getIdentity());
                     if (!identity.ok()) return identity.status();
                     return hello_answer{read_status(from.getStatus()), std::move(*identity)};
                   });
}

} // namespace warp::cluster::links
