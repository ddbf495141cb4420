#pragma once

#include "cluster/resp_commands.hpp"
#include "messages/operations.hpp"
#include "storage/reply.hpp"

#include <string_view>

namespace warp::cluster {

/// Where the arguments of gathered commands are packed: this thread's, to be cleared when the
/// operations that were gathered are done.
[[nodiscard]] storage::value_arena& gathered_arguments() noexcept;

/// Is it a shape of hashes, for write_hash_reply()?
[[nodiscard]] constexpr bool is_of_hash(reply_shape shape) noexcept {
  return shape >= reply_shape::hash_number;
}
/// Writes the reply of an operation on a hash; false, and nothing, where its code is none of a
/// usual answer.
[[nodiscard]] bool write_hash_reply(resp_writer& out, reply_shape shape, const operation& op,
                                    const storage::op_reply& reply);

} // namespace warp::cluster
