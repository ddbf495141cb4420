#pragma once

#include "messages/operations.hpp"
#include "storage/reply.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace warp::storage {

/// What a key looks like before an atomic batch.
struct key_state {
  bool present = false;
  bool is_hash = false;
  lsn_t version = 0;
  std::string_view value; ///< looked at by increments only
};

/// Would every operation of an atomic batch succeed, done one after the other? `state_of(i)`
/// answers for the key of operation i as it is before the batch; effects of earlier operations of
/// the batch on the same key are followed here. Nothing is changed. Returns ok, or the code of the
/// first operation that would fail and its index. What operations of hashes do is not followed: of
/// them and those that come after them on the same key nothing is said. A get, exists, erase or
/// expire that finds nothing is no failure; a condition that does not hold, or an increment that
/// cannot be done, is.
struct batch_verdict {
  op_code code = op_code::ok;
  std::size_t index = 0;
  lsn_t version = 0; ///< version_mismatch: the one it met
};
batch_verdict check_conditions(std::span<const operation> operations,
                               const std::function<key_state(std::size_t)>& state_of);

/// Of an atomic batch that was not done because of one operation.
void refuse_all(std::span<op_reply> replies, std::size_t culprit, op_code code);
/// Of a write that was tried: is it one that an atomic batch fails with?
[[nodiscard]] bool has_failed(const operation& op, op_code code) noexcept;
/// Where two writes have one request id, by number of the operation, the first that had it; else
/// its own. Empty: all ids differ, as they should.
[[nodiscard]] std::vector<std::size_t> first_of_request(std::span<const operation> operations);

} // namespace warp::storage
