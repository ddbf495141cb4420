#pragma once

#include "cluster/links/node_identity.hpp"
#include "messages/status.hpp"

#include <span>
#include <vector>

/// How two nodes introduce themselves, as bytes (messages/replication.capnp).
namespace warp::cluster::links {

struct hello_answer {
  op_status status;       ///< ok: welcome; else why not
  node_identity identity; ///< of whoever answers
};

[[nodiscard]] std::vector<char> encode_hello(const node_identity& self);
/// corruption: no hello. Of another format only `format` and `node` are to be believed.
op_result<node_identity> decode_hello(std::span<const char> bytes);

[[nodiscard]] std::vector<char> encode_answer(const hello_answer& answer);
op_result<hello_answer> decode_answer(std::span<const char> bytes);

} // namespace warp::cluster::links
