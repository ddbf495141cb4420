#include "storage/batch_conditions.hpp"

#include "storage/number.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace warp::storage {

namespace {

struct followed_state {
  bool present;
  bool unknown = false; // an operation of hashes was among those before
  lsn_t version;        // of the record before the batch; meaningless once `written`
  bool written = false;
  std::optional<std::int64_t> number; // of the value as it is now, if it is one
};

bool can_fail(const operation& op) {
  return op.condition != write_condition::always || op.kind == op_kind::increment;
}

op_code judge(const operation& op, followed_state& s) {
  if (is_of_hash(op.kind)) s.unknown = is_write(op.kind) || s.unknown;
  if (s.unknown) return op_code::ok;
  switch (op.condition) {
  case write_condition::always:
    break;
  case write_condition::if_absent:
    if (s.present) return op_code::already_exists;
    break;
  case write_condition::if_present:
    if (!s.present) return op_code::not_found;
    break;
  case write_condition::if_version:
    // A version that the batch itself is about to make can't be known to whoever wrote the
    // condition.
    if (s.written || (s.present ? s.version : 0) != op.expected_version)
      return op_code::version_mismatch;
    break;
  }
  switch (op.kind) {
  case op_kind::put:
    s = {.present = true, .version = 0, .written = true, .number = {}};
    if (op.type == value_type::bytes) s.number = parse_number(op.value);
    break;
  case op_kind::erase:
    s = {.present = false, .version = 0, .written = true, .number = {}};
    break;
  case op_kind::increment: {
    if (!s.present) s.number = 0;
    if (!s.number) return op_code::wrong_type;
    const auto sum = add(*s.number, op.delta);
    if (!sum) return op_code::wrong_type;
    s = {.present = true, .version = 0, .written = true, .number = sum};
    break;
  }
  case op_kind::get:
  case op_kind::exists:
  case op_kind::expire:
  default: // operations of hashes
    break;
  }
  return op_code::ok;
}

} // namespace

batch_verdict check_conditions(std::span<const operation> operations,
                               const std::function<key_state(std::size_t)>& state_of) {
  if (std::none_of(operations.begin(), operations.end(), can_fail)) return {};
  std::unordered_map<std::string_view, followed_state> followed;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto& op = operations[i];
    auto at = followed.find(op.key);
    if (at == followed.end()) {
      const auto before = state_of(i);
      at = followed
               .emplace(op.key, followed_state{.present = before.present,
                                               .version = before.version,
                                               .number = before.present && !before.is_hash
                                                             ? parse_number(before.value)
                                                             : std::nullopt})
               .first;
    }
    if (const auto code = judge(op, at->second); code != op_code::ok)
      return {.code = code,
              .index = i,
              .version = at->second.present && !at->second.written ? at->second.version : 0};
  }
  return {};
}

void refuse_all(std::span<op_reply> replies, std::size_t culprit, op_code code) {
  for (auto& reply : replies) reply = {.code = op_code::unavailable};
  replies[culprit].code = code;
}

bool has_failed(const operation& op, op_code code) noexcept {
  if (code == op_code::ok || !is_write(op.kind)) return false;
  return code != op_code::not_found || op.condition == write_condition::if_present;
}

std::vector<std::size_t> first_of_request(std::span<const operation> operations) {
  const request_id* last = nullptr;
  bool ascending = true;
  for (const auto& op : operations) {
    if (!is_write(op.kind) || !op.request) continue;
    if (last && (last->client != op.request.client || last->number >= op.request.number))
      ascending = false;
    last = &op.request;
  }
  if (ascending) return {};
  std::vector<std::size_t> first(operations.size());
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> seen;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const auto& op = operations[i];
    first[i] = i;
    if (is_write(op.kind) && op.request)
      first[i] = seen.emplace(std::pair{op.request.client, op.request.number}, i).first->second;
  }
  return first;
}

} // namespace warp::storage
